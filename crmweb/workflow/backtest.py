"""What a rule would have done in the past: its conditions asked of recorded states, its actions not run.

Records are gone through in the order of their ids, a page at a time, so that whoever asks can show how far it has come.
Only reading is done, and of each page by itself: nobody waits for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, inspect, select
from sqlalchemy.orm import Session

from crmweb import clock, config
from crmweb.models import (
    Activity,
    Change,
    ChangeSet,
    Deal,
    Entity,
    Stage,
    WorkflowRule,
)
from crmweb.models.activity import is_no_audit
from crmweb.models.locking import MODELS
from crmweb.models.snapshot import encode
from crmweb.workflow import around, catalog, checking, past_steps
from crmweb.workflow.conditions import leaves
from crmweb.workflow.past import AFTER, Row, State
from crmweb.workflow.replay import Past, Place, fired
from crmweb.workflow.replay_time import Window, met
from crmweb.workflow.rounds import Limits, Rule
from crmweb.workflow.signs import signs_of
from crmweb.workflow.triggers import TRIGGERS

PAGE = 200
QUIET = ("undo", "bookkeeping")
"""Causes of changes after which no rule runs."""
RELATED: dict[str, tuple[tuple[str, Any], ...]] = {
    "Deal": (("entity_id", Entity),), "Entity": (), "Activity": (("deal_id", Deal), ("entity_id", Entity)),
}  # fmt: skip


class Firing(NamedTuple):
    """The rule would have acted on the record at this time (UTC), in this change set; None: time alone did it."""

    record: UUID
    change_set: UUID | None
    at: datetime


class Page(NamedTuple):
    """What came of some records: the firings, how many records were looked at, and the last of them; None: all done."""

    firings: list[Firing]
    looked: int
    after: UUID | None


def size(session: Session, rule: WorkflowRule, since: datetime) -> int:
    """How many records there are to look at."""
    found = _candidates(rule, since).subquery()
    return session.scalar(select(func.count()).select_from(found)) or 0


def page(session: Session, rule: WorkflowRule, since: datetime, after: UUID | None = None) -> Page:
    """What the rule would have done since then to the PAGE records behind `after`. FieldError for a faulty rule."""
    compiled = checking.compile_rule(rule)
    model = MODELS[rule.entity_type]
    query = _candidates(rule, since).order_by(model.id).limit(PAGE)
    ids = list(session.scalars(query if after is None else query.where(model.id > after)))
    reader = _Reader(session, compiled, since)
    place = (rule.order if rule.__dict__.get("order") is not None else 2**31, str(rule.id))
    if _is_time(rule.trigger_event):
        signs = signs_of(session, ids) if rule.trigger_event == "no_activity" else {}
        firings = [
            firing
            for past in reader.pasts(ids)
            for firing in reader.meetings(past, place, rule.trigger_config, signs.get(past.record, ()))
        ]
    else:
        limits = Limits(config.settings.rule_rounds, config.settings.rule_actions)
        firings = [firing for past in reader.pasts(ids) for firing in reader.firings(past, place, limits)]
    return Page(firings, len(ids), ids[-1] if len(ids) == PAGE else None)


def _is_time(trigger: str) -> bool:
    return TRIGGERS[trigger].is_time


def _candidates(rule: WorkflowRule, since: datetime) -> Any:
    """What changed since then; time comes to what did not change, too."""
    model = MODELS[rule.entity_type]
    query = (
        select(model.id)
        if _is_time(rule.trigger_event)
        else select(model.id).where(model.updated_at >= since)
    )
    return query.where(is_no_audit()) if model is Activity else query


class _Reader:
    """Reads what is needed to go back in time with a page of records: a few statements, whatever their number."""

    def __init__(self, session: Session, rule: Rule, since: datetime) -> None:
        self._session, self._rule, self._since = session, rule, since
        self._times: dict[UUID, datetime] = {}
        self._timed: set[UUID] = set()
        read = {catalog.field(rule.entity_type, part.field).path for part in leaves(rule.conditions)}
        self._related = [
            (column, model)
            for column, model in RELATED[rule.entity_type]
            if column.removesuffix("_id") in read
            or (_is_time(rule.trigger) and rule.entity_type == "Activity")
        ]
        self._stages: dict[UUID, State] = {}
        if "stage" in read:
            rows = session.execute(select(Stage.id, Stage.pipeline_id))
            self._stages = {row.id: {"pipeline_id": row.pipeline_id} for row in rows}
        self._name = cache(self._find_name)

    def pasts(self, ids: list[UUID]) -> Iterable[Past]:
        present = self._states(model := MODELS[self._rule.entity_type], model.id.in_(ids))
        rows, quiet = self._rows(ids)
        homes = self._homes(present, rows)
        for _, model in self._related:
            wanted = {key for keys in homes.values() for of, key in keys if of is model}
            present |= self._states(model, model.id.in_(wanted))
        steps = self._steps([*ids, *(key for keys in homes.values() for of, key in keys if of is Deal)])
        more, _ = self._rows({key for keys in homes.values() for _, key in keys})
        log = around.read(self._session, self._rule.entity_type, self._change_sets(ids), ids)
        for record in ids:
            related = [key for _, key in homes[record]]
            own = [*rows[record], *(row for key in related for row in more[key])]
            own += [row for key in (record, *related) for row in steps.get(key, ())]
            own.sort(key=_when, reverse=True)
            states: dict[UUID, State | None] = {key: present.get(key) for key in (record, *related)}
            stops = log.stops.get(record, ())
            yield Past(record, {**self._stages, **states}, own, log.runs, stops, log.traces, quiet)

    def firings(self, past: Past, place: Place, limits: Limits) -> list[Firing]:
        found = fired(self._rule, place, past, self._name, limits)
        return [Firing(past.record, change_set, self._times[change_set]) for change_set in found]

    def meetings(
        self, past: Past, place: Place, config: Mapping[str, Any], signs: Iterable[datetime]
    ) -> list[Firing]:
        window = Window(self._since, clock.now(), self._times, tuple(sorted(signs)), frozenset(self._timed))
        found = met(self._rule, place, config, past, window, self._name)
        return [Firing(past.record, None, at) for at in found]

    def _steps(self, deals: list[UUID]) -> dict[UUID, list[Row]]:
        """The changes of the deals' next steps, if the rule asks for them."""
        if not any(part.field.endswith(past_steps.FIELD) for part in leaves(self._rule.conditions)):
            return {}
        tasks = self._states(Activity, Activity.deal_id.in_(deals) & (Activity.type == "task"))
        rows, _ = self._rows(tasks)
        newest_first = sorted((row for own in rows.values() for row in own), key=_when, reverse=True)
        return past_steps.rows_of(tasks, newest_first)

    def _states(self, model: Any, chosen: ColumnElement[bool]) -> dict[UUID, State]:
        columns = [column.key for column in inspect(model).column_attrs]
        query = select(*(getattr(model, name) for name in columns)).where(chosen)
        return {
            row.id: {name: encode(value) for name, value in zip(columns, row, strict=True)}
            for row in self._session.execute(query)
        }

    def _rows(self, ids: Iterable[UUID]) -> tuple[dict[UUID, list[Row]], frozenset[UUID]]:
        query = (
            select(
                Change.change_set_id, Change.sequence, Change.record_id, Change.field, Change.old, Change.new,
                Change.round, Change.rule_run_id, ChangeSet.at, ChangeSet.cause,
            )
            .join(ChangeSet, ChangeSet.id == Change.change_set_id)
            .where(Change.record_id.in_(list(ids)), ChangeSet.at >= self._since)
        )  # fmt: skip
        rows, quiet = defaultdict[UUID, list[Row]](list), set[UUID]()
        for row in self._session.execute(query):
            rows[row.record_id].append(Row(*row[:8]))
            self._times[row.change_set_id] = row.at
            if row.cause == "time":
                self._timed.add(row.change_set_id)
            if row.cause in QUIET:
                quiet.add(row.change_set_id)
        return rows, frozenset(quiet)

    def _change_sets(self, ids: list[UUID]) -> Any:
        """SQL: the change sets in which these records changed; there may be more than parameters in a statement."""
        query = select(Change.change_set_id).join(ChangeSet, ChangeSet.id == Change.change_set_id)
        return query.where(Change.record_id.in_(ids), ChangeSet.at >= self._since)

    def _homes(
        self, present: Mapping[UUID, State | None], rows: Mapping[UUID, list[Row]]
    ) -> dict[UUID, set[tuple[Any, UUID]]]:
        """What each record belongs to, and belonged to: (model, id)."""
        homes = defaultdict[UUID, set[tuple[Any, UUID]]](set)
        for column, model in self._related:
            for record, state in present.items():
                kept = {state[column]} if state else set()
                kept |= {row.old for row in rows[record] if row.field == column}
                homes[record] |= {(model, UUID(str(key))) for key in kept if key}
        return homes

    def _find_name(self, kind: str, record_id: UUID) -> str | None:
        found = catalog.target(self._session, kind, record_id)
        return found.name if found is not None else None


def _when(row: Row) -> tuple[UUID, bool, int]:
    """Where the row stands in the history. A change set gets its id when its record is locked, its time before that."""
    return row.change_set, row.round == AFTER, row.sequence
