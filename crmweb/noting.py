"""Before each flush, the ledger notes what it will do to tracked records, because a flush empties `session.dirty`.

What follows from being noted is set here, too: a deal's version, who signs an activity or a step, the events to tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from crmweb.errors import PermissionDeniedError
from crmweb.ledger import WHOLE, Ledger, rule_label
from crmweb.models import TRACKED, Activity, Deal, Record, Stage, StageChange, gates, guards
from crmweb.models.snapshot import changed_columns, encode, snapshot
from crmweb.signals import CRMLifecycleEvent, Event

SNOOZE = frozenset({"snoozed_until", "snooze_reason"})
"""Fields of a deal whose change is no sign of life: whoever lets it sleep does nothing about it."""


def note(session: Session, ledger: Ledger) -> None:
    """Write down everything that the coming flush will do to tracked records.

    Raises PermissionDeniedError for what is never edited or removed; what `guards` and `Deal.arrive` raise.
    """
    arrived: dict[UUID, list[Deal]] = defaultdict(list)
    for record in _as_added(session.new):
        if isinstance(record, TRACKED):
            guards.check_links(session, record)
            if isinstance(record, Deal):
                record.arrive(session, arrived[record.stage_id])
                arrived[record.stage_id].append(record)
            _note_new(ledger, record)
    for record in sorted(
        (entry for entry in session.dirty if isinstance(entry, TRACKED)), key=lambda entry: entry.id
    ):
        if session.is_modified(record):
            _note_changed(session, ledger, record)
    for record in session.deleted:
        if isinstance(record, TRACKED):
            raise PermissionDeniedError(f"{record!r} is never removed: mark it as deleted, or archive it.")
    for step in _as_added(session.new):
        if isinstance(step, StageChange):
            _number(ledger, step)
            _tell(ledger, step)


def _as_added(records: Any) -> list[Any]:
    return sorted(records, key=lambda record: inspect(record).insert_order or 0)


def _note_new(ledger: Ledger, record: Record) -> None:
    ledger.touch(record, "create")
    if isinstance(record, Deal):
        record.version = ledger.versions[record.id] = 1
        record.last_human_activity_at = ledger.at if ledger.is_human else None
    elif isinstance(record, Activity):
        record.arrive()
        _sign(ledger, record)
        # To plan is not to act: a task counts once it is done.
        is_act = not record.is_audit and (record.type != "task" or record.is_completed)
        if ledger.is_human and record.deal_id and is_act:
            ledger.active_deals.add(record.deal_id)
    ledger.add(record, WHOLE, None, snapshot(record))


def _note_changed(session: Session, ledger: Ledger, record: Record) -> None:
    changed = changed_columns(session, record)
    if not changed:
        return
    if changed.keys() & {"entity_id", "deleted_at"}:
        guards.check_links(session, record)
    ledger.changed.append((record, frozenset(changed)))
    touch = ledger.touch(record, happened := _happened(record, changed))
    if happened == "create":
        _note_back(session, ledger, record)
    for name, (old, new) in changed.items():
        if happened != "create" or touch.trigger != "create":
            touch.before.setdefault(name, old)
        if name != "deleted_at":
            ledger.add(record, name, encode(old), encode(new))
    if happened == "delete":  # last, because it goes as its fields are by then
        ledger.add(record, WHOLE, snapshot(record), None)
    if isinstance(record, Deal):
        _note_deal(ledger, record, changed.keys())
    elif isinstance(record, Activity):
        _note_activity(ledger, record, changed.keys())


def _happened(record: Any, changed: Collection[str]) -> str:
    """What comes back is as if made."""
    if "deleted_at" not in changed:
        return "update"
    return "create" if record.deleted_at is None else "delete"


def _note_back(session: Session, ledger: Ledger, record: Record) -> None:
    """What was deleted comes back; a deal where there is room for it."""
    if isinstance(record, Deal):
        gates.refuse_full(session, record, session.get_one(Stage, record.stage_id))
    ledger.add(record, WHOLE, None, snapshot(record))


def _note_deal(ledger: Ledger, deal: Deal, changed: Collection[str]) -> None:
    if deal.id not in ledger.versions:
        deal.version += 1
        ledger.versions[deal.id] = deal.version
    if ledger.is_human and not SNOOZE.issuperset(changed):
        deal.last_human_activity_at = ledger.at


def _note_activity(ledger: Ledger, activity: Activity, changed: Collection[str]) -> None:
    if activity.is_audit:
        raise PermissionDeniedError("The note of a move is never edited or deleted.")
    if ledger.is_human and activity.deal_id and "completed_at" in changed and activity.is_completed:
        ledger.active_deals.add(activity.deal_id)


def _sign(ledger: Ledger, activity: Activity) -> None:
    """An activity without an author gets the change set's, or the rule that made it."""
    if ledger.rule is not None:
        activity.rule_run_id, activity.rule_name = ledger.rule_run, ledger.rule.name
    if activity.author_id is None and activity.by_label is None:
        if ledger.rule is None:
            activity.author_id, activity.by_label = ledger.author
        else:
            activity.by_label = rule_label(ledger.rule.name, ledger.by)


def _number(ledger: Ledger, step: StageChange) -> None:
    """Give the step its place in the deal's history, and its author."""
    deal = step.deal
    step.change_set_id, step.deal_version = ledger.id, ledger.versions[deal.id]
    step.step = ledger.steps[deal.id] = ledger.steps.get(deal.id, -1) + 1
    if ledger.rule is not None:
        step.cause, step.by_id, step.by_label = "rule", ledger.by.id, rule_label(ledger.rule.name, ledger.by)
        return
    step.cause = ledger.cause
    if step.by_id is None and step.by_label is None:
        step.by_id, step.by_label = ledger.author


def _tell(ledger: Ledger, step: StageChange) -> None:
    """Keep the events of a move until the COMMIT; a new deal tells nothing."""
    if step.from_stage is None:
        return
    who = {"deal": step.deal, "user_email": ledger.by.email}
    stages = {"old_stage": step.from_stage, "new_stage": step.to_stage}
    ledger.events.append(Event(CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE, {**who, **stages}))
    closing = {"closed_won": CRMLifecycleEvent.ON_DEAL_WON, "closed_lost": CRMLifecycleEvent.ON_DEAL_LOST}
    if step.to_stage.status in closing:
        ledger.events.append(Event(closing[step.to_stage.status], who))
