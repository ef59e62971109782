"""Open tasks as people plan by them: overdue, today, this week, later, some day."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_, union_all
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.models import Activity, Deal, Entity, User
from crmweb.models.activity import is_to_do
from crmweb.queries.next_steps import NextStep

GROUPS = {
    "overdue": "Overdue", "today": "Today", "week": "This week", "later": "Later", "no_day": "No day",
}  # fmt: skip
PAGE = 100
MOST = 1_000
"""Overdue tasks that are counted; of more than that it is said that they are more."""


@dataclass(frozen=True, slots=True)
class TaskRow(NextStep):
    """An open task on a deal or a contact, named `on`."""

    deal_id: UUID | None
    entity_id: UUID | None
    on: str


@dataclass(slots=True)
class Group:
    """Tasks of one part of the calendar, by when they are due. `after`: the next page's cursor, None at the end."""

    key: str
    tasks: list[TaskRow] = field(default_factory=list)
    after: UUID | None = None

    @property
    def words(self) -> str:
        return GROUPS[self.key]


def load(
    session: Session, owner_id: UUID | None = None, only: str | None = None, after: UUID | None = None
) -> list[Group]:
    """The groups that hold something, of one person's tasks or of all, up to PAGE each; `only` one, behind a cursor.

    One statement, whatever the number of tasks.
    """
    keys = [_keys(key, owner_id, after) for key in GROUPS if only in (None, key)]
    shown = union_all(*(select(part.subquery()) for part in keys)).subquery()
    query = (
        select(
            shown.c.part, Activity.id, Activity.subject, Activity.due_at, Activity.author_id, Activity.assigned_to_id,
            User.name, Activity.deal_id, Activity.entity_id, func.coalesce(Deal.name, Entity.name),
        )
        .join(shown, shown.c.id == Activity.id)
        .outerjoin(User, User.id == Activity.assigned_to_id)
        .outerjoin(Deal, Deal.id == Activity.deal_id)
        .outerjoin(Entity, Entity.id == Activity.entity_id)
        .order_by(Activity.due_at, Activity.id)
    )  # fmt: skip
    found: dict[str, list[TaskRow]] = defaultdict(list)
    for part, *values in session.execute(query):
        found[part].append(TaskRow(*values))
    return [
        Group(key, rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)
        for key in GROUPS
        if (rows := found[key])
    ]


def overdue(session: Session, owner_id: UUID | None = None) -> int:
    """How many tasks are overdue, of one person's or of all; MOST + 1 stands for all that are more."""
    late = _open(owner_id).with_only_columns(Activity.id).where(_is_in("overdue")).limit(MOST + 1)
    return session.scalar(select(func.count()).select_from(late.subquery())) or 0


def _keys(key: str, owner_id: UUID | None, after: UUID | None) -> Select[UUID, str]:
    query: Select[Any] = _open(owner_id).where(_is_in(key))
    if after is not None and key == "no_day":
        query = query.where(Activity.id > after)
    elif after is not None:
        mark = select(Activity.due_at).where(Activity.id == after).scalar_subquery()
        query = query.where(tuple_(Activity.due_at, Activity.id) > tuple_(mark, literal(after)))
    keys = query.with_only_columns(Activity.id, literal(key).label("part"))
    return keys.order_by(Activity.due_at, Activity.id).limit(PAGE + 1)


def _open(owner_id: UUID | None) -> Select[Any]:
    """Open tasks on what is still there."""
    query = (
        select(Activity.id)
        .outerjoin(Deal, and_(Deal.id == Activity.deal_id, Deal.deleted_at.is_(None)))
        .outerjoin(Entity, and_(Entity.id == Activity.entity_id, Entity.deleted_at.is_(None)))
        .where(is_to_do(), or_(Deal.id.is_not(None), Entity.id.is_not(None)))
    )
    return query if owner_id is None else query.where(Activity.assigned_to_id == owner_id)


def _is_in(key: str) -> ColumnElement[bool]:
    """SQL: a task belongs to a part of the company's calendar, whose weeks begin with Monday."""
    today = clock.today()
    tomorrow, monday = today + timedelta(days=1), today + timedelta(days=7 - today.weekday())
    start, end = {
        "overdue": (None, today), "today": (today, tomorrow), "week": (tomorrow, monday), "later": (monday, None),
        "no_day": (None, None),
    }[key]  # fmt: skip
    since = [Activity.due_at >= clock.start_of(start)] if start else []
    until = [Activity.due_at < clock.start_of(end)] if end else []
    return and_(*since, *until) if since or until else Activity.due_at.is_(None)
