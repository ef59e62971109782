"""The deals of all pipelines as a list, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from crmweb.models import Deal, Entity, Stage, StageTotal, User

PAGE = 50


@dataclass(frozen=True, slots=True)
class DealRow:
    """A line of the list."""

    id: UUID
    name: str
    entity_id: UUID
    entity_name: str
    stage_name: str
    stage_color: str
    probability: float
    amount: Decimal | None
    currency: str
    owner_id: UUID | None
    owner_name: str | None
    status: str
    expected_close_date: date | None
    closed_date: datetime | None


@dataclass(frozen=True, slots=True)
class DealPage:
    """A page of the list. `after`: the cursor of the next one, None at the end."""

    rows: list[DealRow]
    after: UUID | None


def page(
    session: Session, text: str = "", *, owner_id: UUID | None = None, entity_id: UUID | None = None,
    after: UUID | None = None,
) -> DealPage:  # fmt: skip
    """A page of the deals with all words of `text` in their or their entity's name, of one owner, of one entity.

    One statement, whatever the number of deals.
    """
    keys = select(Deal.id).where(Deal.deleted_at.is_(None)).order_by(Deal.id.desc()).limit(PAGE + 1)
    for word in text.casefold().split():
        named = select(Entity.id).where(Entity.name_key.contains(word, autoescape=True))
        keys = keys.where(or_(Deal.name_key.contains(word, autoescape=True), Deal.entity_id.in_(named)))
    if owner_id is not None:
        keys = keys.where(Deal.assigned_to_id == owner_id)
    if entity_id is not None:
        keys = keys.where(Deal.entity_id == entity_id)
    if after is not None:
        keys = keys.where(Deal.id < after)
    shown = keys.subquery()
    query = (
        select(
            Deal.id, Deal.name, Deal.entity_id, Entity.name, Stage.name, Stage.color, Stage.probability, Deal.amount,
            Deal.currency, Deal.assigned_to_id, User.name, Deal.status, Deal.expected_close_date, Deal.closed_date,
        )
        .join(shown, shown.c.id == Deal.id)
        .join(Entity, Entity.id == Deal.entity_id)
        .join(Stage, Stage.id == Deal.stage_id)
        .outerjoin(User, User.id == Deal.assigned_to_id)
        .order_by(Deal.id.desc())
    )  # fmt: skip
    rows = [DealRow(*tuple(row)) for row in session.execute(query)]
    return DealPage(rows[:PAGE], rows[PAGE - 1].id if len(rows) > PAGE else None)


def currencies(session: Session) -> list[str]:
    """The currencies that deals are in, as codes."""
    used = select(StageTotal.currency).where(StageTotal.deal_count > 0).distinct()
    return sorted(session.scalars(used))
