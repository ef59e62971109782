"""Undo: one change set takes back all that another one did, rules included, exactly, or says why not.

Fields get their former values, deals go back by `move_to` to the neighbour that they had, what was made is deleted
and what was deleted comes back, its rules' unread notifications and unsent e-mails are withdrawn. Audit notes stay,
and no rule runs. An undo is a change set like any other, so it can be undone: then all is as it was before it, but
that what is deleted again is deleted now. A rule's count of failures is its log and is not taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, lazyload

from crmweb import changes, clock, rights
from crmweb.errors import FieldError, InvalidStageTransitionError, NotFoundError, UndoError
from crmweb.models import Activity, ChangeSet, Deal, Delivery, Entity, Notification, RuleRun, StageChange
from crmweb.models.deal import Elsewhere, Place
from crmweb.models.delivery import HOLD
from crmweb.models.placing import END
from crmweb.models.snapshot import restore
from crmweb.models.user import Author
from crmweb.undo import net, refusing
from crmweb.undo.net import Net

__all__ = ["Undone", "undo"]

NOTE = "Undone"
"""What the audit note of a move back says."""
ORDER = {"Entity": 0, "Deal": 1, "Activity": 2}
NAMES = {"Entity": "contact", "Deal": "deal"}


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo did. `stages`: where its deals are or were; `back_in`: the names of the stages they entered.

    `gone` and `back` tell what was deleted and what came back: `deal`, `contact`, or an activity's type.
    """

    change_set_id: UUID
    stages: set[UUID] = field(default_factory=set)
    back_in: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)


def undo(change_set_id: UUID, by: Author) -> Undone:
    """Take back the change set in one of its own (cause `undo`). Commits. Without an account `by` has all rights.

    Raises NotFoundError, PermissionDeniedError; UndoError when it is undone already, when a later change is in the
    way (see `undo.refusing`) or when it cannot be done truly: a stage that takes no deals, a contact that is gone.
    """

    def work(session: Session) -> Undone:
        nets = net.of(session, change_set_id)
        records = _lock(session, nets)
        change_set = _locked(session, change_set_id)
        refusing.refuse_undone(session, change_set)
        refusing.refuse_kinds(nets)
        if missing := next((one for one in nets if one.id not in records), None):
            raise UndoError(f"Cannot undo: the {missing.kind.lower()} is not there any more.")
        refusing.require_rights(change_set, nets, records, by)
        refusing.refuse_later(session, change_set_id, nets, records)
        refusing.refuse_homeless(session, change_set_id, nets, records)
        undone = _take_back(session, change_set, nets, records, by)
        root = _mark(session, change_set, undone.change_set_id)
        _withdraw(session, root)
        return undone

    try:
        return changes.commit(work, by=by, cause="undo", parent=change_set_id)
    except (FieldError, InvalidStageTransitionError) as why:
        raise UndoError(f"Cannot undo. {why}") from why


def _lock(session: Session, nets: Sequence[Net]) -> dict[UUID, Any]:
    """The records, fresh and locked as everybody locks: deals (also those of activities), entities, activities."""
    ids = {kind: [one.id for one in nets if one.kind == kind.__name__] for kind in (Deal, Entity, Activity)}
    if ids[Activity]:
        homes = select(Activity.deal_id).where(Activity.id.in_(ids[Activity]), Activity.deal_id.is_not(None))
        ids[Deal] += session.scalars(homes.distinct())
    found: dict[UUID, Any] = {}
    for kind, wanted in ids.items():
        model: Any = kind
        query = select(model).where(model.id.in_(wanted)).order_by(model.id).with_for_update()
        fresh = query.options(lazyload("*")).execution_options(populate_existing=True)
        found |= {record.id: record for record in session.scalars(fresh)} if wanted else {}
    return found


def _locked(session: Session, change_set_id: UUID) -> ChangeSet:
    change_set = session.get(ChangeSet, change_set_id, with_for_update=True, populate_existing=True)
    if change_set is None:
        raise NotFoundError("There is no such change.")
    return change_set


