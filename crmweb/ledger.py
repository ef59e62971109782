"""What the current change set did so far: every tracked field before and after, in order.

A `before_flush` listener notes it, because a flush empties `session.dirty`. One ledger lives with the session from its
first write until COMMIT or rollback; rules read from it what changed since the change set began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import insert, inspect, select
from sqlalchemy.orm import Session

from crmweb import clock, models
from crmweb.errors import PermissionDeniedError
from crmweb.models.base import Base, Record
from crmweb.models.types import new_id
from crmweb.models.user import SYSTEM, Author
from crmweb.signals import CRMLifecycleEvent, Event

TRACKED: tuple[type[Record], ...] = (
    models.Pipeline, models.Stage, models.Deal, models.Entity, models.Activity, models.WorkflowRule, models.User,
)  # fmt: skip
UNTRACKED: tuple[type[Base], ...] = (
    models.AppState, models.Change, models.ChangeSet, models.MoveKey, models.Notification, models.PasswordLink,
    models.RuleLook, models.RuleRun, models.RuleVersion, models.Session, models.StageChange, models.StageTotal, models.Throttle,
)  # fmt: skip
UNTRACKED_FIELDS = frozenset(
    "id created_at updated_at position version board_version next_due_at last_human_activity_at failures name_key "
    "email_key password_hash deleted_by_id paused_at".split()
)
WHOLE = "*"


@dataclass
class Touch:
    """One record in this change set. `before`: the columns that changed, as they were when it began."""

    record: Record
    trigger: str
    before: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the ledger to come back to when a savepoint is rolled back."""

    rows: int
    events: int
    touches: dict[UUID, str]
    versions: dict[UUID, int]
    steps: dict[UUID, int]
    fresh: int


