"""Which open deals want attention: those that rot, whose next step is late, that have none.

What rotting means is written here, once as arithmetic for what is shown, once as SQL for what is looked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.models import Activity, Deal
from crmweb.models.activity import is_to_do

MOST = 1_000
"""Deals that are counted one by one; of more than that it is said that they are more."""


class Dates(NamedTuple):
    """What a company's day makes of a board: when it began (UTC), and since when its stages' rotting deals are quiet.

    `quiet` names a stage and a moment (UTC): what nobody touched since before it is rotting there.
    """

    today: date
    midnight: datetime
    quiet: tuple[tuple[UUID, datetime], ...]


class Counts(NamedTuple):
    """How many of a board's open deals want which attention; MOST + 1 stands for all that are more."""

    rotting: int = 0
    overdue: int = 0
    no_step: int = 0


NONE = Counts()


def quiet_days(entered_at: datetime, touched_at: datetime | None, today: date) -> int:
    """Days of the company from the later of two moments, a stage's entry and a person's last act, to `today`."""
    return max((today - clock.day_of(max(entered_at, touched_at or entered_at))).days, 0)


def is_asleep(snoozed_until: date | None, today: date) -> bool:
    """Whether nobody is to be told before a later day that the deal is quiet."""
    return snoozed_until is not None and snoozed_until > today


def dates(stages: Iterable[tuple[UUID, int | None]]) -> Dates:
    """Today, for open stages and after how many days a quiet deal rots there (None: never)."""
    today = clock.today()
    quiet = [(stage, clock.start_of(today - timedelta(days=days))) for stage, days in stages if days]
    return Dates(today, clock.start_of(today), tuple(quiet))


def is_open() -> ColumnElement[bool]:
    """SQL: the deal is there and open. Written out like the indexes of open deals, else none of them would serve."""
    return and_(Deal.deleted_at.is_(None), Deal.status == literal_column("'open'"))


def is_rotting(on: Dates, stage_ids: Collection[UUID]) -> ColumnElement[bool]:
    """SQL: an open deal of these stages is rotting. Ranges of moments alone: an index finds them, stage by stage."""
    here = [and_(Deal.stage_id == stage, _is_quiet(at, on)) for stage, at in on.quiet if stage in stage_ids]
    return and_(is_open(), or_(false(), *here))


def is_overdue(on: Dates) -> ColumnElement[bool]:
    """SQL: the next step of an open deal was due before today."""
    return and_(is_open(), Deal.next_due_at < on.midnight)


def has_no_step() -> ColumnElement[bool]:
    """SQL: an open deal has nothing to be done next. One without a day has a step, too."""
    step = exists().where(Activity.deal_id == Deal.id, is_to_do())
    return and_(is_open(), Deal.next_due_at.is_(None), ~step)


def count(session: Session, stage_ids: Iterable[UUID], on: Dates, owner_id: UUID | None = None) -> Counts:
    """How many deals of the open stages want attention, of one owner or of all. One statement, of bounded cost."""
    ids = list(stage_ids)
    if not ids:
        return NONE
    here = Deal.stage_id.in_(ids)
    rotting = [
        select(Deal.id).where(is_open(), Deal.stage_id == stage, _is_quiet(at, on)) for stage, at in on.quiet
    ]
    asked = (
        rotting or [select(Deal.id).where(false())],
        [select(Deal.id).where(here, is_overdue(on))],
        [select(Deal.id).where(here, has_no_step())],
    )
    counted = [_counted([_owned(part, owner_id) for part in parts]) for parts in asked]
    return Counts(*session.execute(select(*counted)).one())


def _is_quiet(since: datetime, on: Dates) -> ColumnElement[bool]:
    touched = Deal.last_human_activity_at
    return and_(
        Deal.stage_entered_at < since,
        or_(touched.is_(None), touched < since),
        or_(Deal.snoozed_until.is_(None), Deal.snoozed_until <= on.today),
    )


def _owned(deals: Select[Any], owner_id: UUID | None) -> Select[Any]:
    return deals if owner_id is None else deals.where(Deal.assigned_to_id == owner_id)


def _counted(parts: list[Select[Any]]) -> Any:
    first = [select(part.limit(MOST + 1).subquery()) for part in parts]
    all_ = union_all(*first) if len(first) > 1 else first[0]
    return select(func.count()).select_from(all_.limit(MOST + 1).subquery()).scalar_subquery()
