"""Records to try a rule on, and what is told of those that it would have met."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Subquery, func, select
from sqlalchemy.orm import Session

from crmweb.models import Activity, ChangeSet, Deal, Entity, User
from crmweb.models.activity import AUDIT, is_no_audit

MOST = 30
LAST = 5_000
"""Records, the last changed ones, that are searched first."""
EVERY = 2**31 - 1


def choices(
    session: Session, entity_type: str, text: str = "", chosen: UUID | None = None
) -> list[tuple[UUID, str]]:
    """Up to MOST records of a type, the last changed first, whose name holds `text`; `chosen` is among them."""
    rows = [(row.id, row.name) for row in _found(session, entity_type, text.casefold())]
    if chosen is not None and chosen not in dict(rows):
        model = {"Deal": Deal, "Entity": Entity, "Activity": Activity}[entity_type]
        own = session.execute(_named(entity_type).where(model.id == chosen))
        rows = [*((row.id, row.name) for row in own), *rows]
    return rows


def _found(session: Session, entity_type: str, text: str) -> Sequence[Any]:
    """Most names are found among the last changed records; only for rarer ones all are read."""
    named = _named(entity_type)
    last = named.order_by(named.selected_columns.at.desc())
    if entity_type == "Activity":
        last = last.where(is_no_audit())
    if not text:
        return session.execute(last.limit(MOST)).all()
    newest = last.limit(LAST).subquery()
    found = session.execute(_last_of(newest, newest.c.key.contains(text, autoescape=True))).all()
    if len(found) == MOST:
        return found
    # The limit is a fence: without it SQLite reads a million rows in the order of an index, which takes much longer.
    holds = named.selected_columns.key.contains(text, autoescape=True)
    return session.execute(_last_of(named.where(holds).limit(EVERY).subquery())).all()


def _last_of(records: Subquery, *where: ColumnElement[bool]) -> Select[Any]:
    return select(records.c.id, records.c.name).where(*where).order_by(records.c.at.desc()).limit(MOST)


def _named(entity_type: str) -> Select[Any]:
    """Records that are there: `id`, `name`, the `key` that is searched, `at` when they were changed."""
    if entity_type in ("Deal", "Entity"):
        model: Any = Deal if entity_type == "Deal" else Entity
        columns = (model.id, model.name, model.name_key.label("key"), model.updated_at.label("at"))
        return select(*columns).where(model.deleted_at.is_(None))
    home = func.coalesce(Deal.name, Entity.name)
    return (
        select(
            Activity.id, (Activity.subject + " · " + home).label("name"), func.lower(Activity.subject).label("key"),
            Activity.updated_at.label("at"),
        )
        .outerjoin(Deal, Deal.id == Activity.deal_id)
        .outerjoin(Entity, Entity.id == Activity.entity_id)
        .where(Activity.deleted_at.is_(None), Activity.kind.is_distinct_from(AUDIT), home.is_not(None))
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Touched:
    """A record that a rule would have met. `deal_id` or `entity_id` says where it can be seen, if it still is there."""

    name: str
    deal_id: UUID | None
    entity_id: UUID | None
    amount: Decimal | None = None
    currency: str = ""


def touched(session: Session, entity_type: str, ids: Iterable[UUID]) -> dict[UUID, Touched]:
    """The records by id. One statement."""
    wanted = list(ids)
    if entity_type == "Deal":
        query: Any = select(Deal.id, Deal.name, Deal.amount, Deal.currency, Deal.deleted_at).where(
            Deal.id.in_(wanted)
        )
        return {
            row.id: Touched(row.name, None if row.deleted_at else row.id, None, row.amount, row.currency)
            for row in session.execute(query)
        }
    if entity_type == "Entity":
        query = select(Entity.id, Entity.name, Entity.deleted_at).where(Entity.id.in_(wanted))
        return {
            row.id: Touched(row.name, None, None if row.deleted_at else row.id)
            for row in session.execute(query)
        }
    query = select(Activity.id, Activity.subject, Activity.deal_id, Activity.entity_id).where(
        Activity.id.in_(wanted)
    )
    return {row.id: Touched(row.subject, row.deal_id, row.entity_id) for row in session.execute(query)}


def authors(session: Session, change_sets: Iterable[UUID]) -> dict[UUID, str]:
    """Who made the change sets."""
    query = select(ChangeSet.id, func.coalesce(User.name, ChangeSet.by_label, "System").label("who"))
    query = query.outerjoin(User, User.id == ChangeSet.by_user_id).where(ChangeSet.id.in_(list(change_sets)))
    return {row.id: row.who for row in session.execute(query)}
