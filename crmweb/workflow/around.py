"""What rules did in some change sets, as the log has it: their runs, what they touched, whom they stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb.models import Change, RuleLook, RuleRun, RuleVersion, WorkflowRule
from crmweb.workflow.conditions import Condition
from crmweb.workflow.replay import Place, Run, Stop, Trace
from crmweb.workflow.triggers import TRIGGERS


class Around(NamedTuple):
    """By run, by change set (those in which rules ran), by record."""

    runs: Mapping[UUID, Run]
    traces: Mapping[UUID, Sequence[Trace]]
    stops: Mapping[UUID, Sequence[Stop]]


def read(session: Session, entity_type: str, change_sets: Any, ids: Sequence[UUID]) -> Around:
    """All of it for `change_sets` (a query for their ids), and who stopped others at the records `ids`."""
    return Around(
        _runs(session, change_sets),
        _traces(session, change_sets),
        _stops(session, entity_type, change_sets, ids),
    )


def _runs(session: Session, change_sets: Any) -> dict[UUID, Run]:
    query = (
        select(RuleRun.id, RuleRun.rule_id, RuleRun.record_id, WorkflowRule.order)
        .join(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .where(RuleRun.change_set_id.in_(change_sets))
    )
    return {
        row.id: Run(row.rule_id, row.record_id, (row.order, str(row.rule_id)))
        for row in session.execute(query)
    }


def _traces(session: Session, change_sets: Any) -> dict[UUID, list[Trace]]:
    with_runs = select(RuleRun.change_set_id).where(RuleRun.change_set_id.in_(change_sets))
    touched = (Change.change_set_id, Change.record_id, Change.round, Change.rule_run_id)
    query = select(*touched).where(Change.change_set_id.in_(with_runs)).group_by(*touched)
    found = defaultdict[UUID, list[Trace]](list)
    for row in session.execute(query.order_by(func.min(Change.sequence))):
        found[row.change_set_id].append(Trace(row.record_id, row.round, row.rule_run_id))
    return found


def _stops(
    session: Session, entity_type: str, change_sets: Any, ids: Sequence[UUID]
) -> dict[UUID, list[Stop]]:
    """Where rules that stop those below them acted, by record."""
    stopping = _stopping(session, entity_type)
    found = defaultdict[UUID, list[Stop]](list)
    if not stopping:
        return found
    failed = _failed(session, change_sets)
    looks = select(RuleLook).where(RuleLook.change_set_id.in_(change_sets), RuleLook.record_id.in_(ids))
    for look in session.scalars(looks):
        for rule_id, version, acts, *_ in look.looks:
            known = stopping.get((rule_id, version))
            if acts and known and (look.change_set_id, look.record_id, rule_id) not in failed:
                stop = Stop(look.change_set_id, look.record_id, look.round, look.trigger, *known)
                found[look.record_id].append(stop)
    return found


def _stopping(
    session: Session, entity_type: str
) -> dict[tuple[str, int], tuple[Place, tuple[Condition, ...]]]:
    """The versions of rules that stop those below them: their place, and where they look at all."""
    query = select(RuleVersion.rule_id, RuleVersion.version, RuleVersion.definition, WorkflowRule.order)
    query = query.join(WorkflowRule, WorkflowRule.id == RuleVersion.rule_id)
    found = {}
    for row in session.execute(query.where(WorkflowRule.entity_type == entity_type)):
        if row.definition.get("stop_after"):
            only = TRIGGERS[row.definition["trigger_event"]].only(row.definition.get("trigger_config") or {})
            found[str(row.rule_id), row.version] = (row.order, str(row.rule_id)), only
    return found


def _failed(session: Session, change_sets: Any) -> set[tuple[UUID, UUID, str]]:
    query = select(RuleRun.change_set_id, RuleRun.record_id, RuleRun.rule_id).where(
        RuleRun.change_set_id.in_(change_sets), RuleRun.outcome == "failed"
    )
    return {(row.change_set_id, row.record_id, str(row.rule_id)) for row in session.execute(query)}
