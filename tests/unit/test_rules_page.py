"""The page that lists what rules are made of is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from crmweb.models.workflow_rule import TRIGGERS as STORED
from crmweb.workflow.actions import ACTIONS
from crmweb.workflow.operators import OPERATORS
from crmweb.workflow.triggers import TRIGGERS

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()


@pytest.mark.parametrize(
    ("heading", "registered"), [("Triggers", TRIGGERS), ("Conditions", OPERATORS), ("Actions", ACTIONS)]
)
def test_each_trigger_operator_and_action_has_its_line(heading: str, registered: dict[str, object]) -> None:
    (part,) = re.findall(rf"^## {heading}.*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == set(registered)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_actions_settings_are_named(name: str) -> None:
    (line,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, re.MULTILINE)
    assert all(f"`{setting}`" in line for setting in ACTIONS[name].settings)


def test_the_database_knows_each_trigger() -> None:
    assert set(STORED) == set(TRIGGERS)
