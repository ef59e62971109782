"""The engine, written down: what was there, what somebody changed, which rules there were → what came of it.

The cases run on paper: records are dicts, actions set their fields, nothing is stored. What a case expects is the
record afterwards and the log: one line per rule that acted, failed or was cut, with its round. `looks` are the lines
of those that looked, as kept for "why did it not act?".
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmweb.errors import WorkflowExecutionError
from crmweb.workflow.rounds import Limits, Progress, Rule, run
from tests.support.paper import DEAL, ENTITY, Paper, play, put, rule

NOTE, NOTIFY, FAIL = ("note", "Hello"), ("notify", None), ("fail", "no such person")
ONCE = "It already ran for this record in this change."
ROUNDS = "Rules had set off each other for 5 rounds."
ACTIONS = "Rules had done 50 actions after this change."


@dataclass(frozen=True)
class Case:
    """`was`: the deal before (None: it is made); `change`: what the person sets (None: deletes it)."""

    says: str
    rules: tuple[Rule, ...]
    log: tuple[str, ...]
    was: dict[str, Any] | None = field(default_factory=lambda: {"stage": "Lead", "amount": "low"})
    change: dict[str, Any] | None = field(default_factory=lambda: {"stage": "Won"})
    then: dict[str, Any] = field(default_factory=dict)
    looks: tuple[str, ...] | None = None
    undone: bool = False


WON = ("stage", "equals", "Won")
TO_WON = ("stage", "changed_to", "Won")
LOW = ("amount", "equals", "low")
NOTED = ("1 A acted: note Hello",)

CASES = (
    # When a rule looks, and whether it matches
    Case("without conditions a rule always acts", (rule("A"),), NOTED),
    Case(
        "a condition that holds lets it act",
        (rule("A", WON),),
        NOTED,
        looks=("1 update A matched",),
    ),
    Case(
        "a condition that does not hold keeps it still, and the log says which one and what it saw",
        (rule("A", LOW, ("stage", "equals", "Lead")),),
        (),
        looks=("1 update A no, 1: Won",),
    ),
    Case("all conditions must hold", (rule("A", WON, ("amount", "equals", "high")),), ()),
    Case(
        "a rule for another trigger does not look",
        (rule("A", on="create"), rule("B", on="delete")),
        (),
        looks=(),
    ),
    Case("a rule for another type does not look", (rule("A", of="Entity"),), (), looks=()),
    Case("a new record sets off create rules", (rule("A", WON, on="create"),), NOTED, was=None),
    Case("a new record sets off no update rules", (rule("A", WON),), (), was=None, looks=()),
    Case(
        "a deleted record sets off delete rules, which see it as it was",
        (rule("A", ("stage", "equals", "Lead"), on="delete"),),
        NOTED,
        change=None,
    ),
    Case("an empty save fires nothing", (rule("A"),), (), change={"stage": "Lead"}, looks=()),
    # Changed, changed to, changed from
    Case("“changed” sees a difference", (rule("A", ("stage", "changed")),), NOTED),
    Case("“changed” does not see other fields' differences", (rule("A", ("amount", "changed")),), ()),
    Case("“changed to” acts on the change", (rule("A", TO_WON),), NOTED),
    Case(
        "“changed to” does not act on later edits",
        (rule("A", TO_WON),),
        (),
        was={"stage": "Won"},
        change={"amount": "high"},
        looks=("1 update A no, 0: Won",),
    ),
    Case("“changed from” looks at what was", (rule("A", ("stage", "changed_from", "Lead")),), NOTED),
    Case(
        "“changed from” of another value does not act",
        (rule("A", ("stage", "changed_from", "Proposal")),),
        (),
    ),
    Case("a new record's fields changed from nothing", (rule("A", TO_WON, on="create"),), NOTED, was=None),
    Case(
        "a new record changed from no value",
        (rule("A", ("stage", "changed_from", None), on="create"),),
        (),
        was=None,
    ),
    # Becomes true
    Case("“becomes true” acts when it was false before", (rule("A", WON, fires="becomes_true"),), NOTED),
    Case(
        "“becomes true” does not act again while it stays true",
        (rule("A", WON, fires="becomes_true"),),
        (),
        was={"stage": "Won"},
        change={"amount": "high"},
        looks=("1 update A no, -1: it held before",),
    ),
    Case("“every time” does", (rule("A", WON),), NOTED, was={"stage": "Won"}, change={"amount": "high"}),
    Case(
        "a new record was not there, so it becomes true",
        (rule("A", WON, on="create", fires="becomes_true"),),
        NOTED,
        was=None,
    ),
    Case(
        "a deletion becomes true once",
        (rule("A", LOW, on="delete", fires="becomes_true"),),
        NOTED,
        change=None,
    ),
    Case(
        "“becomes true” holds of all conditions together",
        (rule("A", WON, LOW, fires="becomes_true"),),
        NOTED,
        was={"stage": "Lead", "amount": "low"},
    ),
    Case(
        "“becomes true” with a change acts on each such change",
        (rule("A", ("amount", "changed"), WON, fires="becomes_true"),),
        NOTED,
        was={"stage": "Won"},
        change={"amount": "high"},
    ),
    # Order, and what later rules see
    Case(
        "rules act strictly in their order",
        (rule("B", do=[NOTIFY]), rule("A", do=[NOTIFY])),
        ("1 B acted: notified", "1 A acted: notified"),
    ),
    Case(
        "a rule sees the record as earlier rules left it",
        (rule("A", WON, do=[put(amount="high")]), rule("B", ("amount", "equals", "high"), do=[NOTIFY])),
        ("1 A acted: amount=high", "1 B acted: notified"),
        then={"amount": "high"},
    ),
    Case(
        "an earlier rule sees what a later one did in the next round",
        (rule("A", ("amount", "equals", "high"), do=[NOTIFY]), rule("B", WON, do=[put(amount="high")])),
        ("1 B acted: amount=high", "2 A acted: notified"),
        then={"amount": "high"},
        looks=("1 update A no, 0: low", "1 update B matched", "2 update A matched", f"2 update B no: {ONCE}"),
    ),
    Case(
        "the last rule that sets a field wins",
        (rule("A", do=[put(amount="a")]), rule("B", do=[put(amount="b")])),
        ("1 A acted: amount=a", "1 B acted: amount=b", f"2 A cut: {ONCE} “B” changed it last."),
        then={"amount": "b"},
    ),
    Case(
        "several actions are done in order",
        (rule("A", do=[NOTE, put(amount="high"), NOTIFY]),),
        ("1 A acted: note Hello, amount=high, notified",),
        then={"amount": "high"},
    ),
    Case(
        "writing the same value is no effect",
        (rule("A", do=[put(stage="Won")]),),
        (),
        looks=("1 update A matched",),
    ),
    # Stop after
    Case(
        "“stop here” keeps the rules below from looking",
        (rule("A", do=[NOTIFY], stop_after=True), rule("B")),
        ("1 A acted: notified",),
        looks=("1 update A matched",),
    ),
    Case(
        "it stops them in later rounds of the same change too",
        (rule("A", do=[put(owner="Ann")], stop_after=True), rule("B", do=[put(owner="Tom")])),
        ("1 A acted: owner=Ann",),
        then={"owner": "Ann"},
    ),
    Case(
        "a rule that stops but does not match stops nothing",
        (rule("A", LOW, ("stage", "equals", "Lead"), stop_after=True), rule("B", do=[NOTIFY])),
        ("1 B acted: notified",),
    ),
    Case(
        "one that has nothing left to do stops all the same",
        (rule("A", WON, do=[put(stage="Won")], stop_after=True), rule("B", do=[NOTIFY])),
        (),
    ),
    Case(
        "one that failed does not",
        (rule("A", do=[FAIL], stop_after=True), rule("B", do=[NOTIFY])),
        ("1 A failed: no such person", "1 B acted: notified"),
    ),
    # Failure
    Case(
        "a failing rule is taken back whole and the others go on",
        (rule("A", do=[put(amount="high"), FAIL]), rule("B", LOW, do=[NOTIFY])),
        ("1 A failed: no such person", "1 B acted: notified"),
        then={"amount": "low"},
    ),
    Case(
        "a rule that failed is not tried again in this change",
        (rule("A", do=[FAIL]), rule("B", do=[put(amount="high")])),
        ("1 A failed: no such person", "1 B acted: amount=high"),
        then={"amount": "high"},
    ),
    Case(
        "a rule that may undo the change does",
        (rule("A", do=[FAIL], on_failure="undo"), rule("B")),
        ("1 A failed: no such person",),
        undone=True,
    ),
    # Cascades and bounds
    Case(
        "a rule's own change does not set it off again",
        (rule("A", ("stage", "changed"), do=[put(stage="Lost"), NOTE]),),
        ("1 A acted: stage=Lost, note Hello",),
        then={"stage": "Lost"},
    ),
    Case(
        "two rules that undo each other are cut, once each",
        (
            rule("A", ("stage", "equals", "Won"), do=[put(stage="Lost")]),
            rule("B", ("stage", "equals", "Lost"), do=[put(stage="Won")]),
        ),
        ("1 A acted: stage=Lost", "1 B acted: stage=Won", f"2 A cut: {ONCE} “B” changed it last."),
        then={"stage": "Won"},
    ),
    Case(
        "“becomes true” is not cut because another rule touched the record",
        (rule("A", WON, fires="becomes_true"), rule("B", do=[put(amount="high")])),
        ("1 A acted: note Hello", "1 B acted: amount=high"),
        then={"amount": "high"},
    ),
    Case(
        "“changed to” is not cut either",
        (rule("A", TO_WON), rule("B", do=[put(amount="high")])),
        ("1 A acted: note Hello", "1 B acted: amount=high"),
        then={"amount": "high"},
    ),
    Case(
        "nor is “every time”, as long as nothing changed that the rule reads",
        (rule("A", WON), rule("B", do=[put(amount="high")])),
        ("1 A acted: note Hello", "1 B acted: amount=high"),
        then={"amount": "high"},
    ),
    Case(
        "it is when another rule changed what it reads",
        (rule("A", ("amount", "is_not_empty")), rule("B", do=[put(amount="high")])),
        ("1 A acted: note Hello", "1 B acted: amount=high", f"2 A cut: {ONCE} “B” changed it last."),
        then={"amount": "high"},
    ),
    Case(
        "a chain of rules runs for five rounds, and the sixth is cut",
        tuple(rule(f"R{n}", ("step", "equals", n), do=[put(step=n + 1)]) for n in range(7, 0, -1)),
        (
            *(f"{n} R{n} acted: step={n + 1}" for n in range(1, 6)),
            f"6 R6 cut: {ROUNDS} “R5” changed it last.",
        ),
        change={"step": 1},
        then={"step": 6},
    ),
    Case(
        "fifty actions per record are done, the fifty-first is cut",
        tuple(rule(f"R{n:02}", do=[NOTIFY] * 10) for n in range(6)),
        (*(f"1 R{n:02} acted: {', '.join(['notified'] * 10)}" for n in range(5)), f"1 R05 cut: {ACTIONS}"),
    ),
    Case(
        "what would have no effect is not cut",
        (*(rule(f"R{n:02}", do=[NOTIFY] * 10) for n in range(5)), rule("Z", do=[put(stage="Won")])),
        tuple(f"1 R{n:02} acted: {', '.join(['notified'] * 10)}" for n in range(5)),
    ),
    Case(
        "a rule changes the entity, and the entity's rules follow in the next round",
        (
            rule("A", WON, do=[("entity", {"status": "Active"})]),
            rule("E", ("status", "changed_to", "Active"), of="Entity", do=[NOTE]),
        ),
        ("1 A acted: status=Active", "2 E acted: note Hello"),
    ),
    Case(
        "an activity that a rule made sets off other rules",
        (rule("A", WON, do=[NOTE]), rule("N", of="Activity", on="create", do=[NOTIFY])),
        ("1 A acted: note Hello", "2 N acted: notified"),
    ),
    Case(
        "but never one in its own chain",
        (rule("A", WON, do=[NOTE]), rule("N", of="Activity", on="create", do=[("note", "Again")])),
        ("1 A acted: note Hello", "2 N acted: note Again"),
        looks=(
            "1 update A matched",
            "2 create N matched",
            "3 create N no: It is one of the rules that made this record.",
        ),
    ),
    Case(
        "two rules that answer each other's notes end with each other",
        (
            rule("A", WON, do=[NOTE]),
            rule("N", of="Activity", on="create", do=[("note", "n")]),
            rule("M", of="Activity", on="create", do=[("note", "m")]),
        ),
        (
            "1 A acted: note Hello",
            "2 N acted: note n",
            "2 M acted: note m",
            "3 M acted: note m",
            "3 N acted: note n",
        ),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_what_rules_do(case: Case) -> None:
    paper = play(case.rules, case.was, case.change)
    if case.undone:
        with pytest.raises(WorkflowExecutionError, match="no such person"):
            run(case.rules, paper, Progress())
    else:
        run(case.rules, paper, Progress())
    assert tuple(paper.log) == case.log
    assert paper.records[DEAL] == {**(case.was or {}), **(case.change or {}), **case.then}
    if case.looks is not None:
        assert tuple(paper.looks) == case.looks


def test_each_record_that_the_person_touched_has_fifty_actions_of_its_own() -> None:
    rules = (*(rule(f"R{n}", do=[NOTIFY] * 10) for n in range(5)), rule("E", of="Entity", do=[NOTIFY] * 10))
    paper = play(rules, {"stage": "Lead"}, {"stage": "Won"})
    paper.happen(ENTITY, "update", status="Active")
    run(rules, paper, Progress())
    assert paper.log[-1].startswith("1 E acted")


def test_a_record_that_the_person_and_a_rule_touched_counts_for_itself() -> None:
    """A deal's rule changes the entity first; the person touched it too, so its actions are its own."""
    busy = tuple(rule(f"R{n}", do=[("entity", {"status": f"s{n}"}), *[NOTIFY] * 9]) for n in range(5))
    rules = (*busy, rule("E", of="Entity", do=[NOTIFY]))
    paper = play(rules, {"stage": "Lead"}, {"stage": "Won"})
    paper.happen(ENTITY, "update", status="Active")
    run(rules, paper, Progress())
    assert "1 E acted: notified" in paper.log


