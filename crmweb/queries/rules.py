"""Workflow rules as plain rows: the list in its order, one rule, how much each was used, its last runs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import String, case, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from crmweb import clock
from crmweb.errors import NotFoundError
from crmweb.models import Activity, ChangeSet, Deal, Entity, RuleLook, RuleRun, User, WorkflowRule
from crmweb.models.history import did_not_act
from crmweb.models.workflow_rule import DEFINITION
from crmweb.queries import runs

USE_DAYS = 30
MOST_RUNS = 8
MOST_LOOKS = 4000
"""Looks that are counted at most: reading them is what the count costs."""


# Only the ids count here, and finding them is four times faster than decoding. Inside of a value seen, a quotation mark
# has a backslash before it.
WHO_LOOKED = re.compile(r'\["([0-9a-f-]{36})", ')


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule. `definition` is what it means; `place` counts from 1 among the rules of its type, 0 when archived.

    `state`: on, off, paused (by failures, `why`) or archived.
    """

    id: UUID
    name: str
    entity_type: str
    definition: dict[str, Any]
    place: int
    state: str
    why: str
    version: int
    order: int
    failures: int


class Use(NamedTuple):
    """How often a rule acted and looked."""

    acted: int = 0
    looked: int = 0

    @property
    def share(self) -> float:
        """How much of the looking led to acting, 0 to 100."""
        return min(100.0, 100 * self.acted / self.looked) if self.looked else 0.0


@dataclass(frozen=True, slots=True)
class RunRow:
    """One time that a rule acted, failed or was cut: what it did, in words, and on which record, if that is there."""

    id: UUID
    at: datetime
    outcome: str
    told: str
    after: str | None
    deal_id: UUID | None
    entity_id: UUID | None
    record_name: str | None
    rule_id: UUID
    rule_name: str


def listed(session: Session, entity_type: str, *, are_archived: bool = False) -> list[RuleRow]:
    """The rules of a type, in their order; or its archived ones, by name."""
    query = _rules().where(WorkflowRule.entity_type == entity_type)
    if are_archived:
        query = query.where(WorkflowRule.archived_at.is_not(None)).order_by(
            WorkflowRule.name, WorkflowRule.id
        )
    else:
        query = query.where(WorkflowRule.archived_at.is_(None)).order_by(WorkflowRule.order, WorkflowRule.id)
    rows = session.execute(query).all()
    return [_row(row, 0 if are_archived else place) for place, row in enumerate(rows, 1)]


def load(session: Session, rule_id: UUID) -> RuleRow:
    """One rule. NotFoundError when it is not there."""
    row = session.execute(_rules().where(WorkflowRule.id == rule_id)).first()
    if row is None:
        raise NotFoundError("This rule is not there any more.")
    return _row(row, 0)


def counts(session: Session) -> tuple[Counter[str], Counter[str]]:
    """How many rules each type has, and how many archived ones."""
    is_archived = WorkflowRule.archived_at.is_not(None)
    query = select(WorkflowRule.entity_type, is_archived, func.count()).group_by(
        WorkflowRule.entity_type, is_archived
    )
    live, archived = Counter[str](), Counter[str]()
    for entity_type, was_archived, count in session.execute(query):
        (archived if was_archived else live)[entity_type] = count
    return live, archived


def running(session: Session) -> dict[UUID, dict[str, Any]]:
    """What the running rules mean, of all types, in order."""
    query = _rules().where(
        WorkflowRule.is_active, WorkflowRule.paused_at.is_(None), WorkflowRule.archived_at.is_(None)
    )
    rows = session.execute(query.order_by(WorkflowRule.entity_type, WorkflowRule.order, WorkflowRule.id))
    return {row.id: _definition(row) for row in rows}


def pointing_to(session: Session, record_id: UUID) -> list[str]:
    """The names of the running rules that point to a stage or a person, in order."""
    return [rule["name"] for rule in running(session).values() if str(record_id) in str(rule)]


