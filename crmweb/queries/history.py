"""Who changed what, and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb.models import Activity, Change, ChangeSet, Deal, RuleRun, Stage, User, WorkflowRule


@dataclass(frozen=True, slots=True)
class LastChange:
    """The newest change of one field. `who`: a person, a rule, or a label without an account; `at` is UTC."""

    field: str
    who: str
    at: datetime


def last_changes(session: Session, record_id: UUID, fields: Iterable[str]) -> dict[str, LastChange]:
    """The newest change of each of `fields` of a record, by field. One statement."""
    query = (
        select(Change.field, User.name, ChangeSet.by_label, WorkflowRule.name.label("rule"), ChangeSet.at)
        .join(ChangeSet, ChangeSet.id == Change.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(RuleRun, RuleRun.id == Change.rule_run_id)
        .outerjoin(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .where(Change.record_id == record_id, Change.field.in_(list(fields)))
        .order_by(ChangeSet.at, Change.change_set_id, Change.sequence)
    )
    return {
        row.field: LastChange(row.field, row.rule or row.name or row.by_label or "Somebody", row.at)
        for row in session.execute(query)
    }


@dataclass(frozen=True, slots=True)
class Touch:
    """A field (`*`: made, brought back or deleted) of a record, as one change set left it. `at` is UTC."""

    change_set_id: UUID
    parent_id: UUID | None
    undone_by_id: UUID | None
    record_id: UUID
    field: str
    new: Any
    who: str
    at: datetime


def touches_since(session: Session, change_set_id: UUID, record_ids: Iterable[UUID]) -> list[Touch]:
    """What change sets after this one did to the records, newest first. One statement."""
    query = (
        select(
            Change.change_set_id, ChangeSet.parent_id, ChangeSet.undone_by_id, Change.record_id, Change.field,
            Change.new, User.name, ChangeSet.by_label, WorkflowRule.name.label("rule"), ChangeSet.at,
        )
        .join(ChangeSet, ChangeSet.id == Change.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(RuleRun, RuleRun.id == Change.rule_run_id)
        .outerjoin(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .where(Change.record_id.in_(list(record_ids)), Change.change_set_id > change_set_id)
        .order_by(Change.change_set_id.desc(), Change.sequence)
    )  # fmt: skip
    return [
        Touch(
            row.change_set_id, row.parent_id, row.undone_by_id, row.record_id, row.field, row.new,
            f"the rule “{row.rule}”" if row.rule else row.name or row.by_label or "Somebody", row.at,
        )
        for row in session.execute(query)
    ]  # fmt: skip


class Home(NamedTuple):
    """Where a change set is shown: the deal with its board, or the entity; None where there is none of it."""

    deal_id: UUID | None = None
    entity_id: UUID | None = None
    pipeline_id: UUID | None = None


def home(session: Session, change_set_id: UUID) -> Home:
    """The home of the record that the change set met first. One statement."""
    query = (
        select(
            func.coalesce(Activity.deal_id, Deal.id), Activity.entity_id, Stage.pipeline_id, Change.record_id
        )
        .outerjoin(Activity, Activity.id == Change.record_id)
        .outerjoin(Deal, Deal.id == func.coalesce(Activity.deal_id, Change.record_id))
        .outerjoin(Stage, Stage.id == Deal.stage_id)
        .where(Change.change_set_id == change_set_id, Change.record_type.in_(("Deal", "Entity", "Activity")))
        .order_by(Change.sequence)
    )
    row: Any = session.execute(query.limit(1)).first()
    if row is None:
        return Home()
    of_deal, of_entity, pipeline_id, record_id = row
    return Home(of_deal, (of_entity or record_id) if of_deal is None else None, pipeline_id)
