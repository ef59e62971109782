"""The invariants of deals, each one query over whole tables, so that a million deals take seconds.

Each is a single statement and therefore sees one moment, also while people work.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, distinct, func, literal, or_, select, union_all

from crmweb.doctor.findings import Check, Finding, rows
from crmweb.models import Activity, Change, Deal, Entity, Stage, StageChange
from crmweb.models.activity import AUDIT, is_to_do

ROOM = 2**62
"""Positions beyond this leave too little room to lay a card above."""
IN_ORDER: dict[str, Any] = {
    "partition_by": StageChange.deal_id,
    "order_by": (StageChange.deal_version, StageChange.step),
}


def chain(connection: Connection) -> list[Finding]:
    """Each step of a deal starts in the stage where the one before it ended; the first starts nowhere."""
    before = func.lag(StageChange.to_stage_id).over(**IN_ORDER).label("before")
    steps = select(StageChange.deal_id, StageChange.from_stage_id, before).subquery()
    broken = select(steps.c.deal_id).where(steps.c.before.is_distinct_from(steps.c.from_stage_id)).distinct()
    return rows(connection, "chain", broken, "The stage history has a gap in {count} deals:")


def stage(connection: Connection) -> list[Finding]:
    """A deal stands in the stage that its last step leads to."""
    last = _last_steps()
    wrong = (
        select(Deal.id)
        .outerjoin(last, last.c.deal_id == Deal.id)
        .where(last.c.to_stage_id.is_distinct_from(Deal.stage_id))
    )
    return rows(connection, "stage", wrong, "{count} deals stand in another stage than their history says:")


def stage_entered(connection: Connection) -> list[Finding]:
    """A deal is in its stage since its last step, unless that one was an undo, which gives the old time back."""
    last = _last_steps()
    wrong = (
        select(Deal.id)
        .join(last, last.c.deal_id == Deal.id)
        .where(last.c.at != Deal.stage_entered_at, last.c.cause != "undo")
    )
    return rows(
        connection,
        "stage_entered",
        wrong,
        "{count} deals entered their stage at another time than their history says:",
    )


def versions(connection: Connection) -> list[Finding]:
    """A deal's version counts the change sets that changed it; no step belongs to a later one."""
    changes = (
        select(Change.record_id, func.count(distinct(Change.change_set_id)).label("number"))
        .group_by(Change.record_id)
        .subquery()
    )
    last = _last_steps()
    wrong = (
        select(Deal.id)
        .outerjoin(changes, changes.c.record_id == Deal.id)
        .outerjoin(last, last.c.deal_id == Deal.id)
        .where(or_(changes.c.number.is_distinct_from(Deal.version), last.c.deal_version > Deal.version))
    )
    return rows(
        connection,
        "versions",
        wrong,
        "The versions of {count} deals have gaps or disagree with their history:",
    )


def steps(connection: Connection) -> list[Finding]:
    """Steps within one version are numbered 0, 1, 2…; the first version is a deal's arrival."""
    number = func.row_number().over(
        partition_by=(StageChange.deal_id, StageChange.deal_version), order_by=StageChange.step
    )
    numbered = select(
        StageChange.deal_id,
        StageChange.step,
        StageChange.deal_version,
        StageChange.from_stage_id,
        number.label("number"),
    ).subquery()
    is_arrival = and_(numbered.c.deal_version == 1, numbered.c.step == 0)
    wrong = select(numbered.c.deal_id).where(
        or_(
            numbered.c.step != numbered.c.number - 1,
            is_arrival.is_distinct_from(numbered.c.from_stage_id.is_(None)),
        )
    )
    return rows(
        connection,
        "steps",
        wrong.distinct(),
        "The steps of {count} deals are not numbered without gaps:",
    )


def audit_notes(connection: Connection) -> list[Finding]:
    """Each move left exactly one audit note."""
    notes = select(Activity.deal_id, literal(1).label("one")).where(Activity.kind == AUDIT)
    moves = select(StageChange.deal_id, literal(-1)).where(StageChange.from_stage_id.is_not(None))
    both = union_all(notes, moves).subquery()
    wrong = select(both.c.deal_id).group_by(both.c.deal_id).having(func.sum(both.c.one) != 0)
    return rows(connection, "audit_notes", wrong, "{count} deals do not have one audit note for each move:")


def status(connection: Connection) -> list[Finding]:
    """A deal is open, won or lost as its stage is; closed ones alone have a closing time, lost ones alone a reason."""
    wrong = (
        select(Deal.id)
        .join(Stage, Stage.id == Deal.stage_id)
        .where(
            or_(
                Deal.status != Stage.status,
                (Deal.status == "open") != Deal.closed_date.is_(None),
                and_(Deal.status != "closed_lost", Deal.lost_reason.is_not(None)),
            )
        )
    )
    return rows(
        connection,
        "status",
        wrong,
        "Status, closing time or lost reason of {count} deals do not follow their stage:",
    )


def places(connection: Connection) -> list[Finding]:
    """A deal that is there stands in a stage and with a contact that are there, at a position with room around it."""
    lost = (
        select(Deal.id)
        .join(Stage, Stage.id == Deal.stage_id)
        .join(Entity, Entity.id == Deal.entity_id)
        .where(
            Deal.deleted_at.is_(None),
            or_(Stage.is_archived, Entity.deleted_at.is_not(None), func.abs(Deal.position) > ROOM),
        )
    )
    return rows(
        connection,
        "places",
        lost,
        "{count} deals stand in an archived stage, with a deleted contact or beyond the last position:",
    )


def next_steps(connection: Connection) -> list[Finding]:
    """A deal knows when its next step is due: when the earliest of its open tasks is."""
    due = (
        select(Activity.deal_id, func.min(Activity.due_at).label("at"))
        .where(is_to_do())
        .group_by(Activity.deal_id)
    )
    steps = due.subquery()
    wrong = (
        select(Deal.id)
        .outerjoin(steps, steps.c.deal_id == Deal.id)
        .where(Deal.next_due_at.is_distinct_from(steps.c.at))
    )
    return rows(
        connection,
        "next_steps",
        wrong,
        "The next step of {count} deals is due at another time than its task:",
    )


def _last_steps() -> Any:
    """The last step of each deal."""
    after = func.lead(StageChange.step).over(**IN_ORDER).label("after")
    steps = select(
        StageChange.deal_id,
        StageChange.to_stage_id,
        StageChange.at,
        StageChange.cause,
        StageChange.deal_version,
        after,
    ).subquery()
    return select(steps).where(steps.c.after.is_(None)).subquery()


CHECKS: tuple[Check, ...] = (
    chain,
    stage,
    stage_entered,
    versions,
    steps,
    audit_notes,
    status,
    places,
    next_steps,
)