def use(
    session: Session, entity_type: str, most: int = MOST_LOOKS
) -> tuple[dict[UUID, Use], datetime | None]:
    """How often each rule of a type was used in the last 30 days: two statements.

    On a busy system only the `most` newest looks are counted; then it answers since when.
    """
    since = clock.now() - timedelta(days=USE_DAYS)
    newest = (
        select(RuleLook.at, cast(RuleLook.looks, String).label("looks"))
        .where(RuleLook.at >= since, RuleLook.record_type == entity_type)
        .order_by(RuleLook.at.desc())
        .limit(most)
    )
    looked, read = Counter[str](), session.execute(newest).all()
    for row in read:
        looked.update(WHO_LOOKED.findall(row.looks))
    is_cut_short = len(read) == most
    if is_cut_short:
        since = read[-1].at
    # By their rules, because runs of other types are found by no index to be left out.
    of_type = select(WorkflowRule.id).where(WorkflowRule.entity_type == entity_type)
    done = (
        select(RuleRun.rule_id, func.count())
        .where(RuleRun.rule_id.in_(of_type), RuleRun.at >= since, RuleRun.outcome == "acted")
        .group_by(RuleRun.rule_id)
    )
    acted: dict[UUID, int] = dict(session.execute(done).all())
    ids = {*acted, *map(UUID, looked)}
    counted = {rule: Use(acted.get(rule, 0), looked[str(rule)]) for rule in ids}
    return counted, since if is_cut_short else None


def last_runs(
    session: Session,
    rule_id: UUID | None,
    before: UUID | None = None,
    outcome: str = "",
    most: int = MOST_RUNS,
) -> tuple[list[RunRow], UUID | None]:
    """The newest `most` runs of a rule, or of all; and from which one on the older ones begin (None: that was all).

    `outcome` (acted, failed, cut): only those.

    A record that was deleted since has a name, but nowhere to go.
    """
    own, of_deal, of_entity = aliased(Activity), aliased(Deal), aliased(Entity)
    query = (
        select(
            RuleRun.id, RuleRun.at, RuleRun.outcome, RuleRun.effects, RuleRun.error, RuleRun.rule_id,
            WorkflowRule.name.label("rule"),
            func.coalesce(User.name, ChangeSet.by_label).label("after"), of_deal.id.label("deal"),
            of_entity.id.label("entity"), func.coalesce(of_deal.name, of_entity.name).label("record_name"),
            func.coalesce(of_deal.deleted_at, of_entity.deleted_at).label("gone_at"),
        )
        .join(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .outerjoin(ChangeSet, ChangeSet.id == RuleRun.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(own, own.id == RuleRun.record_id)
        .outerjoin(of_deal, of_deal.id == func.coalesce(own.deal_id, RuleRun.record_id))
        .outerjoin(of_entity, of_entity.id == func.coalesce(own.entity_id, RuleRun.record_id))
        .order_by(RuleRun.at.desc(), RuleRun.id.desc())
        .limit(most + 1)
    )  # fmt: skip
    if rule_id is not None:
        query = query.where(RuleRun.rule_id == rule_id)
    if outcome:
        query = query.where(RuleRun.outcome == outcome)
    if outcome not in ("", "acted"):
        query = query.where(did_not_act())
    if before is not None:
        mark = select(RuleRun.at).where(RuleRun.id == before).scalar_subquery()
        query = query.where(RuleRun.at <= mark, or_(RuleRun.at < mark, RuleRun.id < before))
    found = [_run(row) for row in session.execute(query)]
    return found[:most], found[most - 1].id if len(found) > most else None


def _rules() -> Any:
    failed = (
        select(RuleRun.error)
        .where(RuleRun.rule_id == WorkflowRule.id, RuleRun.outcome == "failed")
        .order_by(RuleRun.at.desc())
        .limit(1)
        .scalar_subquery()
    )
    table: Any = WorkflowRule.__table__
    columns = (table.c[name] for name in DEFINITION)
    return select(
        WorkflowRule.id, *columns, WorkflowRule.is_active, WorkflowRule.paused_at, WorkflowRule.archived_at,
        WorkflowRule.failures, WorkflowRule.version, WorkflowRule.order,
        case((WorkflowRule.paused_at.is_not(None), failed)).label("why"),
    )  # fmt: skip


def _row(row: Any, place: int) -> RuleRow:
    state = "archived" if row.archived_at else "paused" if row.paused_at else "on" if row.is_active else "off"
    why = (row.why or "").removeprefix(f"The rule “{row.name}” ") if state == "paused" else ""
    return RuleRow(
        row.id,
        row.name,
        row.entity_type,
        _definition(row),
        place,
        state,
        why,
        row.version,
        row.order,
        row.failures,
    )


def _definition(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in DEFINITION}


def _run(row: Any) -> RunRow:
    is_there = row.gone_at is None
    return RunRow(
        row.id, row.at, row.outcome, runs.told(row.rule, row.outcome, row.effects, row.error), row.after,
        row.deal if is_there else None, row.entity if is_there and row.deal is None else None, row.record_name,
        row.rule_id, row.rule,
    )  # fmt: skip