def test_five_failures_in_a_row_pause_a_rule_at_once() -> None:
    """D41: a rule that is paused in the middle of a large change fails no more in it."""
    rules = (rule("A", on="create", do=[FAIL]), rule("B", on="create", do=[NOTIFY]))
    paper = Paper({}, {})
    paper.names = {str(one.id): one.name for one in rules}
    for number in range(8):
        paper.types[UUID(int=number)] = "Deal"
        paper.happen(UUID(int=number), "create", stage="Lead")
    run(rules, paper, Progress())
    assert paper.log.count("1 A failed: no such person") == 5
    assert paper.log.count("1 B acted: notified") == 8


def test_firings_count_over_the_whole_change_even_when_rules_run_twice_in_it() -> None:
    rules, progress = (rule("A", do=[NOTIFY]),), Progress()
    paper = play(rules, {"stage": "Lead"}, {"stage": "Won"})
    run(rules, paper, progress)
    paper.happen(DEAL, "update", amount="high")
    run(rules, paper, progress)
    assert paper.log == ["1 A acted: notified"]
    assert paper.looks[-1] == f"2 update A no: {ONCE}"


FIELDS = ("stage", "amount", "step")
VALUES = st.sampled_from(("Won", "Lead", "high", None))
ACTS = st.one_of(
    st.builds(lambda name, value: ("set", {name: value}), st.sampled_from(FIELDS), VALUES),
    st.builds(lambda value: ("entity", {"status": value}), VALUES),
    st.sampled_from((NOTE, NOTIFY, FAIL)),
)
OPERATORS = (
    "equals",
    "not_equals",
    "changed",
    "changed_to",
    "changed_from",
    "is_empty",
    "contains",
    "greater_than",
)
CONDITIONS = st.tuples(st.sampled_from((*FIELDS, "status", "subject")), st.sampled_from(OPERATORS), VALUES)


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[Rule, ...]:
    return tuple(
        rule(
            f"R{number:02}", *draw(st.lists(CONDITIONS, max_size=2)), do=draw(st.lists(ACTS, min_size=1, max_size=8)),
            of=draw(st.sampled_from(("Deal", "Entity", "Activity"))), on=draw(st.sampled_from(("create", "update"))),
            fires=draw(st.sampled_from(("every_time", "becomes_true"))), stop_after=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 12)))
    )  # fmt: skip


RECORDS = st.dictionaries(st.sampled_from(FIELDS), VALUES)


@given(rule_sets(), RECORDS, RECORDS, st.booleans())
def test_any_rules_come_to_rest_within_the_bounds_and_in_order(
    rules: tuple[Rule, ...], was: dict[str, Any], change: dict[str, Any], is_new: bool
) -> None:
    limits = Limits(rounds=5, actions=50)
    progress, paper = Progress(), play(rules, None if is_new else was, change)
    run(rules, paper, progress, limits)

    assert progress.number <= limits.rounds + 1
    assert all(number <= limits.rounds for number, *_ in paper.tried)
    assert sum(len(one.actions) for _, _, one in paper.tried) <= limits.actions
    once = [(one.id, occasion.record) for _, occasion, one in paper.tried]
    assert len(once) == len(set(once))
    for _, look in itertools.groupby(paper.tried, key=lambda entry: entry[:2]):
        names = [one.name for *_, one in look]
        assert names == sorted(names)
