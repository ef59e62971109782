"""Timelines: what was said and done on a deal, or on an entity and all its deals, by people and by rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    Select,
    String,
    Uuid,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased, joinedload

from crmweb import config
from crmweb.errors import FieldError
from crmweb.models import Activity, ChangeSet, Deal, RuleRun, User, WorkflowRule
from crmweb.models.activity import AUDIT
from crmweb.models.types import UtcDateTime
from crmweb.models.user import SYSTEM
from crmweb.queries import runs

Records = list[Select[UUID]]


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One entry. `by_label` says who, when there is no `author_name`; times are UTC.

    `type` is an activity's, `audit`, or `rule` for what a rule did that left no activity. `after` says whose change
    set the rule off.
    """

    id: UUID
    type: str
    subject: str
    description: str | None
    author_id: UUID | None
    author_name: str | None
    by_label: str | None
    rule_id: UUID | None
    rule_name: str | None
    outcome: str | None
    after: str | None
    at: datetime
    deal_id: UUID | None
    deal_name: str | None
    assigned_to_name: str | None
    due_at: datetime | None
    completed_at: datetime | None
    assigned_to_id: UUID | None

    @property
    def is_audit(self) -> bool:
        """Whether nobody edits it: the note of a move, or what a rule did."""
        return self.type in (AUDIT, "rule")


def of_deal(
    session: Session, deal_id: UUID, limit: int | None = None, before: UUID | None = None
) -> list[TimelineItem]:
    """The newest entries of a deal; one more than `limit` when there are more. `before`: older than this entry."""
    return _items(session, Activity.deal_id == deal_id, [select(literal(deal_id, Uuid))], limit, before)


def of_entity(
    session: Session, entity_id: UUID, limit: int | None = None, before: UUID | None = None
) -> list[TimelineItem]:
    """The newest entries of an entity and of its deals; one more than `limit` when there are more."""
    records = [select(literal(entity_id, Uuid)), _deals_of(entity_id)]
    return _items(session, _entity_and_deals(entity_id), records, limit, before)


def activities(
    session: Session, related_to_type: str, related_to_id: UUID, limit: int | None = None
) -> list[Activity]:
    """The same as Activity records, for the documents' ActivityService."""
    link = {"Deal": Activity.deal_id == related_to_id, "Entity": _entity_and_deals(related_to_id)}.get(
        related_to_type
    )
    if link is None:
        raise FieldError("related_to_type", f"“{related_to_type}” has no timeline; Deal and Entity have.")
    most = config.settings.activity_timeline_limit if limit is None else limit
    if most < 1:
        raise FieldError("limit", "A timeline shows at least 1 entry.")
    query = select(Activity).where(link, Activity.deleted_at.is_(None)).options(joinedload(Activity.author))
    return list(session.scalars(query.order_by(Activity.created_at.desc(), Activity.id.desc()).limit(most)))


def _items(
    session: Session, link: ColumnElement[bool], records: Records, limit: int | None, before: UUID | None
) -> list[TimelineItem]:
    """One statement: the newest activities of `link` and the newest runs of rules on `records` or those activities."""
    most = config.settings.activity_timeline_limit if limit is None else limit
    done, ran = _activities(link), _runs(records, link)
    if before is not None:
        mark = func.coalesce(
            select(Activity.created_at).where(Activity.id == before).scalar_subquery(),
            select(RuleRun.at).where(RuleRun.id == before).scalar_subquery(),
        )
        done = done.where(_older(Activity.created_at, Activity.id, mark, before))
        ran = ran.where(_older(RuleRun.at, RuleRun.id, mark, before))
    newest = (
        done.order_by(Activity.created_at.desc(), Activity.id.desc()).limit(most + 1).subquery(),
        ran.order_by(RuleRun.at.desc(), RuleRun.id.desc()).limit(most + 1).subquery(),
    )
    both = union_all(*(select(part) for part in newest)).subquery()
    query = select(both).order_by(both.c.at.desc(), both.c.id.desc()).limit(most + 1)
    return [_item(row) for row in session.execute(query)]


def _activities(link: ColumnElement[bool]) -> Any:
    owner = aliased(User)
    return (
        select(
            Activity.id, func.coalesce(Activity.kind, Activity.type).label("type"), Activity.subject,
            Activity.description, Activity.author_id, User.name.label("author"), Activity.by_label, RuleRun.rule_id,
            Activity.rule_name, literal(None, String).label("outcome"), literal(None, JSON).label("effects"),
            Activity.created_at.label("at"), Activity.deal_id, Deal.name.label("deal"), owner.name.label("owner"),
            Activity.due_at, Activity.completed_at, Activity.assigned_to_id,
        )
        .outerjoin(User, User.id == Activity.author_id)
        .outerjoin(owner, owner.id == Activity.assigned_to_id)
        .outerjoin(Deal, Deal.id == Activity.deal_id)
        .outerjoin(RuleRun, RuleRun.id == Activity.rule_run_id)
        .where(link, Activity.deleted_at.is_(None))
    )  # fmt: skip


def _runs(records: Records, link: ColumnElement[bool]) -> Any:
    """What rules did to the records and to their activities that no activity tells."""
    touched: Any = union_all(*records, select(Activity.id).where(link))
    nothing = literal(None, String)
    return (
        select(
            RuleRun.id, literal("rule").label("type"), RuleRun.error.label("subject"), nothing.label("description"),
            ChangeSet.by_user_id.label("author_id"), User.name.label("author"), ChangeSet.by_label, RuleRun.rule_id,
            WorkflowRule.name.label("rule_name"), RuleRun.outcome, RuleRun.effects, RuleRun.at,
            Deal.id.label("deal_id"), Deal.name.label("deal"), nothing.label("owner"),
            literal(None, UtcDateTime).label("due_at"),
            literal(None, UtcDateTime).label("completed_at"), literal(None, Uuid).label("assigned_to_id"),
        )
        .join(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .outerjoin(ChangeSet, ChangeSet.id == RuleRun.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(Deal, Deal.id == RuleRun.record_id)
        .where(RuleRun.record_id.in_(touched), RuleRun.change_set_id.is_not(None), runs.is_untold())
    )  # fmt: skip


def _older(at: Any, key: Any, mark: Any, before: UUID) -> ColumnElement[bool]:
    return or_(at < mark, (at == mark) & (key < before))


def _item(row: Any) -> TimelineItem:
    subject, after, author_id, author = row.subject, None, row.author_id, row.author
    if row.type == "rule":
        subject = runs.told(row.rule_name, row.outcome, row.effects or (), row.subject, all_=False)
        who, author_id, author = author or row.by_label, None, None
        after = f"after {who}’s change" if who and who != SYSTEM.name else None
    elif row.rule_name and row.by_label:
        after = row.by_label.removeprefix(f"Rule “{row.rule_name}”").removeprefix(", ") or None
    return TimelineItem(
        row.id, row.type, subject, row.description, author_id, author, row.by_label, row.rule_id, row.rule_name,
        row.outcome, after, row.at, row.deal_id, row.deal, row.owner, row.due_at, row.completed_at, row.assigned_to_id,
    )  # fmt: skip


def _deals_of(entity_id: UUID) -> Select[UUID]:
    return select(Deal.id).where(Deal.entity_id == entity_id, Deal.deleted_at.is_(None))


def _entity_and_deals(entity_id: UUID) -> ColumnElement[bool]:
    return or_(Activity.entity_id == entity_id, Activity.deal_id.in_(_deals_of(entity_id)))
