"""When a rule would have acted on a record, told from what was recorded: the engine's order, without the engine.

In a change set a rule looks at a record once in each round in which something happened to it: after everything that
came before in that round, before what rules below it did. That is where its conditions are asked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from crmweb.ledger import WHOLE
from crmweb.models.snapshot import is_same
from crmweb.workflow.conditions import Condition
from crmweb.workflow.past import AFTER, Moment, Row, State, States, by_change_set
from crmweb.workflow.rounds import NO_MORE_THAN, Limits, Rule

UNSEEN = frozenset({"stage_entered_at"})
"""What changes by itself with a move is no occasion of its own."""
Name = Callable[[str, UUID], str | None]
Place = tuple[int, str]
"""A rule's order, and its id where two have the same."""


class Run(NamedTuple):
    """A rule's run as the log has it. `place`: the rule's in the order."""

    rule: UUID
    record: UUID
    place: Place


class Stop(NamedTuple):
    """A rule at `place` acted on the record, and the rules below it did not look at it any more.

    `only`: where that rule looks at all.
    """

    change_set: UUID
    record: UUID
    round: int
    trigger: str
    place: Place
    only: tuple[Condition, ...] = ()


class Spot(NamedTuple):
    """A look: the rows before `start` came before its round, those before `at` before the look itself."""

    start: int
    at: int
    trigger: str
    stoppers: tuple[Stop, ...]


class Trace(NamedTuple):
    """A record was touched in a round, by a rule's run or, without one, by the person."""

    record: UUID
    round: int
    run: UUID | None


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a record: its state now and that of what it belongs to, all their changes (newest first).

    `traces`: change set → what was touched in it, in order, where rules ran. `quiet`: change sets in which none did.
    """

    record: UUID
    present: Mapping[UUID, State | None]
    rows: Sequence[Row]
    runs: Mapping[UUID, Run] = field(default_factory=dict)
    stops: Sequence[Stop] = ()
    traces: Mapping[UUID, Sequence[Trace]] = field(default_factory=dict)
    quiet: frozenset[UUID] = frozenset()


def fired(rule: Rule, place: Place, past: Past, name: Name, limits: Limits = NO_MORE_THAN) -> Iterator[UUID]:
    """The change sets in which the rule, at `place` in the order, would have acted on the record; newest first."""
    states = States(past.present)
    for rows in by_change_set(past.rows):
        is_quiet = rows[0].change_set in past.quiet
        spots = [] if is_quiet else list(_spots(rule, place, past, rows, limits))
        made = next((index for index, row in enumerate(rows, 1) if _makes(row, past.record)), 0)
        wanted = {made, *(index for spot in spots for index in (spot.start, spot.at))}
        then: dict[int, States] = {}
        for index in range(len(rows), -1, -1):
            if index in wanted:
                then[index] = states.copy()
            if index:
                states.undo(rows[index - 1])
        looks = (_Look(rule, past.record, spot, then, states, then[made], name) for spot in spots)
        if any(look.acts() for look in looks):
            yield rows[0].change_set
        if any(row.record == past.record and row.round != AFTER for row in rows):
            states.rejuvenate(past.record)


@dataclass(frozen=True, slots=True)
class _Look:
    """The rule before the record, at a spot of a change set.

    `then`: the states at its rows, `before`: at its start, `first`: at its start, or when the record had been made.
    """

    rule: Rule
    record: UUID
    spot: Spot
    then: Mapping[int, States]
    before: States
    first: States
    name: Name

    def acts(self) -> bool:
        """Whether it would have acted."""
        if not self._is_occasion():
            return False
        here, there, first = self._at(self.then[self.spot.at]), self._before(), self._at(self.first)
        if any(all(part.holds(here, first) for part in stop.only) for stop in self.spot.stoppers):
            return False
        return self.rule.is_for(here, first) and self.rule.judge(here, there, self.spot.trigger).matched

    def _is_occasion(self) -> bool:
        """Whether the record was different when the round began; made and deleted ones are in any case."""
        now, before = self.then[self.spot.start].get(self.record), self.before.get(self.record)
        if self.spot.trigger != "update" or now is None or before is None:
            return True
        return any(not is_same(now.get(name), before.get(name)) for name in {*now, *before} - UNSEEN)

    def _before(self) -> Moment | None:
        return self._at(self.before) if self.before.has(self.record) else None

    def _at(self, states: States) -> Moment:
        return Moment(states, self.record, self.rule.entity_type, self.name)


def _makes(row: Row, record: UUID) -> bool:
    return row.record == record and row.field == WHOLE and row.new is not None


def _spots(rule: Rule, place: Place, past: Past, rows: list[Row], limits: Limits) -> Iterator[Spot]:
    """Where in a change set the rule looks at the record, round by round."""
    traces = past.traces.get(rows[0].change_set, ())
    if rule.id in _chains(past, traces).get(past.record, ()):
        return
    own = (
        stop for stop in past.stops if stop.change_set == rows[0].change_set and stop.record == past.record
    )
    above, is_met = [stop for stop in own if stop.place < place], False
    for number in range(1, limits.rounds + 1):
        trigger = _happened(past.record, rows, number - 1, is_met=is_met)
        is_met = is_met or bool(trigger)
        if trigger == rule.trigger:
            start = next((index for index, row in enumerate(rows) if row.round >= number), len(rows))
            stoppers = tuple(stop for stop in above if stop.round <= number and stop.trigger == trigger)
            earlier = [trace.record for trace in traces if trace.round == number - 1]
            yield Spot(
                start, _spot(past, rows, list(dict.fromkeys(earlier)), number, place), trigger, stoppers
            )


def _happened(record: UUID, rows: list[Row], number: int, *, is_met: bool) -> str:
    """What happened to the record in a round: create, update, delete, or nothing."""
    own = [row for row in rows if row.record == record and row.round == number]
    if not own:
        return ""
    whole = next((row for row in reversed(own) if row.field == WHOLE), None)
    if whole is None or is_met:
        return "update"
    return "delete" if whole.new is None else "create"


def _spot(past: Past, rows: list[Row], row_of: list[UUID], number: int, place: Place) -> int:
    """The index of the first row that came after the rule's look in this round, in which `row_of` are looked at."""
    for index, row in enumerate(rows):
        if row.round > number:
            return index
        run = past.runs.get(row.run) if row.round == number and row.run else None
        if run is None:
            continue
        is_own = run.record == past.record
        is_later = run.record in row_of and row_of.index(run.record) > row_of.index(past.record)
        if is_later or (is_own and run.place >= place):
            return index
    return len(rows)


def _chains(past: Past, traces: Sequence[Trace]) -> dict[UUID, frozenset[UUID]]:
    """Which rules' doing brought each record about in this change set."""
    chains: dict[UUID, frozenset[UUID]] = {}
    for trace in traces:
        run = past.runs.get(trace.run) if trace.run else None
        if run is not None and run.record != trace.record:
            own = chains.get(run.record, frozenset()) | {run.rule}
            chains[trace.record] = chains.get(trace.record, frozenset()) | own
    return chains
