"""The real world of the rounds: a session, its ledger, savepoints."""

from __future__ import annotations

import time
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from crmweb import clock, config
from crmweb.errors import WorkflowExecutionError
from crmweb.ledger import Ledger, rule_label
from crmweb.models import Activity, Deal, Entity, Notification, User, WorkflowRule
from crmweb.models.types import new_id
from crmweb.models.user import Actor
from crmweb.transactions import is_retryable
from crmweb.workflow.actions import ACTIONS
from crmweb.workflow.conditions import Snapshot
from crmweb.workflow.doing import Doing
from crmweb.workflow.rounds import Occasion, Rule
from crmweb.workflow.snapshots import Reader
from crmweb.workflow.telling import people, tell

WATCHED = {Deal: "Deal", Entity: "Entity", Activity: "Activity"}


class Live:
    """Occasions from the ledger, snapshots from the session, actions in savepoints."""

    def __init__(self, session: Session, ledger: Ledger, is_strict: bool = False) -> None:
        self._session, self._ledger, self._is_strict = session, ledger, is_strict
        self._seen: set[Occasion] = ledger.met
        self._started = 0

    def touched(self) -> list[Occasion]:
        found: dict[Occasion, None] = {}
        for record in self._ledger.take_fresh():
            if occasion := self._occasion(record):
                found[occasion] = None
        self._seen.update(found)
        return list(found)

    def _occasion(self, record: Any) -> Occasion | None:
        name = WATCHED.get(type(record))
        if name is None or (isinstance(record, Activity) and record.is_audit):
            return None
        trigger = self._ledger.touches[record.id].trigger
        first = Occasion(record.id, name, trigger)
        if trigger == "delete":
            return None if first in self._seen else first
        if trigger == "create":
            return first if first not in self._seen else Occasion(record.id, name, "update")
        return first if self._ledger.changed_fields(record) - {"stage_entered_at"} else None

    def now(self, occasion: Occasion) -> Snapshot:
        return Reader(self._session, self._record(occasion), occasion.entity_type)

    def before(self, occasion: Occasion) -> Snapshot | None:
        if self._ledger.touches[occasion.record].trigger == "create":
            return None
        return self.first(occasion)

    def first(self, occasion: Occasion) -> Snapshot | None:
        return Reader(self._session, self._record(occasion), occasion.entity_type, self._ledger.before)

    def would_act(self, rule: Rule, occasion: Occasion, *, sets: bool = False) -> bool:
        doing = self._doing(rule, occasion, self._ledger.id)
        actions = [(ACTIONS[kind], config) for kind, config in rule.actions]
        return any(
            action.would_act(doing, config) for action, config in actions if not (sets and action.adds)
        )

    def act(self, rule: Rule, occasion: Occasion, number: int) -> tuple[list[Any], list[UUID]]:
        run_id, mark = new_id(), self._ledger.mark()
        self._started = time.perf_counter_ns()
        ledger, savepoint = self._ledger, self._session.begin_nested()
        ledger.rule, ledger.rule_run, ledger.round = rule, run_id, number
        effects: list[Any] = []
        followers: list[UUID] = []
        kind = "act"
        try:
            for kind, settings in rule.actions:
                effect, made = ACTIONS[kind].do(self._doing(rule, occasion, run_id), settings)
                self._session.flush()
                effects += [{"action": kind, **effect}] if effect else []
                followers += made
            savepoint.commit()
        except Exception as error:
            savepoint.rollback()
            ledger.rewind(mark)
            if is_retryable(error):
                raise
            raise WorkflowExecutionError(rule, kind, error) from error
        finally:
            ledger.rule, ledger.rule_run, ledger.round = None, None, 0
        if effects:
            self._log(rule, occasion, number, "acted", effects, run_id=run_id)
        if rule.failures or rule.id in ledger.failed_rules:
            self._forget_failures(rule)
        return effects, followers

    def failed(self, rule: Rule, occasion: Occasion, number: int, error: WorkflowExecutionError) -> bool:
        self._log(rule, occasion, number, "failed", [], str(error))
        if rule.on_failure == "undo" or self._is_strict:
            return False
        self._ledger.failed_rules.add(rule.id)
        return count_failure(self._session, rule.id, str(error.cause))

    def cut(self, rule: Rule, occasion: Occasion, number: int, why: str) -> None:
        self._started = time.perf_counter_ns()
        self._log(rule, occasion, number, "cut", [], why)

    def looked(self, occasion: Occasion, number: int, looks: list[list[Any]]) -> None:
        key = {"record_id": occasion.record, "trigger": occasion.trigger, "round": number}
        # Only WorkflowService can ask twice in one round.
        kept = (row for row in self._ledger.looks if self._is_strict and key.items() <= row.items())
        if row := next(kept, None):
            row["looks"] += looks
            return
        self._ledger.looks.append(
            {
                **key, "change_set_id": self._ledger.id, "record_type": occasion.entity_type, "at": self._ledger.at,
                "looks": looks,
            }
        )  # fmt: skip

    def _record(self, occasion: Occasion) -> Any:
        return self._ledger.touches[occasion.record].record

    def _doing(self, rule: Rule, occasion: Occasion, run_id: UUID) -> Doing:
        record, by = self._record(occasion), self._ledger.by
        signed = Actor(rule_label(rule.name, by), by.email)
        reader = Reader(self._session, record, occasion.entity_type)
        told = partial(people, self._session, self._ledger)
        return Doing(self._session, record, occasion.entity_type, rule, run_id, signed, reader, told)

    def _log(
        self, rule: Rule, occasion: Occasion, number: int, outcome: str, effects: list[Any],
        error: str | None = None, run_id: UUID | None = None,
    ) -> None:  # fmt: skip
        self._ledger.runs.append(
            {
                "id": run_id or new_id(), "change_set_id": self._ledger.id,
                "rule_id": rule.id, "rule_version": rule.version,
                "record_type": occasion.entity_type, "record_id": occasion.record, "round": number, "at": clock.now(),
                "outcome": outcome, "effects": effects, "error": error,
                "microseconds": (time.perf_counter_ns() - self._started) // 1000,
            }
        )  # fmt: skip

    def _forget_failures(self, rule: Rule) -> None:
        table: Any = WorkflowRule.__table__
        self._session.connection().execute(update(table).where(table.c.id == rule.id).values(failures=0))
        self._ledger.failed_rules.discard(rule.id)
        self._ledger.are_rules_changed = True


def count_failure(session: Session, rule_id: UUID, cause: str) -> bool:
    """One more failure in a row; at the limit the rule is paused and the admins are told. Whether it is paused."""
    # Locked as the coming UPDATE locks it, so that failures at the same time are all counted.
    rule = session.get(WorkflowRule, rule_id, populate_existing=True, with_for_update={"key_share": True})
    if rule is None or rule.paused_at is not None:
        return rule is not None
    rule.failures += 1
    if rule.failures >= config.settings.rule_failures:
        rule.paused_at = clock.now()
        for admin in session.scalars(select(User).where(User.role == "admin", User.is_active)):
            line = Notification(
                user_id=admin.id, kind="warning", rule_id=rule.id, detail=cause,
                subject=f"Paused after {rule.failures} failures in a row: {rule.name}"[:300],
            )  # fmt: skip
            tell(session, admin, line)
    session.flush()
    return rule.paused_at is not None
