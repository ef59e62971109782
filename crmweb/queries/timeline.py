"""Timelines: what was said and done on a deal, or on an entity and all its deals, by people and by rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Select, String, Uuid, func, literal, or_, select, union_all
from sqlalchemy.orm import Session, aliased, joinedload

from crmweb import config
from crmweb.errors import FieldError
from crmweb.ledger import WHOLE
from crmweb.models import Activity, Change, ChangeSet, Deal, RuleRun, User, WorkflowRule
from crmweb.models.activity import AUDIT
from crmweb.models.types import UtcDateTime
from crmweb.models.user import SYSTEM
from crmweb.queries import edits, looks, runs
from crmweb.queries.edits import Edit

Records = list[Select[UUID]]


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One entry. `by_label` says who, when there is no `author_name`; times are UTC.

    `type` is an activity's, `audit`, `rule` for what a rule did that left no activity, or `edit` for a change set with
    `edits` that nothing else tells. `after` says whose change set the rule off.

    `change_set_id` is what its Undo takes back, None on all but the first entry of a change set and when that is
    undone already: then `undone_by` and `undone_at` say so. `again`: an undo (False), or an undo of one (True).
    `looked_id`: the entry's change set, when rules looked at the deal or the entry in it: `looked` of them, of which
    `acted` did something and `failed` could not.
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
    deal_owner_id: UUID | None = None
    change_set_id: UUID | None = None
    undone_by: str | None = None
    undone_at: datetime | None = None
    again: bool | None = None
    edits: tuple[Edit, ...] = ()
    looked_id: UUID | None = None
    looked: int = 0
    acted: int = 0
    failed: int = 0

    @property
    def is_audit(self) -> bool:
        """Whether nobody edits it: the note of a move, what a rule did, what somebody changed."""
        return self.type in (AUDIT, "rule", "edit")


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


def last_act(items: Sequence[TimelineItem]) -> TimelineItem | None:
    """The newest entry that stands and can be undone, undoing itself aside: pressed again, one goes further back."""
    return next((item for item in items if item.change_set_id and item.again is None), None)


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
    """The newest activities of `link`, and the newest runs of rules and edits on `records` or those activities.

    One statement, and at most two more when there are edits.
    """
    most = config.settings.activity_timeline_limit if limit is None else limit
    touched: Any = union_all(*records, select(Activity.id).where(link))
    parts = [
        (_activities(link), Activity.created_at, Activity.id),
        (_runs(touched), RuleRun.at, RuleRun.id),
        (edits.entries(touched), ChangeSet.at, ChangeSet.id),
    ]
    mark = func.coalesce(*(select(at).where(key == before).scalar_subquery() for _, at, key in parts))
    newest = [
        (part if before is None else part.where(_older(at, key, mark, before)))
        .order_by(at.desc(), key.desc()).limit(most + 1).subquery()
        for part, at, key in parts
    ]  # fmt: skip
    all_ = union_all(*(select(part) for part in newest)).subquery()
    rows = session.execute(_page(all_, most + 1)).all()
    told = edits.load(session, [row.id for row in rows if row.type == "edit"], touched)
    return _with_acts([_item(row, told) for row in rows])


def _page(entries: Any, most: int) -> Any:
    """The newest of the entries, with their deals and the change sets that made them."""
    newest = select(entries).order_by(entries.c.at.desc(), entries.c.id.desc()).limit(most).subquery()
    made = (
        select(Change.change_set_id)
        .where(Change.record_id == newest.c.id, Change.field == WHOLE)
        .order_by(Change.change_set_id)
        .limit(1)
        .scalar_subquery()
    )
    page = select(newest, func.coalesce(newest.c.change_set_id, made).label("made_by")).subquery()
    head, parent, undo, undoer = aliased(ChangeSet), aliased(ChangeSet), aliased(ChangeSet), aliased(User)
    return (
        select(
            page, Deal.name.label("deal"), Deal.assigned_to_id.label("deal_owner_id"), head.cause,
            parent.cause.label("parent_cause"), undo.at.label("undone_at"),
            func.coalesce(undoer.name, undo.by_label).label("undone_by"),
            *looks.counts(page),
        )
        .outerjoin(Deal, Deal.id == page.c.deal_id)
        .outerjoin(head, head.id == page.c.made_by)
        .outerjoin(parent, parent.id == head.parent_id)
        .outerjoin(undo, undo.id == head.undone_by_id)
        .outerjoin(undoer, undoer.id == undo.by_user_id)
        .order_by(page.c.at.desc(), page.c.id.desc())
    )  # fmt: skip


def _with_acts(items: list[TimelineItem]) -> list[TimelineItem]:
    """Leave the Undo of a change set to its oldest entry, which is the act itself: what rules did stands above it."""
    first = {item.change_set_id: item.id for item in items}
    return [
        item if first[item.change_set_id] == item.id else replace(item, change_set_id=None) for item in items
    ]


def _activities(link: ColumnElement[bool]) -> Any:
    owner = aliased(User)
    return (
        select(
            Activity.id, func.coalesce(Activity.kind, Activity.type).label("type"), Activity.subject,
            Activity.description, Activity.author_id, User.name.label("author"), Activity.by_label, RuleRun.rule_id,
            Activity.rule_name, literal(None, String).label("outcome"), literal(None, JSON).label("effects"),
            Activity.created_at.label("at"), Activity.deal_id, owner.name.label("owner"),
            Activity.due_at, Activity.completed_at, Activity.assigned_to_id,
            literal(None, Uuid).label("change_set_id"),
        )
        .outerjoin(User, User.id == Activity.author_id)
        .outerjoin(owner, owner.id == Activity.assigned_to_id)
        .outerjoin(RuleRun, RuleRun.id == Activity.rule_run_id)
        .where(link, Activity.deleted_at.is_(None))
    )  # fmt: skip


def _runs(touched: Any) -> Any:
    """What rules did to the records `touched` that no activity tells."""
    nothing = literal(None, String)
    return (
        select(
            RuleRun.id, literal("rule").label("type"), RuleRun.error.label("subject"), nothing.label("description"),
            ChangeSet.by_user_id.label("author_id"), User.name.label("author"), ChangeSet.by_label, RuleRun.rule_id,
            WorkflowRule.name.label("rule_name"), RuleRun.outcome, RuleRun.effects, RuleRun.at,
            Deal.id.label("deal_id"), nothing.label("owner"), literal(None, UtcDateTime).label("due_at"),
            literal(None, UtcDateTime).label("completed_at"), literal(None, Uuid).label("assigned_to_id"),
            RuleRun.change_set_id,
        )
        .join(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
        .outerjoin(ChangeSet, ChangeSet.id == RuleRun.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(Deal, Deal.id == RuleRun.record_id)
        .where(RuleRun.record_id.in_(touched), RuleRun.change_set_id.is_not(None), runs.is_untold())
    )  # fmt: skip


def _older(at: Any, key: Any, mark: Any, before: UUID) -> ColumnElement[bool]:
    return or_(at < mark, (at == mark) & (key < before))


def _item(row: Any, told: dict[UUID, list[Edit]]) -> TimelineItem:
    subject, after, author_id, author = row.subject or "", None, row.author_id, row.author
    if row.type == "rule":
        subject = runs.told(row.rule_name, row.outcome, row.effects or (), row.subject, all_=False)
        who, author_id, author = author or row.by_label, None, None
        after = f"after {who}’s change" if who and who != SYSTEM.name else None
    elif row.rule_name and row.by_label:
        after = row.by_label.removeprefix(f"Rule “{row.rule_name}”").removeprefix(", ") or None
    is_undone = row.undone_at is not None
    return TimelineItem(
        row.id, row.type, subject, row.description, author_id, author, row.by_label, row.rule_id, row.rule_name,
        row.outcome, after, row.at, row.deal_id if row.deal else None, row.deal, row.owner, row.due_at,
        row.completed_at, row.assigned_to_id, row.deal_owner_id, None if is_undone else row.made_by,
        (row.undone_by or "somebody") if is_undone else None, row.undone_at,
        row.parent_cause == "undo" if row.cause == "undo" else None, tuple(told.get(row.id, ())),
        row.made_by if row.looked else None, row.looked or 0, row.acted, row.failed,
    )  # fmt: skip


def _deals_of(entity_id: UUID) -> Select[UUID]:
    return select(Deal.id).where(Deal.entity_id == entity_id, Deal.deleted_at.is_(None))


def _entity_and_deals(entity_id: UUID) -> ColumnElement[bool]:
    return or_(Activity.entity_id == entity_id, Activity.deal_id.in_(_deals_of(entity_id)))
