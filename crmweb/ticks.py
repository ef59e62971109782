"""What time brings about: the worker looks which records a rule has to meet now, and lets it meet each once.

Each meeting is a change set of its own, so it can be explained and undone like anything else; the occasion is written
down in the same transaction. Two workers side by side meet nobody twice: the second finds the occasion taken.

Days pass at midnight. When a rule has met whom a day brings, only a record that changes can be new to it, so most looks
ask for those alone: to go through half a million that were met already, once a minute, would never end.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
from crmweb.models.base import Record
from crmweb.models.locking import locked
from crmweb.models.workflow_rule import EVENTS
from crmweb.workflow.due import due
from crmweb.workflow.triggers import TRIGGERS

SLACK = timedelta(minutes=10)
"""How much later than its time a change may be saved, or another machine's clock be behind."""
AGAIN = timedelta(hours=1)
"""After which all records are asked, whatever was thought to be known."""
READ_AHEAD = 10_000
"""Records that are noted at once: to find them again for each piece would take longer than to meet them."""


@dataclass
class Walk:
    """A rule's way through the records, in the order of their ids. `key` is what it was begun for.

    `whole_since`: when a walk through all of them began; `changed_since`: this one goes only through what changed.
    """

    key: tuple[Any, ...]
    began: datetime
    whole_since: datetime
    changed_since: datetime | None = None
    waiting: deque[UUID] = field(default_factory=deque)
    after: UUID | None = None
    is_over: bool = False

    def next(self, session: Session, rule: WorkflowRule, most: int) -> list[UUID]:
        """The next records, at most `most`; none when it is over."""
        if not self.waiting and not self.is_over:
            found = due(session, rule, READ_AHEAD, after=self.after, changed_since=self.changed_since)
            self.waiting.extend(one.record_id for one in found)
            self.is_over = len(found) < READ_AHEAD
            self.after = found[-1].record_id if found else None
        return [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]


_walks: dict[UUID, Walk] = {}
"""By rule. Another process walks by itself: it costs time alone, and nobody is met twice."""


def start_over() -> None:
    """The next tick asks all records, as the first one of a process does."""
    _walks.clear()


def tick(most: int) -> int:
    """Let the running rules of time meet up to `most` records; answers how many they met."""
    met, running = 0, _rules(db.session())
    for gone in _walks.keys() - set(running):
        del _walks[gone]
    for rule_id in running:
        if met < most and (rule := db.session.get(WorkflowRule, rule_id)):
            walk = _walk(rule, _walks.pop(rule_id, None))
            while some := _waiting(db.session(), rule_id, walk, most - met):
                met += sum(_met(rule_id, record_id) for record_id in some)
            _walks[rule_id] = walk  # not after a fault: whom it kept from being met is looked for again
    return met


def _rules(session: Session) -> list[UUID]:
    running = select(WorkflowRule.id).where(
        WorkflowRule.trigger_event.not_in(EVENTS), WorkflowRule.trigger_event != "stage_changed",
        WorkflowRule.is_active, WorkflowRule.paused_at.is_(None), WorkflowRule.archived_at.is_(None),
    )  # fmt: skip
    return list(
        session.scalars(running.order_by(WorkflowRule.entity_type, WorkflowRule.order, WorkflowRule.id))
    )


def _waiting(session: Session, rule_id: UUID, walk: Walk, most: int) -> list[UUID]:
    """The next records for the rule, none when it was switched off or paused meanwhile."""
    rule = session.get(WorkflowRule, rule_id)
    return walk.next(session, rule, most) if rule is not None and _waits(rule) else []


def _walk(rule: WorkflowRule, last: Walk | None) -> Walk:
    """The last one while it goes on; after it one through what changed, and in time one through all again."""
    now, key = clock.now(), (rule.version, rule.on_since, clock.today())
    if last is None or last.key != key or not timedelta(0) <= now - last.whole_since < AGAIN:
        return Walk(key, now, whole_since=now)
    if last.waiting or not last.is_over:
        return last
    return Walk(key, now, last.whole_since, changed_since=last.began - SLACK)


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


def _take(rule_id: UUID, record_id: UUID, session: Session) -> Record | None:
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
