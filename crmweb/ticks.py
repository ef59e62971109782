"""What time brings about: the worker looks which records a rule has to meet now, and lets it meet each once.

Each meeting is a change set of its own, so it can be explained and undone like anything else; the occasion is written
down in the same transaction. Two workers side by side meet nobody twice: the second finds the occasion taken.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb import changes, clock, ledger, workflow
from crmweb.errors import NotFoundError, WorkflowExecutionError
from crmweb.extensions import db
from crmweb.models import RuleOccasion, WorkflowRule
from crmweb.models.locking import locked
from crmweb.models.workflow_rule import EVENTS
from crmweb.workflow.due import due
from crmweb.workflow.triggers import TRIGGERS


def tick(most: int) -> int:
    """Let the running rules of time meet up to `most` records; answers how many they met."""
    met = 0
    for rule_id in _rules(db.session()):
        for record_id in _waiting(db.session(), rule_id, most - met):
            met += _met(rule_id, record_id)
        if met >= most:
            break
    return met


def _rules(session: Session) -> list[UUID]:
    running = select(WorkflowRule.id).where(
        WorkflowRule.trigger_event.not_in(EVENTS), WorkflowRule.trigger_event != "stage_changed",
        WorkflowRule.is_active, WorkflowRule.paused_at.is_(None), WorkflowRule.archived_at.is_(None),
    )  # fmt: skip
    return list(
        session.scalars(running.order_by(WorkflowRule.entity_type, WorkflowRule.order, WorkflowRule.id))
    )


def _waiting(session: Session, rule_id: UUID, most: int) -> list[UUID]:
    rule = session.get(WorkflowRule, rule_id)
    return [found.record_id for found in due(session, rule, most)] if rule and _waits(rule) else []


def _waits(rule: WorkflowRule) -> bool:
    """Whether the rule waits for time, still: it may have been edited a moment ago."""
    return rule.is_running and TRIGGERS[rule.trigger_event].is_time


def _met(rule_id: UUID, record_id: UUID) -> bool:
    """Let the rule meet the record, if it still has to; whether it did."""
    try:
        return changes.commit(partial(_meet, rule_id, record_id), cause="time")
    except WorkflowExecutionError:
        # Another rule undid it all. Its failure is in the log, and the next one is not to wait for this one.
        return changes.commit(partial(_take, rule_id, record_id), cause="bookkeeping") is not None


def _meet(rule_id: UUID, record_id: UUID, session: Session) -> bool:
    record, now = _take(rule_id, record_id, session), ledger.of(session)
    if record is None:
        return False
    assert now is not None
    workflow.meet(session, now, rule_id, record)
    return True


def _take(rule_id: UUID, record_id: UUID, session: Session) -> Any:
    """The record, locked, with the occasion written down; None when the rule does not have to meet it any more."""
    rule = session.get(WorkflowRule, rule_id, populate_existing=True)
    if rule is None or not _waits(rule):
        return None
    try:
        record = locked(session, rule.entity_type, record_id)
    except NotFoundError:
        return None
    found = due(session, rule, 1, record_id)
    if not found:
        return None
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    occasion = dialect.insert(RuleOccasion).values(
        rule_id=rule_id, record_id=record_id, counted_from=found[0].counted_from, at=clock.now()
    )
    is_free = session.connection().execute(occasion.on_conflict_do_nothing()).rowcount
    return record if is_free else None
