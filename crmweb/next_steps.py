"""A deal's next step: its earliest open task. Its card shows it, and `Deal.next_due_at` keeps when it is due."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, select
from sqlalchemy.orm import Session

from crmweb.models import Activity, Deal
from crmweb.models.activity import is_to_do
from crmweb.models.base import Record


def deals_of(record: Record) -> set[UUID]:
    """The deals whose next step the coming flush of `record` may change: those that a changed task is or was on."""
    if not isinstance(record, Activity) or "task" not in _values(record, "type"):
        return set()
    return {deal_id for deal_id in _values(record, "deal_id") if deal_id}


def keep(session: Session, deal_ids: Iterable[UUID]) -> set[UUID]:
    """Write when the next steps of these deals are due; answers the stages that they are in. One statement."""
    ids = sorted(deal_ids)
    if not ids:
        return set()
    deal: Any = Deal.__table__
    due = select(func.min(Activity.due_at)).where(Activity.deal_id == deal.c.id, is_to_do()).scalar_subquery()
    kept = deal.update().where(deal.c.id.in_(ids)).values(next_due_at=due, updated_at=deal.c.updated_at)
    stages = set(session.connection().scalars(kept.returning(deal.c.stage_id)))
    for key in ((Deal, (deal_id,), None) for deal_id in ids):
        if key in session.identity_map:
            session.expire(session.identity_map[key], ["next_due_at"])
    return stages


def _values(record: Record, name: str) -> set[Any]:
    """What a field holds, and what it held before the coming flush."""
    history = inspect(record).attrs[name].history
    return {*history.added, *history.unchanged, *history.deleted} or {getattr(record, name)}
