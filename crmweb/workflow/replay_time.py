"""When time would have brought a record to a rule, told from its past: what `due` asks of rows, asked of states."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import Any
from uuid import UUID

from crmweb import clock
from crmweb.models.types import as_id
from crmweb.workflow import kinds
from crmweb.workflow.past import Moment, State, States, by_change_set
from crmweb.workflow.replay import Name, Past, Place
from crmweb.workflow.rounds import Rule
from crmweb.workflow.triggers import BEFORE, days

Config = Mapping[str, Any]
FIRST: Place = (-(2**31), "")
LAST: Place = (2**31, "~")
FIRST_DAY, LAST_DAY = date.min.toordinal() + 2, date.max.toordinal() - 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which nothing about the record changed: from `start` until `end`, exclusive; UTC.

    `ended_by`: the place of the rule of time that ended it, if one did; it and those above saw the record as it was.
    """

    start: datetime
    end: datetime
    states: States
    last_sign: datetime | None
    ended_by: Place = FIRST

    def has(self, at: datetime, place: Place) -> bool:
        """Whether a rule at that place could meet the record then. Rules whose day is the same are asked in order."""
        if self.ended_by > FIRST and clock.day_of(at) == clock.day_of(self.end):
            return at <= self.end and place <= self.ended_by
        return at < self.end


@dataclass(frozen=True, slots=True)
class Window:
    """The past that is looked at, and what is known of it: when each change set was, when people gave signs of life.

    `timed`: the change sets that time brought about.
    """

    since: datetime
    now: datetime
    times: Mapping[UUID, datetime]
    signs: tuple[datetime, ...] = ()
    timed: frozenset[UUID] = frozenset()


def met(
    rule: Rule, place: Place, config_: Config, past: Past, window: Window, name: Name
) -> Iterator[datetime]:
    """The times (UTC) at which the rule would have met the record and acted, the oldest first."""
    known: set[datetime] = set()
    for stretch in _stretches(past, window):
        state = stretch.states.get(past.record)
        if state is None or not _is_there(stretch.states, past.record, state):
            continue
        counted_from = _counted_from(rule, config_, state, stretch)
        if counted_from is None or counted_from in known:
            continue
        moment = _moment(rule, config_, state, counted_from)
        if moment < window.since:  # that was before
            known.add(counted_from)
            continue
        at = max(moment, stretch.start)
        if not stretch.has(at, place) or not _fits(rule, config_, state, counted_from, at):
            continue
        known.add(counted_from)
        here = Moment(stretch.states, past.record, rule.entity_type, name)
        if rule.judge(here, here, rule.trigger).matched:
            yield at


def _stretches(past: Past, window: Window) -> list[Stretch]:
    """The record's life in the window, in pieces in which nothing changed, the oldest first."""
    states, end, ended_by = States(past.present), window.now, LAST
    found: list[Stretch] = []
    for rows in by_change_set(past.rows):
        start = window.times[rows[0].change_set]
        found[:0] = _split(start, end, states.copy(), ended_by, window)
        for row in reversed(rows):
            states.undo(row)
        run = past.runs.get(rows[0].run) if rows[0].run and rows[0].round == 1 else None
        end, ended_by = start, run.place if run and rows[0].change_set in window.timed else FIRST
    found[:0] = _split(window.since, end, states.copy(), ended_by, window)
    return sorted(found, key=lambda stretch: stretch.start)


def _split(
    start: datetime, end: datetime, states: States, ended_by: Place, window: Window
) -> Iterator[Stretch]:
    """The stretch, cut wherever a person gave a sign of life."""
    signs = window.signs
    cuts = [start, *signs[bisect_right(signs, start) : bisect_left(signs, end)], end]
    for begin, stop in pairwise(cuts):
        by = ended_by if stop == end else FIRST
        if begin < stop or by != FIRST:
            known = bisect_right(signs, begin)
            yield Stretch(begin, stop, states, signs[known - 1] if known else None, by)


def _is_there(states: States, record: UUID, state: State) -> bool:
    """Whether the record is there, and what an activity is on."""
    home = state.get("deal_id") or state.get("entity_id") if "due_at" in state else None
    return states.has(record) and (home is None or states.has(UUID(home)))


def _counted_from(rule: Rule, config_: Config, state: State, stretch: Stretch) -> datetime | None:
    if rule.trigger == "date_reached":
        return _time(state.get(config_["field"]))
    entered = _time(state.get("stage_entered_at"))
    if rule.trigger == "no_activity" and entered and stretch.last_sign:
        return max(entered, stretch.last_sign)
    return entered


def _moment(rule: Rule, config_: Config, state: State, counted_from: datetime) -> datetime:
    """When it is time: the first moment of the day, and of the day on which a sleeping deal wakes."""
    shift = -days(config_) if config_.get("side") == BEFORE else days(config_)
    asked = _later(_day(state, config_, counted_from), shift)
    until = state.get("snoozed_until") if rule.trigger == "no_activity" else None
    return clock.start_of(max(asked, date.fromisoformat(until)) if until else asked)


def _fits(rule: Rule, config_: Config, state: State, counted_from: datetime, at: datetime) -> bool:
    """What else a record must be, as in `due`."""
    if config_.get("side") == BEFORE and _day(state, config_, counted_from) < clock.day_of(at):
        return False
    if rule.trigger == "days_in_stage" and config_.get("stage"):
        return as_id(state["stage_id"]) == as_id(config_["stage"])
    if rule.trigger in ("days_in_stage", "no_activity") or config_.get("field") == "expected_close_date":
        return state.get("status") == "open"
    if rule.entity_type == "Activity":
        return state.get("type") == "task" and not state.get("completed_at")
    return True


def _day(state: State, config_: Config, counted_from: datetime) -> date:
    """The company's day that the days are counted from."""
    try:
        return clock.day_of(counted_from) if _is_moment(state, config_) else counted_from.date()
    except OverflowError:  # at an end of the calendar, where a day more or less is nothing
        return counted_from.date()


def _later(day: date, days_: int) -> date:
    """So many days later, within the calendar as every zone has it."""
    return date.fromordinal(min(max(day.toordinal() + days_, FIRST_DAY), LAST_DAY))


def _is_moment(state: State, config_: Config) -> bool:
    value = state.get(config_["field"]) if "field" in config_ else ""
    return value == "" or (isinstance(value, str) and len(value) > len("2026-12-31"))


def _time(written: Any) -> datetime | None:
    """A kept day or moment as a moment; days are their midnight UTC, as `due` has them."""
    if not written:
        return None
    value = kinds.typed(kinds.MOMENT if len(str(written)) > len("2026-12-31") else kinds.DATE, written)
    return value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
