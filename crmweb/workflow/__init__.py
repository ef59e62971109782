"""Workflow rules: when something happens to a record and the conditions hold, do the actions.

`run` is called by `changes` once the person's own change is flushed, inside its transaction. The order and the bounds
are in `rounds`, the conditions in `conditions`, what rules may touch in `catalog`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import insert, inspect, select
from sqlalchemy.orm import Session

from crmweb import clock, config
from crmweb.errors import FieldError
from crmweb.ledger import Ledger
from crmweb.models import RuleRun, RuleVersion, WorkflowRule
from crmweb.models.base import choice
from crmweb.models.snapshot import changed_columns
from crmweb.models.workflow_rule import DEFINITION, TRIGGERS
from crmweb.workflow import checking, ordering, rounds
from crmweb.workflow.compiled import raise_rules_version, rules_of, version_of
from crmweb.workflow.telling import changes_who_hears
from crmweb.workflow.world import WATCHED, Live, count_failure

__all__ = ["evaluate", "keep_failures", "meet", "prepare_rules", "raise_rules_version", "rules_of", "run"]


def run(session: Session, ledger: Ledger) -> None:
    """Let the rules act on what the change set did, until they are quiet.

    Raises WorkflowExecutionError when a rule with on_failure `undo` failed.
    """
    if not any(type(touch.record) in WATCHED for touch in ledger.touches.values()):
        return
    if rules := _rules(session, ledger):
        rounds.run(rules, Live(session, ledger), _progress(ledger), _limits())
        session.flush()


def evaluate(session: Session, ledger: Ledger, entity_type: str, trigger: str, record: Any) -> None:
    """One look at `record` at once, as if `trigger` had happened; a failing action raises WorkflowExecutionError."""
    name = WATCHED.get(type(record))
    if name is None or name != entity_type:
        raise FieldError("entity_type", f"“{entity_type}” does not name a {type(record).__name__}.")
    choice("trigger_event", trigger, TRIGGERS)
    if record.id not in ledger.touches:
        ledger.note_look(record)
    strict = tuple(replace(rule, on_failure="undo") for rule in _rules(session, ledger))
    progress = _progress(ledger)
    progress.number = max(progress.number, 1)
    occasion = rounds.Occasion(record.id, name, trigger)
    rounds.look(strict, Live(session, ledger, is_strict=True), progress, _limits(), occasion)


def meet(session: Session, ledger: Ledger, rule_id: UUID, record: Any) -> None:
    """Let the one rule meet `record`, because time brought it about; its failure undoes nothing but what it did."""
    rule = next((rule for rule in _rules(session, ledger) if rule.id == rule_id), None)
    if rule is None:
        return
    ledger.note_look(record)
    progress = _progress(ledger)
    progress.number = 1
    occasion = rounds.Occasion(record.id, rule.entity_type, rule.trigger)
    rounds.look((replace(rule, on_failure="keep"),), Live(session, ledger), progress, _limits(), occasion)


def prepare_rules(session: Session, ledger: Ledger) -> None:
    """Before a flush: check each new or changed rule, give it an order and keep its version; note who hears of them."""
    if changes_who_hears(session):
        ledger.are_rules_changed = True
    for rule in [entry for entry in session.new if isinstance(entry, WorkflowRule)]:
        ledger.are_rules_changed = True
        checking.check(session, rule)
        _require_room(session, rule)
        if rule.__dict__.get("order") is None:
            rule.order = ordering.next_order(session, rule)
        _keep_version(session, rule)
    for rule in [
        entry for entry in session.dirty if isinstance(entry, WorkflowRule) and session.is_modified(entry)
    ]:
        ledger.are_rules_changed = True
        changed = set(changed_columns(session, rule))
        if changed & {"archived_at", "entity_type"} and rule.archived_at is None:
            _require_room(session, rule)
        if changed & {"trigger_event", "trigger_config"} and not inspect(rule).attrs.on_since.history.added:
            rule.on_since = clock.now()
        if changed & set(DEFINITION):
            checking.check(session, rule)
            rule.version += 1
            _keep_version(session, rule)


def _require_room(session: Session, rule: WorkflowRule) -> None:
    """Raising the version locks it: two people who write the last rule at the same time come one after the other."""
    raise_rules_version(session)
    checking.check_limit(session, rule)


def keep_failures(session: Session, runs: list[dict[str, Any]]) -> None:
    """Write the runs of rules that undid a change, and count their failures."""
    failed = {row["rule_id"] for row in runs}
    # A rule that was made in the undone change is gone with it.
    there = set(session.scalars(select(WorkflowRule.id).where(WorkflowRule.id.in_(failed))))
    kept = [row for row in runs if row["rule_id"] in there]
    if kept:
        session.connection().execute(insert(RuleRun), kept)
    for row in kept:
        count_failure(session, row["rule_id"], row["error"])


def _rules(session: Session, ledger: Ledger) -> tuple[rounds.Rule, ...]:
    if ledger.rules_version is None:
        ledger.rules_version = version_of(session)
    return rules_of(session, ledger.rules_version, are_changing=ledger.are_rules_changed)


def _limits() -> rounds.Limits:
    return rounds.Limits(config.settings.rule_rounds, config.settings.rule_actions)


def _progress(ledger: Ledger) -> rounds.Progress:
    if ledger.progress is None:
        ledger.progress = rounds.Progress()
    progress: rounds.Progress = ledger.progress
    return progress


def _keep_version(session: Session, rule: WorkflowRule) -> None:
    session.add(RuleVersion(rule=rule, version=rule.version, at=clock.now(), definition=rule.definition()))
