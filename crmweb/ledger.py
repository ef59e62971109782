"""What the current change set did so far: every tracked field before and after, in order.

`noting` fills it at each flush. One ledger lives with the session from its first write until COMMIT or rollback; rules
read from it what changed since the change set began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import insert, inspect
from sqlalchemy.orm import Session

from crmweb import clock, models
from crmweb.errors import UnsavedChangesError
from crmweb.models import TRACKED, UNTRACKED
from crmweb.models.base import Record
from crmweb.models.types import new_id
from crmweb.models.user import SYSTEM, Author
from crmweb.signals import Event

__all__ = ["TRACKED", "UNTRACKED", "WHOLE", "Ledger", "Mark", "Touch", "of", "rule_label"]

WHOLE = "*"


@dataclass
class Touch:
    """One record in this change set. `before`: the columns that changed, as they were when it began or was made."""

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
        self.by, self.cause, self.parent, self.key = by, cause, parent, key
        self.at = clock.now()
        self.rows: list[dict[str, Any]] = []
        self.touches: dict[UUID, Touch] = {}
        self.changed: list[tuple[Record, frozenset[str]]] = []
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
        self.flushed: Any = None

    @cached_property
    def id(self) -> UUID:
        """The change set's id, made with its first change: the record is locked by then, so a later id is later."""
        return new_id()

    @property
    def is_human(self) -> bool:
        """Whether what is noted now is a person's own doing, no rule's."""
        return self.rule is None and self.by.id is not None and self.cause in ("person", "api")

    @property
    def author(self) -> tuple[UUID | None, str | None]:
        """The author's account, or else their label."""
        return self.by.id, None if self.by.id else self.by.name

    def mark(self) -> Mark:
        """A place to come back to by `rewind`."""
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

    def before(self, record_id: UUID) -> dict[str, Any]:
        """The columns of a record that have changed, as they were when the change set began."""
        touch = self.touches.get(record_id)
        return touch.before if touch is not None else {}

    def changed_fields(self, record: Record) -> set[str]:
        """Columns of `record` that are different now from when the change set began."""
        touch = self.touches.get(record.id)
        if touch is None:
            return set()
        columns = inspect(type(record)).columns  # whose types know that 1 and True are two values
        return {
            name
            for name, old in touch.before.items()
            if not columns[name].type.compare_values(getattr(record, name), old)
        }

    def touch(self, record: Record, trigger: str) -> Touch:
        """Note that something happened to the record: create, update or delete."""
        touch = self.touches.get(record.id)
        if touch is None:
            touch = self.touches[record.id] = Touch(record, trigger)
        elif trigger == "delete":
            touch.trigger = trigger
        self.fresh.append(record)
        return touch

    def add(self, record: Record, name: str, old: Any, new: Any) -> None:
        """One Change: field `name` (WHOLE: made or deleted), JSON primitives."""
        self.rows.append(
            {
                "change_set_id": self.id, "sequence": len(self.rows), "record_type": type(record).__name__,
                "record_id": record.id, "field": name, "old": old, "new": new, "rule_run_id": self.rule_run,
                "round": self.round,
            }
        )  # fmt: skip

    def write(self, session: Session) -> None:
        """Write the history; nothing when nothing tracked changed and no rule looked."""
        connection = session.connection()
        if self.rows or self.looks:
            if self.cause == "bookkeeping":
                raise UnsavedChangesError(
                    f"{self.flushed!r} has changes for the history; bookkeeping has none."
                )
            connection.execute(insert(models.ChangeSet), self._head())
        for model, rows in (
            (models.Change, self.rows),
            (models.RuleRun, self.runs),
            (models.RuleLook, self.looks),
        ):
            if rows:
                connection.execute(insert(model), rows)
        if self.active_deals:
            table: Any = models.Deal.__table__
            active = table.update().where(table.c.id.in_(self.active_deals))
            connection.execute(active.values(last_human_activity_at=self.at, updated_at=table.c.updated_at))

    def _head(self) -> dict[str, Any]:
        return {
            "id": self.id, "at": self.at, "by_user_id": self.author[0], "by_label": self.author[1],
            "cause": self.cause, "parent_id": self.parent, "idempotency_key": self.key,
        }  # fmt: skip


def rule_label(rule_name: str, by: Author) -> str:
    """How a rule signs what it did."""
    label = f"Rule “{rule_name}”" if by is SYSTEM else f"Rule “{rule_name}”, after {by.name}’s change"
    return label[:300]


def of(session: Session) -> Ledger | None:
    """The ledger that the session is writing, if any."""
    return session.info.get("ledger")
