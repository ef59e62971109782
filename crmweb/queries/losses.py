"""Why deals were lost, counted."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.models import Deal

MOST = 2000
"""So many deals are counted, from the top of their stage on, where the newest are."""


def this_year(session: Session, stage_id: UUID) -> dict[str, int]:
    """How many deals in a lost stage were closed in the company's present year, by casefolded reason.

    Empty when there may be more of them than are counted: a number that is not all of them would mislead.
    One statement.
    """
    start = clock.start_of(clock.today().replace(month=1, day=1))
    inside = select(Deal.lost_reason, Deal.closed_date).where(
        Deal.stage_id == stage_id, Deal.deleted_at.is_(None)
    )
    newest = inside.order_by(Deal.position, Deal.id).limit(MOST).subquery()
    is_new = (newest.c.closed_date >= start).label("is_new")
    rows = session.execute(
        select(newest.c.lost_reason, is_new, func.count().label("deals")).group_by(
            newest.c.lost_reason, is_new
        )
    ).all()
    if sum(row.deals for row in rows) == MOST and all(row.is_new for row in rows):
        return {}
    counts: dict[str, int] = {}
    for row in rows:
        if row.is_new and row.lost_reason:
            reason = row.lost_reason.casefold()
            counts[reason] = counts.get(reason, 0) + row.deals
    return counts
