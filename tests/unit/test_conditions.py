"""When a rule's conditions hold, and what the log keeps when they do not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crmweb.workflow.conditions import Condition, Verdict, judge
from crmweb.workflow.kinds import Ref
from crmweb.workflow.operators import OPERATORS

BIG = Condition("amount", "greater_than", Decimal(100))
WON = Condition("status", "equals", "closed_won")
STAGE = Condition("stage", "changed_to", Ref(UUID(int=1)))


def test_no_condition_means_always() -> None:
    assert judge((), {}, None) == Verdict(True)


def test_all_conditions_must_hold_and_the_first_that_fails_is_kept() -> None:
    assert judge((BIG, WON), {"amount": Decimal(500), "status": "closed_won"}, {}).matched
    assert judge((BIG, WON), {"amount": Decimal(50), "status": "open"}, {}) == Verdict(False, 0, "50")
    assert judge((BIG, WON), {"amount": Decimal(500), "status": "open"}, {}) == Verdict(False, 1, "open")


def test_the_log_keeps_what_was_seen_as_text_and_nothing_for_what_is_missing() -> None:
    assert judge((STAGE,), {"stage": Ref(UUID(int=2), "Lead")}, {}).seen == "Lead"
    assert judge((BIG,), {"amount": None}, {}).seen is None
    assert judge((BIG,), {}, {}).seen is None


def test_becomes_true_is_false_before_and_true_now() -> None:
    low, high = {"amount": Decimal(50)}, {"amount": Decimal(500)}
    assert judge((BIG,), high, low, "becomes_true").matched
    assert judge((BIG,), high, high, "becomes_true") == Verdict(False, -1, "it held before")
    assert judge((BIG,), low, high, "becomes_true") == Verdict(False, 0, "50")


def test_what_was_absent_was_false() -> None:
    assert judge((BIG,), {"amount": Decimal(500)}, None, "becomes_true").matched


def test_becomes_true_with_a_change_is_true_at_each_such_change() -> None:
    won, lost = Ref(UUID(int=1)), Ref(UUID(int=2))
    assert judge((STAGE,), {"stage": won}, {"stage": lost}, "becomes_true").matched
    assert not judge((STAGE,), {"stage": won}, {"stage": won}, "becomes_true").matched


def test_an_absent_condition_field_is_a_missing_value() -> None:
    assert judge((Condition("nowhere", "is_empty"),), {}, {}).matched
    assert not judge((Condition("nowhere", "equals", "x"),), {}, {}).matched


VALUES = st.one_of(st.none(), st.text(max_size=5), st.decimals(), st.dates(), st.builds(Ref, st.uuids()))
SNAPSHOTS = st.dictionaries(st.sampled_from("abc"), VALUES)


@given(
    st.lists(
        st.builds(Condition, st.sampled_from("abc"), st.sampled_from(sorted(OPERATORS)), VALUES), max_size=3
    ),
    SNAPSHOTS,
    st.none() | SNAPSHOTS,
    st.sampled_from(("every_time", "becomes_true")),
)
def test_conditions_never_raise(conditions: list[Condition], now: Any, before: Any, fires: str) -> None:
    verdict = judge(conditions, now, before, fires)
    assert verdict.matched is (verdict.failing is None)
