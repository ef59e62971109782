"""When a rule's conditions hold, and what the log keeps when they do not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from crmweb.workflow.conditions import ALL, ANY, Condition, Group, Verdict, judge, leaves
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


def test_any_of_several_conditions_is_enough() -> None:
    low_and_won = {"amount": Decimal(50), "status": "closed_won"}
    assert judge((BIG, WON), low_and_won, {}, match=ANY).matched
    assert judge((BIG, WON), {"amount": Decimal(50), "status": "open"}, {}, match=ANY) == Verdict(
        False, 0, "50"
    )
    assert judge((), {}, {}, match=ANY).matched


def test_a_group_holds_or_fails_as_one_and_conditions_are_numbered_through_it() -> None:
    either = Group(ANY, (WON, Condition("status", "equals", "closed_lost")))
    late = Condition("name", "is_empty")
    big_and_open = {"amount": Decimal(500), "status": "open", "name": "x"}
    assert judge((BIG, either, late), big_and_open, {}) == Verdict(False, 1, "open")
    assert judge((BIG, either, late), {**big_and_open, "status": "closed_lost"}, {}) == Verdict(False, 3, "x")
    assert judge((either, BIG), {"status": "closed_won", "amount": Decimal(1)}, {}) == Verdict(False, 2, "1")
    unnamed = {"amount": Decimal(1), "status": "closed_won", "name": None}
    assert judge((BIG, Group(ALL, (WON, late))), unnamed, {}, match=ANY).matched


def test_becomes_true_looks_at_groups_as_well() -> None:
    parts = (Group(ANY, (BIG, WON)),)
    low, high = {"amount": Decimal(50), "status": "open"}, {"amount": Decimal(500), "status": "open"}
    won = {**low, "status": "closed_won"}
    assert judge(parts, high, low, "becomes_true").matched
    assert judge(parts, won, high, "becomes_true") == Verdict(False, -1, "it held before")


def test_the_trace_keeps_what_each_condition_saw_that_was_looked_at() -> None:
    parts = (BIG, Group(ANY, (WON, Condition("status", "equals", "open"))), Condition("name", "is_empty"))
    verdict = judge(parts, {"amount": Decimal(500), "status": "closed_won", "name": "x"}, {})
    assert verdict.kept() == [[1, "500"], [1, "closed_won"], None, [0, "x"]]
    assert judge((BIG, WON), {"amount": Decimal(5)}, {}).kept() == []
    assert judge((BIG,), {"amount": Decimal(500)}, {}).kept() == [[1, "500"]]


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


CONDITIONS = st.lists(
    st.builds(Condition, st.sampled_from("abc"), st.sampled_from(sorted(OPERATORS)), VALUES), max_size=3
)
MATCH = st.sampled_from((ALL, ANY))
PARTS = st.lists(
    st.builds(Condition, st.sampled_from("abc"), st.sampled_from(sorted(OPERATORS)), VALUES)
    | st.builds(Group, MATCH, CONDITIONS.map(tuple)),
    max_size=4,
)


def plainly_holds(part: Any, now: Any, before: Any) -> bool:
    if isinstance(part, Condition):
        return part.holds(now, before)
    held = [plainly_holds(inner, now, before) for inner in part.parts]
    return (all(held) if part.match == ALL else any(held)) or not held


@given(PARTS, MATCH, SNAPSHOTS, st.none() | SNAPSHOTS, st.sampled_from(("every_time", "becomes_true")))
def test_conditions_never_raise_and_hold_as_their_groups_say(
    parts: Any, match: str, now: Any, before: Any, fires: str
) -> None:
    verdict = judge(parts, now, before, fires, match)
    assert verdict.matched is (verdict.failing is None)
    whole = Group(match, tuple(parts))
    held_before = before is not None and plainly_holds(whole, before, before)
    news = fires == "every_time" or not held_before
    assert verdict.matched is (plainly_holds(whole, now, before) and news)
    if verdict.failing is not None and verdict.failing >= 0:
        assert not list(leaves(parts))[verdict.failing].holds(now, before)