class Ledger:
    """The change set being written. `round` 0 is the person's own change."""

    def __init__(
        self, by: Author = SYSTEM, cause: str = "person", parent: UUID | None = None, key: str | None = None
    ) -> None:
        self.id = new_id()
        self.by, self.cause, self.parent, self.key = by, cause, parent, key
        self.at = clock.now()
        self.rows: list[dict[str, Any]] = []
        self.touches: dict[UUID, Touch] = {}
        self.fresh: list[Record] = []
        self.events: list[Event] = []
        self.versions: dict[UUID, int] = {}
        self.steps: dict[UUID, int] = {}
        self.active_deals: set[UUID] = set()
        self.round = 0
        self.rule: Any = None
        self.rule_run: UUID | None = None
        self.rules_version: str | None = None
        self.looks: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.progress: Any = None
        self.failed_rules: set[UUID] = set()
        self.met: set[Any] = set()
        self.are_rules_changed = False
        self.is_open = False

    @property
    def is_human(self) -> bool:
        """Whether what is noted now is a person's own doing, no rule's."""
        return self.rule is None and self.by.id is not None and self.cause in ("person", "api")

    def mark(self) -> Mark:
        kinds = {key: touch.trigger for key, touch in self.touches.items()}
        return Mark(
            len(self.rows), len(self.events), kinds, dict(self.versions), dict(self.steps), len(self.fresh)
        )

    def rewind(self, mark: Mark) -> None:
        """Forget what was noted since `mark`."""
        del self.rows[mark.rows :], self.events[mark.events :], self.fresh[mark.fresh :]
        self.versions, self.steps = dict(mark.versions), dict(mark.steps)
        self.touches = {key: touch for key, touch in self.touches.items() if key in mark.touches}
        for key, trigger in mark.touches.items():
            self.touches[key].trigger = trigger

    def take_fresh(self) -> list[Record]:
        """The records touched since this was last asked, each once, in order."""
        fresh, self.fresh = list(dict.fromkeys(self.fresh)), []
        return fresh

    def note_look(self, record: Record) -> None:
        """Let a record that did not change be looked at by rules."""
        self.touches.setdefault(record.id, Touch(record, "update"))

    def before(self, id: UUID) -> dict[str, Any]:
        """The columns of a record that have changed, as they were when the change set began."""
        touch = self.touches.get(id)
        return touch.before if touch is not None else {}

    def changed_fields(self, record: Record) -> set[str]:
        """Columns of `record` that are different now from when the change set began."""
        touch = self.touches.get(record.id)
        if touch is None:
            return set()
        return {name for name, old in touch.before.items() if getattr(record, name) != old}

    # Noting --------------------------------------------------------------------------------------------------------

    def note(self, session: Session) -> None:
        """Write down everything that the coming flush will do to tracked records."""
        for record in _in_order(session.new):
            if isinstance(record, TRACKED):
                self._open(session)
                if isinstance(record, models.Deal):
                    record.arrive(session)
                self._note_new(record)
        for record in _in_order(session.dirty):
            if isinstance(record, TRACKED) and session.is_modified(record):
                self._note_changed(session, record)
        for record in _in_order(session.deleted):
            if isinstance(record, TRACKED):
                self._open(session)
                self._note_gone(record)
        for step in _in_order(session.new):
            if isinstance(step, models.StageChange):
                self._number(step)

    def _open(self, session: Session) -> None:
        if self.is_open or self.cause == "bookkeeping":
            return
        self.is_open = True
        session.connection().execute(
            insert(models.ChangeSet).values(
                id=self.id, at=self.at, by_user_id=self.by.id, by_label=None if self.by.id else self.by.name,
                cause=self.cause, parent_id=self.parent, idempotency_key=self.key,
            )
        )  # fmt: skip

    def _note_new(self, record: Record) -> None:
        self._touch(record, "create")
        if isinstance(record, models.Deal):
            record.version = self.versions[record.id] = 1
            record.last_human_activity_at = self.at if self.is_human else None
        if isinstance(record, models.Activity):
            self._sign(record)
            if self.is_human and record.deal_id and not record.is_audit:
                self.active_deals.add(record.deal_id)
        self._row(record, WHOLE, None, snapshot(record))

    def _sign(self, activity: models.Activity) -> None:
        """An activity without an author gets the change set's, or the rule that made it."""
        if self.rule is not None:
            activity.rule_run_id, activity.rule_name = self.rule_run, self.rule.name
        if activity.author_id is None and activity.by_label is None:
            if self.rule is None:
                activity.author_id, activity.by_label = self.by.id, None if self.by.id else self.by.name
            else:
                activity.by_label = rule_label(self.rule.name, self.by)

    def _note_changed(self, session: Session, record: Record) -> None:
        changed = changed_columns(session, record)
        if not changed:
            return
        self._open(session)
        if "deleted_at" in changed:
            gone = record.deleted_at is not None  # type: ignore[attr-defined]
            touch = self._touch(record, "delete" if gone else "create")
            whole = snapshot(record)
            self._row(record, WHOLE, whole if gone else None, None if gone else whole)
        else:
            touch = self._touch(record, "update")
        for name, (old, new) in changed.items():
            if touch.trigger != "create":
                touch.before.setdefault(name, old)
            if name != "deleted_at":
                self._row(record, name, encode(old), encode(new))
        if isinstance(record, models.Deal):
            self._note_deal(record)
        elif isinstance(record, models.Activity):
            self._note_activity(record)

    def _note_deal(self, deal: models.Deal) -> None:
        if deal.id not in self.versions:
            deal.version += 1
            self.versions[deal.id] = deal.version
        if self.is_human:
            deal.last_human_activity_at = self.at

    def _note_activity(self, activity: models.Activity) -> None:
        if activity.is_audit:
            raise PermissionDeniedError("The note of a move is never edited or deleted.")
        if self.is_human and activity.deal_id:
            self.active_deals.add(activity.deal_id)

    def _note_gone(self, record: Record) -> None:
        self._touch(record, "delete")
        self._row(record, WHOLE, snapshot(record), None)

    def _touch(self, record: Record, trigger: str) -> Touch:
        touch = self.touches.get(record.id)
        if touch is None:
            touch = self.touches[record.id] = Touch(record, trigger)
        elif trigger == "delete" and touch.trigger != "delete":
            touch.trigger = trigger
        self.fresh.append(record)
        return touch

    def _row(self, record: Record, name: str, old: Any, new: Any) -> None:
        self.rows.append(
            {
                "change_set_id": self.id, "sequence": len(self.rows), "record_type": type(record).__name__,
                "record_id": record.id, "field": name, "old": old, "new": new, "rule_run_id": self.rule_run,
                "round": self.round,
            }
        )  # fmt: skip

    def _number(self, step: models.StageChange) -> None:
        deal = step.deal
        step.change_set_id, step.deal_version = self.id, self.versions[deal.id]
        step.step = self.steps[deal.id] = self.steps.get(deal.id, -1) + 1
        step.cause = "rule" if self.rule is not None else self.cause
        if self.rule is not None:
            step.by_id, step.by_label = self.by.id, rule_label(self.rule.name, self.by)
        elif step.by_id is None and step.by_label is None:
            step.by_id, step.by_label = self.by.id, None if self.by.id else self.by.name
        if step.from_stage is not None:
            self._tell(step)

    def _tell(self, step: models.StageChange) -> None:
        who = {"deal": step.deal, "user_email": self.by.email}
        self.events.append(
            Event(
                CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE,
                {**who, "old_stage": step.from_stage, "new_stage": step.to_stage},
            )
        )
        if step.to_stage.status == "closed_won":
            self.events.append(Event(CRMLifecycleEvent.ON_DEAL_WON, who))
        elif step.to_stage.status == "closed_lost":
            self.events.append(Event(CRMLifecycleEvent.ON_DEAL_LOST, who))


def rule_label(rule_name: str, by: Author) -> str:
    """How a rule signs what it did."""
    return f"Rule “{rule_name}”" if by is SYSTEM else f"Rule “{rule_name}”, after {by.name}’s change"


def tracked_columns(record: Record) -> list[str]:
    """The names of the fields whose changes enter the history."""
    return [column.key for column in inspect(type(record)).column_attrs if column.key not in UNTRACKED_FIELDS]


def changed_columns(session: Session, record: Record) -> dict[str, tuple[Any, Any]]:
    """Tracked fields that the coming flush changes: name → (old, new)."""
    state, changed = inspect(record), {}
    for name in tracked_columns(record):
        history = state.attrs[name].history
        if not history.added:
            continue
        if history.deleted:
            old = history.deleted[0]
        else:  # the field had not been loaded when it was set
            old = session.connection().execute(
                select(getattr(type(record), name)).where(type(record).id == record.id)
            ).scalar_one_or_none()  # fmt: skip
        if old != history.added[0]:
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


def of(session: Session) -> Ledger | None:
    """The ledger that the session is writing, if any."""
    return session.info.get("ledger")


def _in_order(records: Any) -> list[Any]:
    return sorted(records, key=lambda record: inspect(record).insert_order or 0)
