"""Each operator, on each kind of field, with what is there and what is missing. None of them ever raises."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmweb.workflow.kinds import Ref
from crmweb.workflow.operators import OPERATORS, Sight

WON, LOST = Ref(UUID(int=1), "Closed Won"), Ref(UUID(int=2), "Closed Lost")
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def holds(operator: str, now: Any, value: Any = None, before: Any = None, *, is_new: bool = False) -> bool:
    return OPERATORS[operator].holds(Sight(now, value, before, is_new))


@pytest.mark.parametrize(
    ("operator", "now", "value"),
    [
        ("equals", "Acme", "acme"),
        ("equals", "Straße", "STRASSE"),
        ("equals", Decimal(100), Decimal("100.000")),
        ("equals", date(2026, 3, 2), date(2026, 3, 2)),
        ("equals", NINE, NINE),
        ("equals", WON, Ref(UUID(int=1))),
        ("equals", True, True),
        ("equals", None, None),
        ("equals", "", None),
        ("not_equals", "Acme", "Bolt"),
        ("not_equals", Decimal(1), Decimal(2)),
        ("not_equals", WON, LOST),
        ("contains", "Acme VIP Ltd", "vip"),
        ("contains", Decimal("125000.500"), "5000.5"),
        ("contains", Decimal("1E+3"), "1000"),
        ("contains", date(2026, 3, 2), "2026-03"),
        ("contains", WON, "won"),
        ("contains", True, "YES"),
        ("greater_than", Decimal(101), Decimal(100)),
        ("greater_than", date(2026, 3, 3), date(2026, 3, 2)),
        ("greater_than", NINE, NINE.replace(hour=8)),
        ("less_than", Decimal("0.001"), Decimal(1)),
        ("less_than", date(2026, 3, 1), date(2026, 3, 2)),
        ("is_empty", None, None),
        ("is_empty", "", None),
        ("is_not_empty", Decimal(0), None),
        ("is_not_empty", False, None),
        ("one_of", "task", ("note", "Task")),
        ("one_of", WON, (LOST, Ref(UUID(int=1)))),
        ("one_of", Decimal(2), (Decimal(1), Decimal(2))),
    ],
)
def test_it_holds(operator: str, now: Any, value: Any) -> None:
    assert holds(operator, now, value)


@pytest.mark.parametrize(
    ("operator", "now", "value"),
    [
        ("equals", "Acme", "Acme Ltd"),
        ("equals", WON, LOST),
        ("equals", "Acme", None),
        ("not_equals", "acme", "ACME"),
        ("contains", "Acme", "vip"),
        ("greater_than", Decimal(100), Decimal(100)),
        ("less_than", date(2026, 3, 2), date(2026, 3, 2)),
        ("is_empty", Decimal(0), None),
        ("is_empty", False, None),
        ("is_not_empty", "", None),
        ("one_of", "call", ("note", "task")),
        ("one_of", "call", ()),
        ("one_of", "call", None),
    ],
)
def test_it_does_not_hold(operator: str, now: Any, value: Any) -> None:
    assert not holds(operator, now, value)


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"not_equals", "is_empty"}))
def test_a_missing_value_matches_nothing_but_is_empty_and_not_equals(operator: str) -> None:
    """D33: what is not there is unequal to anything, and no other comparison holds of it."""
    assert not holds(operator, None, "x")
    assert holds("not_equals", None, "x")
    assert holds("is_empty", None)


def test_equal_to_nothing_means_empty() -> None:
    assert holds("equals", None, None)
    assert holds("equals", "x", None) is holds("is_empty", "x") is False
    assert holds("not_equals", "x", None) is holds("is_not_empty", "x") is True
    assert not holds("not_equals", None, None)


@pytest.mark.parametrize(
    ("now", "value"),
    [
        ("banana", Decimal(5)),
        (date(2026, 3, 2), "soon"),
        (Decimal(5), date(2026, 3, 2)),
        (WON, Decimal(1)),
        (True, Decimal(0)),
    ],
)
def test_what_cannot_be_compared_is_neither_more_nor_less_nor_equal(now: Any, value: Any) -> None:
    """D37: number against text, date against text: no error, no match."""
    assert not holds("greater_than", now, value)
    assert not holds("less_than", now, value)
    assert not holds("equals", now, value)
    assert holds("not_equals", now, value)


@pytest.mark.parametrize(
    ("now", "value", "same"),
    [
        ("007", Decimal(7), False),
        ("007", "7", False),
        ("007", "007", True),
        (Decimal(7), "7", True),
        (Decimal(7), "007", False),
        (Decimal(7000), "7,000", True),
        (Decimal(7), "7.00", True),
        (Decimal(7), "seven", False),
        ("100", Decimal(100), True),
        (True, "yes", True),
        (False, "yes", False),
        (True, "maybe", False),
    ],
)
def test_a_custom_field_is_compared_as_what_it_holds(now: Any, value: Any, same: bool) -> None:
    """D38: the text "007" is no number 7; a written "7" meets a number as a number."""
    assert holds("equals", now, value) is same
    assert holds("one_of", now, (value,)) is same


def test_a_custom_field_can_be_more_and_less() -> None:
    assert holds("greater_than", Decimal(150), "99")
    assert not holds("greater_than", "150", "99")
    assert holds("less_than", "2026-03-01", "2026-03-02")


def test_references_are_equal_by_id_whatever_they_are_called() -> None:
    """D39: a renamed stage is still the same stage."""
    assert holds("equals", Ref(UUID(int=1), "Won"), Ref(UUID(int=1), "Sieg"))
    assert not holds("equals", Ref(UUID(int=1), "Won"), Ref(UUID(int=2), "Won"))


@pytest.mark.parametrize(
    ("before", "now", "differs"),
    [
        ("a", "b", True),
        ("a", "A", False),
        ("a", None, True),
        (None, "a", True),
        (None, None, False),
        (None, "", False),
        (Decimal("1.0"), Decimal(1), False),
        (WON, LOST, True),
        (WON, Ref(UUID(int=1)), False),
    ],
)
def test_changed_means_different_by_the_fields_type(before: Any, now: Any, differs: bool) -> None:
    assert holds("changed", now, before=before) is differs
    assert holds("changed_to", now, now, before) is differs
    assert holds("changed_from", now, before, before) is differs


def test_changed_to_and_from_look_at_both_ends() -> None:
    assert holds("changed_to", LOST, WON, WON) is False
    assert holds("changed_to", WON, WON, LOST) is True
    assert holds("changed_from", WON, LOST, LOST) is True
    assert holds("changed_from", WON, WON, LOST) is False


def test_changed_to_nothing_and_from_nothing() -> None:
    assert holds("changed_to", None, None, "x")
    assert holds("changed_from", "x", None, None)


def test_what_is_new_changed_from_nothing_at_all() -> None:
    assert holds("changed", "x", is_new=True)
    assert holds("changed_to", "x", "x", is_new=True)
    assert not holds("changed_from", "x", None, is_new=True)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.text(), st.decimals(), st.dates(), st.datetimes(timezones=st.just(UTC)),
    st.builds(Ref, st.uuids(), st.text()),
)  # fmt: skip


@given(
    st.sampled_from(sorted(OPERATORS)),
    ANYTHING,
    ANYTHING | st.tuples(ANYTHING, ANYTHING),
    ANYTHING,
    st.booleans(),
)
def test_no_operator_ever_raises(operator: str, now: Any, value: Any, before: Any, is_new: bool) -> None:
    assert holds(operator, now, value, before, is_new=is_new) in (True, False)
