"""One activity as a plain row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from crmweb.errors import NotFoundError
from crmweb.models import Activity, Deal, Entity, User
from crmweb.models.activity import AUDIT


@dataclass(frozen=True, slots=True)
class ActivityDetail:
    """An activity on one deal or one entity, named `on`. Times are UTC."""

    id: UUID
    type: str
    kind: str | None
    subject: str
    description: str | None
    author_id: UUID | None
    assigned_to_id: UUID | None
    assigned_to_name: str | None
    due_at: datetime | None
    completed_at: datetime | None
    deal_id: UUID | None
    entity_id: UUID | None
    on: str

    @property
    def is_audit(self) -> bool:
        """Whether it is the note of a move, which nobody edits."""
        return self.kind == AUDIT


def load(session: Session, activity_id: UUID) -> ActivityDetail:
    """The activity. NotFoundError when it, or what it is on, is not there or deleted."""
    doer, entity = aliased(User), aliased(Entity)
    row = session.execute(
        select(
            Activity.id, Activity.type, Activity.kind, Activity.subject, Activity.description, Activity.author_id,
            Activity.assigned_to_id, doer.name.label("assigned_to_name"), Activity.due_at, Activity.completed_at,
            Activity.deal_id, Activity.entity_id, func.coalesce(Deal.name, entity.name).label("on"),
        )
        .outerjoin(doer, doer.id == Activity.assigned_to_id)
        .outerjoin(Deal, (Deal.id == Activity.deal_id) & Deal.deleted_at.is_(None))
        .outerjoin(entity, (entity.id == Activity.entity_id) & entity.deleted_at.is_(None))
        .where(Activity.id == activity_id, Activity.deleted_at.is_(None))
        .where(or_(Deal.id.is_not(None), entity.id.is_not(None)))
    ).first()  # fmt: skip
    if row is None:
        raise NotFoundError("This entry is not there any more.")
    return ActivityDetail(**row._mapping)
