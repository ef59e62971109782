"""What time brings about: the worker looks which records a rule has to meet now, and lets it meet each once.

Each meeting is a change set of its own, so it can be explained and undone like anything else; the occasion is written
down in the same transaction. Two workers side by side meet nobody twice: the second finds the occasion taken.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb import changes, clock, ledger, workflow
from crmweb.errors import NotFoundError
from crmweb.extensions import db
from crmweb.models import RuleOccasion, WorkflowRule
from crmweb.models.locking import locked
from crmweb.models.workflow_rule import EVENTS
from crmweb.workflow.due import due


def tick(most: int) -> int:
    """Let the running rules of time meet up to `most` records; answers how many they met."""
    met = 0
    for rule_id in _rules(db.session()):
        for record_id in _waiting(db.session(), rule_id, most - met):
            met += bool(changes.commit(partial(_meet, rule_id, record_id), cause="time"))
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
    return [found.record_id for found in due(session, rule, most)] if rule else []


def _meet(rule_id: UUID, record_id: UUID, session: Session) -> bool:
    """Let the rule meet the record, if it still has to; whether it did."""
    rule = session.get(WorkflowRule, rule_id, populate_existing=True)
    if rule is None or not rule.is_running:
        return False
    try:
        record = locked(session, rule.entity_type, record_id)
    except NotFoundError:
        return False
    found = due(session, rule, 1, record_id)
    if not found:
        return False
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    occasion = dialect.insert(RuleOccasion).values(
        rule_id=rule_id, record_id=record_id, counted_from=found[0].counted_from, at=clock.now()
    )
    if not session.connection().execute(occasion.on_conflict_do_nothing()).rowcount:
        return False
    now = ledger.of(session)
    assert now is not None
    workflow.meet(session, now, rule_id, record)
    return True
