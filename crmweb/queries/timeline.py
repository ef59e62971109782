"""Timelines: what was said and done on a deal, or on an entity and all its deals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased, joinedload

from crmweb import config
from crmweb.errors import FieldError
from crmweb.models import Activity, Deal, User


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One entry. `by_label` says who, when there is no `author_name`; times are UTC."""

    id: UUID
    type: str
    subject: str
    description: str | None
    author_id: UUID | None
    author_name: str | None
    by_label: str | None
    rule_name: str | None
    at: datetime
    deal_id: UUID | None
    deal_name: str | None
    assigned_to_name: str | None
    due_at: datetime | None
    completed_at: datetime | None


def of_deal(
    session: Session, deal_id: UUID, limit: int | None = None, before: UUID | None = None
) -> list[TimelineItem]:
    """The newest entries of a deal; one more than `limit` when there are more. `before`: older than this entry."""
    return _items(session, Activity.deal_id == deal_id, limit, before)


def of_entity(
    session: Session, entity_id: UUID, limit: int | None = None, before: UUID | None = None
) -> list[TimelineItem]:
    """The newest entries of an entity and of its deals; one more than `limit` when there are more."""
    return _items(session, _entity_and_deals(entity_id), limit, before)


def activities(
    session: Session, related_to_type: str, related_to_id: UUID, limit: int | None = None
) -> list[Activity]:
    """The same as Activity records, for the documents' ActivityService."""
    link = {"Deal": Activity.deal_id == related_to_id, "Entity": _entity_and_deals(related_to_id)}.get(
        related_to_type
    )
    if link is None:
        raise FieldError("related_to_type", f"“{related_to_type}” has no timeline; Deal and Entity have.")
    most = config.settings.activity_timeline_limit if limit is None else limit
    query = select(Activity).where(link, Activity.deleted_at.is_(None)).options(joinedload(Activity.author))
    return list(session.scalars(query.order_by(Activity.created_at.desc(), Activity.id.desc()).limit(most)))


def _items(
    session: Session, link: ColumnElement[bool], limit: int | None, before: UUID | None
) -> list[TimelineItem]:
    most = config.settings.activity_timeline_limit if limit is None else limit
    owner = aliased(User)
    query: Any = (
        select(
            Activity.id, Activity.type, Activity.kind, Activity.subject, Activity.description, Activity.author_id,
            User.name.label("author"),
            Activity.by_label, Activity.rule_name, Activity.created_at, Activity.deal_id, Deal.name.label("deal"),
            owner.name.label("owner"), Activity.due_at, Activity.completed_at,
        )
        .outerjoin(User, User.id == Activity.author_id)
        .outerjoin(owner, owner.id == Activity.assigned_to_id)
        .outerjoin(Deal, Deal.id == Activity.deal_id)
        .where(link, Activity.deleted_at.is_(None))
        .order_by(Activity.created_at.desc(), Activity.id.desc())
        .limit(most + 1)
    )  # fmt: skip
    if before is not None:
        mark = select(Activity.created_at).where(Activity.id == before).scalar_subquery()
        query = query.where(
            or_(Activity.created_at < mark, (Activity.created_at == mark) & (Activity.id < before))
        )  # fmt: skip
    return [_item(row) for row in session.execute(query)]


def _item(row: Any) -> TimelineItem:
    return TimelineItem(
        row.id, row.kind or row.type, row.subject, row.description, row.author_id, row.author, row.by_label,
        row.rule_name, row.created_at, row.deal_id, row.deal, row.owner, row.due_at, row.completed_at,
    )  # fmt: skip


def _entity_and_deals(entity_id: UUID) -> ColumnElement[bool]:
    deals = select(Deal.id).where(Deal.entity_id == entity_id, Deal.deleted_at.is_(None))
    return or_(Activity.entity_id == entity_id, Activity.deal_id.in_(deals))
