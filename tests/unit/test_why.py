"""What is told of a look: each condition with the value it saw, also from lines of the log that kept less."""

from __future__ import annotations

from typing import Any

import pytest

from crmweb.workflow import explain
from crmweb.workflow.phrases import Values
from crmweb.workflow.why import Look, lines

VALUES = Values({}, explain.plainly, "EUR")
BIG = {"field": "amount", "operator": "greater_than", "value": "100000"}
NAMED = {"field": "name", "operator": "contains", "value": "fleet"}
WON = {"field": "status", "operator": "equals", "value": "closed_won"}


def told(conditions: list[Any], *line: Any, match: str = "all") -> list[tuple[str, bool | None, str]]:
    definition = {"entity_type": "Deal", "conditions": conditions, "match": match}
    return [
        (explain.text(one.words), one.met, one.seen)
        for one in lines(definition, Look.of(("rule", 1, *line)), VALUES)
    ]


def test_a_line_without_a_trace_says_what_failed_and_that_those_before_it_held() -> None:
    assert told([BIG, WON, NAMED], False, 1, "open") == [
        ("The amount is more than 100,000 EUR", True, ""),
        ("The status is won", False, "open"),
        ("The name contains fleet", None, ""),
    ]


def test_a_trace_says_what_each_condition_saw() -> None:
    assert told([BIG, NAMED], True, None, None, [[1, "486000"], [1, "Fleet renewal"]]) == [
        ("The amount is more than 100,000 EUR", True, "486,000 EUR"),
        ("The name contains fleet", True, "Fleet renewal"),
    ]
    assert told([BIG, NAMED], False, 0, None, [[0, None]]) == [
        ("The amount is more than 100,000 EUR", False, "empty"),
        ("The name contains fleet", None, ""),
    ]


def test_conditions_of_a_group_name_it_and_the_first_of_them_is_marked() -> None:
    definition = {"entity_type": "Deal", "conditions": [BIG, {"match": "any", "conditions": [WON, NAMED]}]}
    found = lines(
        definition, Look.of(("rule", 1, False, 1, "open", [[1, "5"], [0, "open"], [0, "x"]])), VALUES
    )
    assert [(line.group, line.is_first, line.met) for line in found] == [
        ("", False, True),
        ("any", True, False),
        ("any", False, False),
    ]


def test_a_field_that_is_gone_is_named_as_it_was_written() -> None:
    assert told([{"field": "colour", "operator": "equals", "value": "red"}], False, 0, None)[0][:2] == (
        "colour",
        False,
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ((True, None, None), ""),
        ((False, 0, "open"), ""),
        (
            (False, None, "It already ran for this record in this change."),
            "It already ran for this record in this change.",
        ),
        ((False, -1, "it held before"), "It was so before, and acts only when it becomes so."),
    ],
)
def test_what_kept_a_matching_rule_from_acting_is_said(line: tuple[Any, ...], why: str) -> None:
    assert Look.of(("rule", 1, *line)).bound == why
