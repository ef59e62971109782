"""Records as the history keeps them: tracked fields, what a flush is about to change, values as JSON primitives."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from crmweb.models.base import Record

UNTRACKED_FIELDS = frozenset(
    "id created_at updated_at position version board_version next_due_at last_human_activity_at failures name_key "
    "email_key password_hash deleted_by_id paused_at".split()
)


def tracked_columns(record: Record) -> list[str]:
    """The names of the fields whose changes enter the history."""
    return [column.key for column in inspect(type(record)).column_attrs if column.key not in UNTRACKED_FIELDS]


def changed_columns(session: Session, record: Record) -> dict[str, tuple[Any, Any]]:
    """Tracked fields that the coming flush changes: name → (old, new)."""
    state, mapper, changed = inspect(record), inspect(type(record)), {}
    for name in tracked_columns(record):
        history = state.attrs[name].history
        if not history.added:
            continue
        if history.deleted:
            old = history.deleted[0]
        else:  # the field had not been loaded when it was set
            kept = select(getattr(type(record), name)).where(type(record).id == record.id)
            old = session.connection().execute(kept).scalar_one_or_none()
        if not mapper.columns[name].type.compare_values(old, history.added[0]):
            changed[name] = (old, history.added[0])
    return changed


def snapshot(record: Record) -> dict[str, Any]:
    """All tracked fields of a record, as JSON primitives."""
    return {name: encode(getattr(record, name)) for name in tracked_columns(record)}


def encode(value: Any) -> Any:
    """`value` as a JSON primitive: decimals as text, times and dates ISO 8601, ids as text."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value
