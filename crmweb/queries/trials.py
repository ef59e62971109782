"""Records to try a rule on, and what is told of those that it would have met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from crmweb.models import Activity, ChangeSet, Deal, Entity, User
from crmweb.models.activity import AUDIT

MOST = 30


def choices(
    session: Session, entity_type: str, text: str = "", chosen: UUID | None = None
) -> list[tuple[UUID, str]]:
    """Up to MOST records of a type, the last changed first, whose name holds `text`; `chosen` is among them."""
    query = _named(entity_type)
    found = query.limit(MOST)
    if text:
        found = query.where(_key(entity_type).contains(text.casefold(), autoescape=True)).limit(MOST)
    rows = [(row.id, row.name) for row in session.execute(found)]
    if chosen is not None and chosen not in dict(rows):
        model = {"Deal": Deal, "Entity": Entity, "Activity": Activity}[entity_type]
        rows = [*((row.id, row.name) for row in session.execute(query.where(model.id == chosen))), *rows]
    return rows


def _named(entity_type: str) -> Select[Any]:
    if entity_type == "Deal":
        query: Any = (
            select(Deal.id, Deal.name).where(Deal.deleted_at.is_(None)).order_by(Deal.updated_at.desc())
        )
    elif entity_type == "Entity":
        query = (
            select(Entity.id, Entity.name)
            .where(Entity.deleted_at.is_(None))
            .order_by(Entity.updated_at.desc())
        )
    else:
        home = func.coalesce(Deal.name, Entity.name)
        query = (
            select(Activity.id, (Activity.subject + " · " + home).label("name"))
            .outerjoin(Deal, Deal.id == Activity.deal_id)
            .outerjoin(Entity, Entity.id == Activity.entity_id)
            .where(Activity.deleted_at.is_(None), Activity.kind.is_distinct_from(AUDIT), home.is_not(None))
            .order_by(Activity.updated_at.desc())
        )
    return query  # type: ignore[no-any-return]


def _key(entity_type: str) -> Any:
    columns: dict[str, Any] = {
        "Deal": Deal.name_key, "Entity": Entity.name_key, "Activity": func.lower(Activity.subject),
    }  # fmt: skip
    return columns[entity_type]


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
