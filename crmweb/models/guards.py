"""What a record may not do while others depend on it, whatever road the change comes by.

Links are checked before each flush, dependents at the end of the change, when all that was to go has gone. Pages ask
the same earlier, on locked rows, and say it at greater length.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models.arranging import refuse_status_of_deals
from crmweb.models.base import Record
from crmweb.models.deal import Deal
from crmweb.models.entity import Entity
from crmweb.models.stage import Stage


def check_links(session: Session, record: Record) -> None:
    """FieldError when a record that is about to be flushed belongs to what is not there."""
    if isinstance(record, Deal) and record.deleted_at is None:
        _check_entity(session, record)


def check_dependents(session: Session, record: Record, changed: Collection[str]) -> None:
    """FieldError when the fields `changed` of a flushed record leave others in the lurch."""
    if isinstance(record, Entity) and "deleted_at" in changed and record.deleted_at:
        _refuse_deals(session, "entity", record.name, Deal.entity_id == record.id)
    elif isinstance(record, Stage) and "status" in changed:
        refuse_status_of_deals(session, record)
    elif isinstance(record, Stage) and "is_archived" in changed and record.is_archived:
        _refuse_deals(session, "is_archived", record.name, Deal.stage_id == record.id)


def _check_entity(session: Session, deal: Deal) -> None:
    if deal.entity_id is None:
        raise FieldError("entity", "The entity is missing.")
    entity = deal.__dict__.get("entity")
    if entity is None or entity.id != deal.entity_id:
        entity = session.get(Entity, deal.entity_id)
    if entity is None or entity.deleted_at is not None:
        raise FieldError("entity", "This company or person is not there any more. Choose another one.")


def _refuse_deals(session: Session, field: str, name: str, belong: Any) -> None:
    count = session.scalar(select(func.count()).select_from(Deal).where(belong, Deal.deleted_at.is_(None)))
    if count:
        raise FieldError(
            field, f"{name} has {count} deal{'' if count == 1 else 's'}, which must go elsewhere first."
        )
