"""What people changed, for timelines: one entry for each change set whose edits nothing else on the timeline tells.

Moves leave their audit note, what was added is there itself, what rules did has entries of its own, and a ticked-off
task says so. An undo that moved a deal back is told by its audit note alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, String, Uuid, func, literal, null, or_, select, union_all
from sqlalchemy.orm import Session, aliased

from crmweb.ledger import WHOLE
from crmweb.models import Activity, Change, ChangeSet, Deal, Entity, User
from crmweb.models.activity import AUDIT
from crmweb.models.snapshot import decode
from crmweb.models.types import UtcDateTime

FOLLOWING = ("stage_id", "status", "closed_date", "stage_entered_at")
"""Fields of a deal that its moves tell."""
MODELS: dict[str, Any] = {"Deal": Deal, "Entity": Entity, "Activity": Activity}
NAMED: dict[str, Any] = {"entity_id": Entity, "assigned_to_id": User}


@dataclass(frozen=True, slots=True)
class Edit:
    """One field before and after, typed; people and contacts by name. `WHOLE` for a record that went or came back.

    `currencies` are those of an amount, before and after. `of` is an activity's type and subject; the subject of one
    that was deleted is empty, since what it said has left the timeline for everyone.
    """

    record_type: str
    field: str
    old: Any
    new: Any
    currencies: tuple[str, str] = ("", "")
    of: tuple[str, str] | None = None


def entries(touched: Any) -> Any:
    """The change sets with edits of the records `touched` (a select of ids), as rows of a timeline."""
    by, nothing = aliased(User), literal(None, String)
    told = select(Change.change_set_id).join(ChangeSet, ChangeSet.id == Change.change_set_id)
    sets = told.where(Change.record_id.in_(touched), _is_untold(Change)).distinct()
    return (
        select(
            ChangeSet.id, literal("edit").label("type"), nothing.label("subject"), nothing.label("description"),
            ChangeSet.by_user_id.label("author_id"), by.name.label("author"), ChangeSet.by_label,
            literal(None, Uuid).label("rule_id"), nothing.label("rule_name"), nothing.label("outcome"),
            literal(None, JSON).label("effects"), ChangeSet.at, _home().label("deal_id"), nothing.label("owner"),
            literal(None, UtcDateTime).label("due_at"), literal(None, UtcDateTime).label("completed_at"),
            literal(None, Uuid).label("assigned_to_id"), ChangeSet.id.label("change_set_id"),
        )
        .outerjoin(by, by.id == ChangeSet.by_user_id)
        .where(ChangeSet.id.in_(sets))
    )  # fmt: skip


def load(session: Session, change_set_ids: Iterable[UUID], touched: Any) -> dict[UUID, list[Edit]]:
    """The edits of the records `touched`, by change set and in order. One statement, and one more for names."""
    wanted = set(change_set_ids)
    if not wanted:
        return {}
    query = (
        select(
            Change.change_set_id, Change.record_type, Change.record_id, Change.field, Change.old, Change.new,
            Activity.type, Activity.subject, Activity.description, Activity.deleted_at, Deal.currency,
            (_is_untold(Change) & Change.change_set_id.in_(wanted)).label("is_shown"),
        )
        .join(ChangeSet, ChangeSet.id == Change.change_set_id)
        .outerjoin(Activity, Activity.id == Change.record_id)
        .outerjoin(Deal, Deal.id == Change.record_id)
        .where(
            Change.record_id.in_(touched),
            or_(Change.change_set_id.in_(wanted) & _is_untold(Change), Change.field == "currency"),
        )
        .order_by(Change.change_set_id.desc(), Change.sequence.desc())
    )  # fmt: skip
    rows = session.execute(query).all()
    names, currencies = _names(session, rows), _currencies(rows)
    found: dict[UUID, list[Edit]] = defaultdict(list)
    for row in reversed(rows):
        if row.is_shown:
            found[row.change_set_id].append(_edit(row, names, currencies[row.change_set_id, row.record_id]))
    return dict(found)


def _currencies(rows: Iterable[Any]) -> dict[tuple[UUID, UUID], tuple[str, str]]:
    """In which currency each deal was before and after each change set; `rows` begin with the newest."""
    now: dict[UUID, str] = {}
    found: dict[tuple[UUID, UUID], tuple[str, str]] = {}
    for row in rows:
        key, after = (row.change_set_id, row.record_id), now.setdefault(row.record_id, row.currency or "")
        found.setdefault(key, (after, after))
        if row.field == "currency":
            found[key] = (row.old, found[key][1])
            now[row.record_id] = row.old
    return found


def _edit(row: Any, names: dict[str, str], currencies: tuple[str, str]) -> Edit:
    old, new = row.old, row.new
    if row.field == WHOLE:
        old, new = old is not None, new is not None
    elif row.field in NAMED:
        old, new = (value and names.get(value, "somebody who is gone") for value in (old, new))
    else:
        old, new = (decode(MODELS[row.record_type], row.field, value) for value in (old, new))
    subject = row.description or row.subject if row.type == "note" else row.subject
    subject = "" if row.deleted_at or row.field == WHOLE else subject
    of = (row.type, subject) if row.record_type == "Activity" else None
    return Edit(row.record_type, row.field, old, new, currencies, of)


def _names(session: Session, rows: Iterable[Any]) -> dict[str, str]:
    """The names of the people and contacts that the rows point to, by id as the history keeps it."""
    ids: dict[Any, set[UUID]] = defaultdict(set)
    for row in rows:
        if row.is_shown and row.field in NAMED:
            ids[NAMED[row.field]] |= {UUID(value) for value in (row.old, row.new) if value}
    parts = [
        select(model.id, model.name).where(model.id.in_(wanted)) for model, wanted in ids.items() if wanted
    ]
    return {str(id_): name for id_, name in session.execute(union_all(*parts))} if parts else {}


def _is_untold(change: Any) -> ColumnElement[bool]:
    """Whether nothing else on a timeline tells the change. Needs its change set beside it."""
    other = aliased(Change)
    is_move = (
        select(other.field)
        .where(other.change_set_id == change.change_set_id, other.field == "stage_id")
        .exists()
    )
    is_of_activity, is_undo = change.record_type == "Activity", ChangeSet.cause == "undo"
    edits = ~is_of_activity & change.field.not_in((WHOLE, *FOLLOWING, "lost_reason"))
    leaves = is_of_activity & (change.field == WHOLE) & (change.new.is_(null()) | is_undo)
    rewrites = is_of_activity & change.field.not_in((WHOLE, "completed_at"))
    alone = ~is_move & ((change.field == "lost_reason") | leaves | rewrites)
    untold: ColumnElement[bool] = change.rule_run_id.is_(None) & ((edits & ~(is_undo & is_move)) | alone)
    return untold


def _home() -> Any:
    """The deal of the change set's first record, so that an entity's timeline can name it."""
    activity = aliased(Activity)
    first = (
        select(func.coalesce(activity.deal_id, Change.record_id))
        .select_from(Change)
        .outerjoin(activity, activity.id == Change.record_id)
        .where(Change.change_set_id == ChangeSet.id, Change.record_type.in_(("Deal", "Activity")))
        .where(or_(activity.kind.is_(None), activity.kind != AUDIT))
    )
    return first.order_by(Change.sequence).limit(1).correlate(ChangeSet).scalar_subquery()
