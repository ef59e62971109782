"""The invariants between records: totals, the history, and links that no foreign key guards."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, func, or_, select, type_coerce, union_all

from crmweb.doctor.findings import Check, Finding, rows
from crmweb.ledger import TRACKED, WHOLE
from crmweb.models import (
    Activity,
    Change,
    ChangeSet,
    Deal,
    Notification,
    RuleLook,
    RuleRun,
    StageChange,
    StageTotal,
    WorkflowRule,
)
from crmweb.models.stage import NOBODY


def totals(connection: Connection) -> list[Finding]:
    """Counts and sums of the stages are those of their deals."""
    kept = select(
        StageTotal.stage_id,
        StageTotal.owner_id,
        StageTotal.currency,
        StageTotal.deal_count.label("deals"),
        type_coerce(StageTotal.amount_sum, BigInteger).label("amount"),
    )
    owner = func.coalesce(Deal.assigned_to_id, NOBODY)
    counted = (
        select(
            Deal.stage_id,
            owner,
            Deal.currency,
            -func.count(),
            -func.coalesce(func.sum(type_coerce(Deal.amount, BigInteger)), 0),
        )
        .where(Deal.deleted_at.is_(None))
        .group_by(Deal.stage_id, owner, Deal.currency)
    )
    both = union_all(kept, counted).subquery()
    wrong = (
        select(both.c.stage_id, both.c.currency)
        .group_by(both.c.stage_id, both.c.owner_id, both.c.currency)
        .having(or_(func.sum(both.c.deals) != 0, func.sum(both.c.amount) != 0))
    )
    return rows(connection, "totals", wrong, "{count} totals are not the sum of their deals, in the stages:")


def history(connection: Connection) -> list[Finding]:
    """Each record's making is in the history."""
    found = []
    for model in TRACKED:
        made = select(Change.record_id).where(
            Change.record_id == model.id, Change.field == WHOLE, Change.new.is_not(None)
        )
        found += rows(
            connection,
            "history",
            select(model.id).where(~made.exists()),
            f"The history does not know how {{count}} of the {model.__tablename__.replace('_', ' ')} were made:",
        )
    return found


def orphans(connection: Connection) -> list[Finding]:
    """What names a change set, a rule or a rule's run without a foreign key names one that is there."""
    found = []
    for column, target in (
        (StageChange.change_set_id, ChangeSet.id),
        (RuleLook.change_set_id, ChangeSet.id),
        (RuleRun.change_set_id, ChangeSet.id),
        (Activity.rule_run_id, RuleRun.id),
        (Notification.rule_run_id, RuleRun.id),
        (Notification.rule_id, WorkflowRule.id),
    ):
        there = select(target).where(target == column)
        lost = select(column).where(column.is_not(None), ~there.exists()).distinct()
        words = f"{column.class_.__tablename__.replace('_', ' ')} name {target.class_.__tablename__.replace('_', ' ')}"
        found += rows(connection, "orphans", lost, f"{{count}} times {words} that are gone:")
    return found


CHECKS: tuple[Check, ...] = (totals, history, orphans)
