"""Which records time has brought to a rule: one query for each rule, along an index.

A trigger of time counts days from a moment or a day of the record, in the company's zone: N days after it is the day
whose date is N later, from its first minute on. The moment it counts from is the occasion, and a rule meets a record
once at each. Switching a rule on lets only later days count, unless `on_since` is None.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Date, Select, and_, func, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from crmweb import clock
from crmweb.models import Activity, Deal, Entity, RuleOccasion, Stage, WorkflowRule
from crmweb.models.activity import is_no_audit, is_to_do
from crmweb.models.types import UtcDateTime, as_id
from crmweb.queries.attention import is_open
from crmweb.workflow.triggers import BEFORE, days


class Due(NamedTuple):
    """A record, and the moment (UTC) from which the rule's days are counted for it."""

    record_id: UUID
    counted_from: datetime


class Count(NamedTuple):
    """How a trigger counts: from `anchor`, until `shift` days later; `where`: what else a record must be.

    `bounded` are the columns that all have to lie before the last moment, or day, that counts.
    """

    model: Any
    anchor: Any
    bounded: tuple[Any, ...]
    shift: int
    where: ColumnElement[bool]


def due(
    session: Session, rule: WorkflowRule, most: int, record_id: UUID | None = None, *,
    after: UUID | None = None, changed_since: datetime | None = None,
) -> list[Due]:  # fmt: skip
    """Up to `most` records that the rule has to meet now, each with its occasion, in the order of their ids.

    Of one record when it is named; of those behind `after`; of those that changed since then.
    """
    count = _count(rule)
    query = _timely(rule, count).with_only_columns(count.model.id, count.anchor.label("counted_from"))
    query = query.where(~_met(rule, count.model.id, count.anchor))
    if record_id is not None:
        query = query.where(count.model.id == record_id)
    if after is not None:
        query = query.where(count.model.id > after)
    if changed_since is not None:
        query = query.where(count.model.id.in_(_changed(count.model, changed_since)))
    return [
        Due(row.id, row.counted_from) for row in session.execute(query.order_by(count.model.id).limit(most))
    ]


class Qualifying(NamedTuple):
    """How many records a rule would meet; `is_all`: there are no more."""

    number: int
    is_all: bool


def qualifying(session: Session, rule: WorkflowRule, most: int = 5_000) -> Qualifying:
    """How many records the rule would meet if all that time has brought so far counted; `most` are looked at.

    The form asks at every choice, and where half a million were met already it would take seconds to pass by them.
    """
    count = _count(rule)
    timely = _timely(rule, count, is_limited=False).with_only_columns(
        count.model.id, count.anchor.label("anchor")
    )
    first = timely.limit(most).subquery()
    is_new = ~_met(rule, first.c.id, first.c.anchor)
    number, looked = session.execute(
        select(func.count().filter(is_new), func.count()).select_from(first)
    ).one()
    return Qualifying(number, looked < most)


def _changed(model: Any, since: datetime) -> Select[Any]:
    query = select(model.id).where(model.updated_at >= since)
    return query.where(is_no_audit()) if model is Activity else query


def _timely(rule: WorkflowRule, count: Count, *, is_limited: bool = True) -> Select[Any]:
    """The records for which it is time, met or not."""
    last = clock.today() - timedelta(days=count.shift)
    inside = [_until(column, last) for column in count.bounded]
    if is_limited and rule.on_since is not None:
        first = clock.day_of(rule.on_since) + timedelta(days=1 - count.shift)
        inside.append(or_(*(_from(column, first) for column in count.bounded)))
    return select(count.model.id).where(count.model.deleted_at.is_(None), count.where, *inside)


def _met(rule: WorkflowRule, record_id: Any, counted_from: Any) -> ColumnElement[bool]:
    """Whether the rule met the record at this occasion."""
    met = select(RuleOccasion.record_id).where(
        RuleOccasion.rule_id == rule.id,
        RuleOccasion.record_id == record_id,
        RuleOccasion.counted_from == counted_from,
    )
    return met.exists()


def _count(rule: WorkflowRule) -> Count:
    config_ = rule.trigger_config
    if rule.trigger_event == "days_in_stage":
        return Count(Deal, Deal.stage_entered_at, (Deal.stage_entered_at,), days(config_), _in_stage(config_))
    if rule.trigger_event == "no_activity":
        quiet = _Latest(Deal.stage_entered_at, Deal.last_human_activity_at)
        bounded = (Deal.stage_entered_at, Deal.last_human_activity_at)
        awake = or_(Deal.snoozed_until.is_(None), Deal.snoozed_until <= clock.today())
        return Count(Deal, quiet, bounded, days(config_), and_(_in_stage({}), awake))
    model: Any = Deal if rule.entity_type == "Deal" else Activity
    column = getattr(model, config_["field"])
    is_before = config_.get("side") == BEFORE
    anchor = _Midnight(column) if isinstance(column.type, Date) else column
    where = column.is_not(None)
    if is_before:  # a reminder of a day that is over reminds of nothing
        where &= _from(column, clock.today())
    if column is Deal.expected_close_date:
        where &= is_open()
    elif model is Activity:
        where &= is_to_do() & _has_home()
    return Count(model, anchor, (column,), -days(config_) if is_before else days(config_), where)


def _has_home() -> ColumnElement[bool]:
    """The activity's deal or contact is not deleted."""
    homes = ((Deal, Activity.deal_id), (Entity, Activity.entity_id))
    return or_(
        *(select(home.id).where(home.id == key, home.deleted_at.is_(None)).exists() for home, key in homes)
    )


def _in_stage(config_: Any) -> ColumnElement[bool]:
    """In the stage that is asked for; without one in any that is open."""
    if stage := config_.get("stage"):
        return Deal.stage_id == as_id(stage, "stage")
    open_stages = select(Stage.id).where(Stage.status == "open", Stage.is_archived.is_(False))
    return and_(Deal.stage_id.in_(open_stages), is_open())


def _until(column: Any, day: date) -> ColumnElement[bool]:
    """On `day` or before; what never was is before everything."""
    if isinstance(column.type, Date):
        return column <= day  # type: ignore[no-any-return]
    before: ColumnElement[bool] = column < clock.start_of(day + timedelta(days=1))
    return or_(column.is_(None), before) if column is Deal.last_human_activity_at else before


def _from(column: Any, day: date) -> ColumnElement[bool]:
    return column >= (day if isinstance(column.type, Date) else clock.start_of(day))  # type: ignore[no-any-return]


class _Midnight(FunctionElement[datetime]):
    """A day as a moment, so that occasions of days and of moments are kept alike."""

    type = UtcDateTime()
    inherit_cache = True


class _Latest(FunctionElement[datetime]):
    """The later of two moments, the second of which may be missing."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(_Midnight, "sqlite")
def _(element: Any, compiler: Any, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} || ' 00:00:00.000000')"


@compiles(_Midnight, "postgresql")
def _(element: Any, compiler: Any, **kw: Any) -> str:
    return f"(CAST({compiler.process(element.clauses, **kw)} AS timestamp) AT TIME ZONE 'UTC')"


@compiles(_Latest, "sqlite")
def _(element: Any, compiler: Any, **kw: Any) -> str:
    one, other = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"max({one}, coalesce({other}, {one}))"


@compiles(_Latest, "postgresql")
def _(element: Any, compiler: Any, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"
