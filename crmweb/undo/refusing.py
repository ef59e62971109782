"""When a change set is not undone, in words: somebody did something since, something is gone, or it is not one's own.

A later change set is in the way when it touched a field that the undo would restore; of a record that the undo deletes
or brings back, any field. It is not in the way when it was undone itself, nor when it is an undo of such a later one:
the two cancel each other, and the field is again as it was left. So an undone undo is in nobody's way either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import rights
from crmweb.errors import UndoError
from crmweb.ledger import WHOLE
from crmweb.models import Activity, Change, ChangeSet, Deal, Entity, Stage, User, gates, moving
from crmweb.models.types import as_id
from crmweb.models.user import Author
from crmweb.queries import history, wording
from crmweb.queries.history import Touch
from crmweb.undo.net import UNDOABLE, Net

Records = Mapping[UUID, Any]
KINDS = {"Deal": "deal", "Entity": "contact"}


def refuse_kinds(nets: Sequence[Net]) -> None:
    """UndoError when the set changed what is not undone here."""
    if any(net.kind not in UNDOABLE for net in nets):
        raise UndoError(
            "Only changes of deals, contacts and activities can be undone. Change it back by hand."
        )
    if not nets:
        raise UndoError("There is nothing to undo: all is as it was before.")


def refuse_undone(session: Session, change_set: ChangeSet) -> None:
    """UndoError when it is undone already, naming who did it when."""
    if change_set.undone_by_id is None:
        return
    by = select(User.name, ChangeSet.by_label, ChangeSet.at).outerjoin(User, User.id == ChangeSet.by_user_id)
    undo = session.execute(by.where(ChangeSet.id == change_set.undone_by_id)).one()
    raise UndoError(f"Already undone by {undo.name or undo.by_label or 'somebody'}", undo.at)


def require_rights(change_set: ChangeSet, nets: Sequence[Net], records: Records, by: Author) -> None:
    """PermissionDeniedError unless `by` may edit every record as it is now. Whoever made one may take that back."""
    if by.id is None:
        return
    is_own = change_set.by_user_id == by.id
    for net in nets:
        record = records[net.id]
        if isinstance(record, Deal):
            rights.require_edit_deal(by, record)
            if net.comes and not is_own:
                rights.require_delete_deal(by, record.assigned_to_id)
        elif isinstance(record, Entity):
            rights.require(by, "delete_entity" if net.comes and not is_own else "edit_entity")
        elif net.is_by_rule or (record.rule_run_id is not None and change_set.cause == "undo"):
            continue  # what rules add to a deal goes and comes with it
        elif net.fields.keys() == {"completed_at"} and not (net.comes or net.goes):
            rights.require_finish_task(by, record)
        else:
            rights.require_edit_activity(by, record)


def refuse_later(session: Session, change_set_id: UUID, nets: Sequence[Net], records: Records) -> None:
    """UndoError naming field, person and time when a later change set is in the way."""
    by_id = {net.id: net for net in nets}
    touches = history.touches_since(session, change_set_id, by_id)
    sets = {touch.change_set_id: touch for touch in touches}
    for touch in touches:
        net, parent = by_id[touch.record_id], sets.get(touch.parent_id) if touch.parent_id else None
        is_cancelled = touch.undone_by_id or (parent and parent.undone_by_id == touch.change_set_id)
        if not is_cancelled and (net.comes or net.goes or touch.field in (*net.fields, WHOLE)):
            what = _did(session, touch, records[net.id], is_one_of_many=len(nets) > 1)
            raise UndoError(f"Cannot undo: {touch.who} {what}", touch.at)
    for net in nets:
        if not net.stands(records[net.id]):
            raise UndoError(f"Cannot undo: {_name(records[net.id])} was changed since.")


def refuse_homeless(session: Session, change_set_id: UUID, nets: Sequence[Net], records: Records) -> None:
    """UndoError when what comes back has no place any more, or what goes would take along what others added."""
    coming = {net.id for net in nets if net.goes}
    for net in nets:
        record = records[net.id]
        if isinstance(record, Activity):
            home: Any = (
                records[record.deal_id] if record.deal_id else session.get_one(Entity, record.entity_id)
            )
            if home.deleted_at is not None and home.id not in coming:
                raise UndoError(f"Cannot undo: {_name(home)} is deleted.")
        elif isinstance(record, Deal) and net.goes:
            gates.refuse_full(session, record, moving.refuse(session.get(Stage, record.stage_id), None))
        if net.comes and session.scalar(_entries_since(change_set_id, net)):
            raise UndoError(
                f"Cannot undo: {_name(record)} has other entries by now. Delete it if it is to go."
            )


def _entries_since(change_set_id: UUID, net: Net) -> Any:
    """What later change sets added to the deal's or the entity's timeline."""
    link = Activity.entity_id if net.kind == "Entity" else Activity.deal_id
    made = (
        (Change.record_id == Activity.id) & (Change.field == WHOLE) & (Change.change_set_id > change_set_id)
    )
    alive = Activity.deleted_at.is_(None) & Activity.kind.is_(None)
    return select(Activity.id).join(Change, made).where(link == net.id, alive).limit(1)


def _did(session: Session, touch: Touch, record: Any, *, is_one_of_many: bool) -> str:
    """What a later change did to the record, to stand behind the name of who did it."""
    kind = type(record).__name__
    if touch.field == WHOLE:
        return f"{'deleted' if touch.new is None else 'brought back'} {_name(record)}"
    if touch.field == "stage_id":
        stage = session.get(Stage, as_id(touch.new))
        return f"moved {_name(record)} to {stage.name if stage else 'another stage'}"
    if touch.field == "completed_at":
        return f"{'ticked off' if touch.new else 'opened'} {_name(record)} {'' if touch.new else 'again'}".strip()
    of = f" of {_name(record)}" if is_one_of_many or kind == "Activity" else ""
    return f"changed {wording.field(kind, touch.field)}{of}"


def _name(record: Any) -> str:
    if record is None:
        return "what this was on"
    if isinstance(record, Activity):
        return f"the {record.type} “{record.subject}”"
    return f"the {KINDS[type(record).__name__]} “{record.name}”"