def _take_back(
    session: Session, change_set: ChangeSet, nets: Sequence[Net], records: dict[UUID, Any], by: Author
) -> Undone:
    """Restore every record: contacts first, since deals need theirs, and activities last."""
    change_set_id = changes.begin(session).id
    undone, steps = Undone(change_set_id), _steps(session, change_set.id, nets)
    for one in sorted(nets, key=lambda one: ORDER[one.kind]):
        record = records[one.id]
        if one.goes:
            record.deleted_at = record.deleted_by_id = None
        if isinstance(record, Deal):
            undone.stages.add(record.stage_id)
            _take_back_deal(record, one, steps.get(record.id, []), by, undone)
            undone.stages.add(record.stage_id)
        else:
            restore(record, one.before())
        if one.comes:
            record.delete(by)
        if one.comes or one.goes:
            (undone.gone if one.comes else undone.back).append(NAMES.get(one.kind) or record.type)
    session.flush()
    return undone


def _take_back_deal(deal: Deal, one: Net, steps: Sequence[StageChange], by: Author, undone: Undone) -> None:
    """Back to the stage and the neighbour that it had, then everything else as it was."""
    first = steps[0].from_stage if steps else None
    if steps and first is None:
        return  # it was made in this set, and goes with all that happened to it since
    if first is not None:
        below = steps[0].below_id
        if (
            deal.move_to(
                Elsewhere(first.id),
                by=by,
                note=NOTE,
                place=Place(before=below, position=None if below else END),
            ).kind
            == "moved"
        ):
            undone.back_in.append(first.name)
    restore(deal, {name: value for name, value in one.before().items() if name != "stage_id"})
    if by.id is not None:
        rights.require_edit_deal(by, deal)


def _steps(session: Session, change_set_id: UUID, nets: Sequence[Net]) -> dict[UUID, list[StageChange]]:
    """The ways of the deals through stages in the change set, by deal."""
    found: dict[UUID, list[StageChange]] = defaultdict(list)
    deals = [one.id for one in nets if one.kind == "Deal"]
    ways = select(StageChange).where(
        StageChange.deal_id.in_(deals), StageChange.change_set_id == change_set_id
    )
    ways = ways.order_by(StageChange.deal_version, StageChange.step).options(
        joinedload(StageChange.from_stage)
    )
    for step in session.scalars(ways) if deals else ():
        found[step.deal_id].append(step)
    return found


def _mark(session: Session, change_set: ChangeSet, undo_id: UUID) -> ChangeSet:
    """Note which undo holds now, for the change set and, when that is an undo, for what it undid; answers the first."""
    change_set.undone_by_id, holds = undo_id, False
    while change_set.parent_id is not None and (parent := session.get(ChangeSet, change_set.parent_id)):
        parent.undone_by_id, holds = change_set.id if holds else None, not holds
        change_set = parent
    return change_set


def _withdraw(session: Session, act: ChangeSet) -> None:
    """Take the unread notifications of an act's rules out of the inboxes, or put them back when it holds again."""
    runs = session.scalars(select(RuleRun.id).where(RuleRun.change_set_id == act.id)).all()
    lines: Any = Notification.__table__
    moment = clock.now() if act.undone_by_id else None
    unread = lines.update().where(lines.c.rule_run_id.in_(runs), lines.c.read_at.is_(None))
    if runs:
        session.connection().execute(unread.values(withdrawn_at=moment))
        _withdraw_mail(session, runs, moment)


def _withdraw_mail(session: Session, runs: Sequence[UUID], moment: datetime | None) -> None:
    """Stop the e-mails that were not sent yet, or let them wait again for as long as an undo may need."""
    mails: Any = Delivery.__table__
    unsent = mails.update().where(mails.c.rule_run_id.in_(runs), mails.c.sent_at.is_(None))
    again = {} if moment else {"due_at": clock.now() + HOLD}
    session.connection().execute(unsent.values(withdrawn_at=moment, **again))
