"""What every test gets, and what the run says at its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from crmweb import clock

# A developer's own settings must not colour the tests.
for name in [name for name in os.environ if name.startswith("CRMWEB_") and name != "CRMWEB_CHROMIUM"]:
    del os.environ[name]
for name in ("DATABASE_URL", "SECRET_KEY", "HOST", "PORT", "DEMO"):
    os.environ.pop(name, None)

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
RAN = pytest.StashKey[dict[str, set[str]]]()
ONE_SIDED = pytest.StashKey[set[str]]()
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
"""A Monday. Tests that freeze the clock begin here."""


@pytest.fixture
def noon() -> Iterator[datetime]:
    """The clock stands still on Monday, 2 March 2026, 12:00 UTC; `clock.at(later)` inside moves it on."""
    with clock.at(NOON):
        yield NOON


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, _end_in_order)
    config.stash[RAN] = {kind: set() for kind in NAMES}
    config.stash[ONE_SIDED] = set()


def _end_in_order(*_: object) -> None:
    """A run that is asked to end takes its servers along, as after Ctrl-C; asked twice, it is on its way already."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    kind = item.callspec.params.get("database") if hasattr(item, "callspec") else None
    if kind and report.when == "call":
        item.config.stash[RAN][kind].add(item.nodeid.replace(kind, "", 1))
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What was tried on one database only was not tried; the run fails."""
    options, ran = session.config.option, session.config.stash[RAN]
    is_part = options.keyword or options.lf or session.shouldstop or session.shouldfail
    is_part = is_part or exitstatus == pytest.ExitCode.INTERRUPTED
    if not is_part and not any("[" in argument for argument in session.config.args):
        session.config.stash[ONE_SIDED] = ran["sqlite"] ^ ran["postgresql"]
    if session.config.stash[ONE_SIDED] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ran = config.stash[RAN]
    if any(ran.values()):
        counts = ", ".join(f"{len(ran[kind])} on {name}" for kind, name in NAMES.items())
        terminalreporter.write_line(f"integration: {counts}")
        for test in sorted(config.stash[ONE_SIDED]):
            terminalreporter.write_line(f"  not on both: {test}", red=True)
