"""Records as the history keeps them: tracked fields, what a flush is about to change, values as JSON primitives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Date, Uuid, inspect, select
from sqlalchemy.orm import Session

from crmweb.models.base import Record
from crmweb.models.types import Thousandths, UtcDateTime

UNTRACKED_FIELDS = frozenset(
    "id created_at updated_at position version board_version next_due_at last_human_activity_at failures name_key "
    "email_key password_hash deleted_by_id paused_at on_since".split()
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


def is_same(one: Any, other: Any) -> bool:
    """Whether both are the same JSON, where True, 1 and 1.0 are three values."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def decode(model: type[Record], name: str, value: Any) -> Any:
    """What `encode` made of the field `name`, as the field's own type again."""
    if value is None:
        return None
    kind = inspect(model).columns[name].type
    for types, read in READ.items():
        if isinstance(kind, types):
            return read(value)
    return value


READ: dict[Any, Any] = {
    Thousandths: Decimal, UtcDateTime: datetime.fromisoformat, Date: date.fromisoformat, Uuid: UUID,
}  # fmt: skip


def restore(record: Record, values: Mapping[str, Any]) -> None:
    """Set fields to what they held before, a deal's status and dates included; its stage is `move_to`'s alone."""
    with getattr(record, "_moving", nullcontext)():
        for name, value in values.items():
            setattr(record, name, value)
