"""The lock files: every package pinned, every build of it known by its hash, no address of a registry."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def pins(lock: str) -> dict[str, str]:
    """Package → version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (CHECKOUT / lock).read_text(), re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for requirement in requirements}


def test_what_the_project_needs_is_locked() -> None:
    needed = names(PROJECT["dependencies"])
    tools = names(PROJECT["optional-dependencies"]["dev"])
    assert needed <= set(pins("requirements.lock")), "Run make lock."
    assert needed | tools <= set(pins("requirements-dev.lock")), "Run make lock."


def test_tests_run_on_the_versions_that_run_in_production() -> None:
    tested = pins("requirements-dev.lock")
    assert {name: tested[name] for name in pins("requirements.lock")} == pins("requirements.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_its_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[a-z0-9-]+==)", (CHECKOUT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_registry(lock: str) -> None:
    assert not re.search(r"://|--index|--find-links|file:", (CHECKOUT / lock).read_text())
