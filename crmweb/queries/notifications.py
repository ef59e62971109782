"""A person's inbox as plain rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from crmweb.errors import NotFoundError
from crmweb.models import Deal, Entity, Notification, RuleMute, WorkflowRule

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of an inbox. A deal or entity that was deleted since is not linked; `at` is UTC.

    `is_muted`: the person does not want to hear more of its rule.
    """

    id: UUID
    kind: str
    subject: str
    detail: str | None
    at: datetime
    is_read: bool
    deal_id: UUID | None
    deal_name: str | None
    entity_id: UUID | None
    entity_name: str | None
    rule_id: UUID | None
    rule_name: str | None
    is_muted: bool


def inbox(
    session: Session, person_id: UUID, *, is_unread: bool = False, before: UUID | None = None
) -> tuple[list[Notice], UUID | None]:
    """The newest notices of a person, and from which one on the older ones begin (None: that was all)."""
    query = _notices(person_id)
    if is_unread:
        query = query.where(Notification.read_at.is_(None))
    if before is not None:
        mark = select(Notification.created_at).where(Notification.id == before).scalar_subquery()
        older = or_(Notification.created_at < mark, Notification.id < before)
        query = query.where(Notification.created_at <= mark, older)
    newest = query.order_by(Notification.created_at.desc(), Notification.id.desc()).limit(SHOWN + 1)
    found = [_notice(row) for row in session.execute(newest)]
    return found[:SHOWN], found[SHOWN - 1].id if len(found) > SHOWN else None


def load(session: Session, person_id: UUID, notification_id: UUID) -> Notice:
    """One of the person's own notices. NotFoundError when there is none, or it is another's."""
    row = session.execute(_notices(person_id).where(Notification.id == notification_id)).first()
    if row is None:
        raise NotFoundError("This is not in your inbox any more.")
    return _notice(row)


def unread(session: Session, person_id: UUID) -> int:
    """How many notices the person has not read."""
    mine = (
        Notification.user_id == person_id,
        Notification.read_at.is_(None),
        Notification.withdrawn_at.is_(None),
    )
    return session.scalar(select(func.count()).select_from(Notification).where(*mine)) or 0


def muted(session: Session, person_id: UUID) -> list[tuple[UUID, str]]:
    """The rules that the person has muted: id and name, by name."""
    mine = select(WorkflowRule.id, WorkflowRule.name).join(RuleMute, RuleMute.rule_id == WorkflowRule.id)
    query = mine.where(RuleMute.user_id == person_id).order_by(WorkflowRule.name, WorkflowRule.id)
    return [(row.id, row.name) for row in session.execute(query)]


def _notices(person_id: UUID) -> Any:
    return (
        select(
            Notification.id, Notification.kind, Notification.subject, Notification.detail, Notification.created_at,
            Notification.read_at, Deal.id.label("deal_id"), Deal.name.label("deal"), Entity.id.label("entity_id"),
            Entity.name.label("entity"), WorkflowRule.id.label("rule_id"), WorkflowRule.name.label("rule"),
            RuleMute.rule_id.label("muted"),
        )
        .outerjoin(Deal, (Deal.id == Notification.deal_id) & Deal.deleted_at.is_(None))
        .outerjoin(Entity, (Entity.id == Notification.entity_id) & Entity.deleted_at.is_(None))
        .outerjoin(WorkflowRule, WorkflowRule.id == Notification.rule_id)
        .outerjoin(RuleMute, (RuleMute.rule_id == Notification.rule_id) & (RuleMute.user_id == person_id))
        .where(Notification.user_id == person_id, Notification.withdrawn_at.is_(None))
    )  # fmt: skip


def _notice(row: Any) -> Notice:
    return Notice(
        row.id, row.kind, row.subject, row.detail, row.created_at, row.read_at is not None, row.deal_id, row.deal,
        row.entity_id, row.entity, row.rule_id, row.rule, row.muted is not None,
    )  # fmt: skip
