"""What is known of a stage beyond its column: how long deals stay in it, and where they go from there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from crmweb import clock
from crmweb.errors import NotFoundError
from crmweb.models import ChangeSet, Deal, Pipeline, Stage, StageChange, StageTotal
from crmweb.models.stage import REQUIRABLE

PERIOD = timedelta(days=365)
MOST = 1000
"""Stays that are looked at, the latest ones: an old stage costs no more than a young one."""


@dataclass(frozen=True, slots=True)
class StageFacts:
    """A stage with its rules and its past.

    A *stay* is the time from a deal's coming into the stage to its leaving it. Looked at are the stays that ended in
    the last PERIOD, at most the MOST latest; not those of deleted deals, nor those that ended by an undo or by a move
    that was undone. `median_seconds` is over these stays, None when there is none.

    Each of the `left` deals counts once, by its last leaving: `on` went to a later stage that is not lost (`next_name`
    is the first of these), `lost` to a lost one, `back` to an earlier one, `elsewhere` to another pipeline.
    """

    pipeline_id: UUID
    pipeline_name: str
    id: UUID
    name: str
    description: str | None
    color: str
    status: str
    probability: float
    is_archived: bool
    rot_days: int | None
    max_deals: int | None
    limit_mode: str
    required_fields: list[str]
    deals: int
    next_name: str | None
    stays: int
    median_seconds: float | None
    left: int
    on: int
    lost: int
    back: int
    elsewhere: int

    @property
    def needs(self) -> list[str]:
        """What whoever moves a deal in has to give, in words."""
        return [REQUIRABLE.get(name) or f"“{name.partition('.')[2]}”" for name in self.required_fields]

    @property
    def is_cut(self) -> bool:
        """Whether there were more stays in the period than are looked at."""
        return self.stays == MOST


def load(session: Session, pipeline_id: UUID, stage_id: UUID) -> StageFacts:
    """The facts of a stage. Two statements, whatever its past. NotFoundError when the pipeline has no such stage."""
    deals = select(func.coalesce(func.sum(StageTotal.deal_count), 0)).where(StageTotal.stage_id == Stage.id)
    rows = session.execute(
        select(Stage.pipeline_id, Pipeline.name.label("pipeline_name"), Stage.id, Stage.name, Stage.description,
               Stage.color, Stage.status, Stage.probability, Stage.is_archived, Stage.rot_days, Stage.max_deals,
               Stage.limit_mode, Stage.required_fields, deals.scalar_subquery().label("deals"))
        .join(Pipeline, Pipeline.id == Stage.pipeline_id)
        .where(Stage.pipeline_id == pipeline_id)
        .order_by(Stage.order)
    ).all()  # fmt: skip
    place = next((place for place, row in enumerate(rows) if row.id == stage_id), None)
    if place is None:
        raise NotFoundError("This stage is not there any more.")
    later = (row for row in rows[place + 1 :] if not row.is_archived and row.status != "closed_lost")
    ahead = next(later, None)
    stays = session.execute(_stays(stage_id)).all()
    leavings = {stay.deal_id: stay for stay in reversed(stays)}  # the latest of each deal stays
    ways = [_way(stay) for stay in leavings.values()]
    counts = {way: ways.count(way) for way in ("on", "lost", "back", "elsewhere")}
    known: dict[str, Any] = {**rows[place]._mapping, "deals": int(rows[place].deals), **counts}
    return StageFacts(
        **known, next_name=ahead.name if ahead else None, stays=len(stays), left=len(ways),
        median_seconds=median(stay.seconds for stay in stays) if stays else None,
    )  # fmt: skip


def _stays(stage_id: UUID) -> Any:
    """The completed stays in a stage, the latest first."""
    old, new = aliased(Stage), aliased(Stage)
    return (
        select(
            StageChange.deal_id, StageChange.seconds_in_from.label("seconds"), new.status,
            (new.order > old.order).label("is_later"), (new.pipeline_id != old.pipeline_id).label("is_elsewhere"),
        )
        .join(Deal, Deal.id == StageChange.deal_id)
        .join(old, old.id == StageChange.from_stage_id)
        .join(new, new.id == StageChange.to_stage_id)
        .outerjoin(ChangeSet, ChangeSet.id == StageChange.change_set_id)
        .where(
            StageChange.from_stage_id == stage_id, StageChange.at >= clock.now() - PERIOD,
            Deal.deleted_at.is_(None), StageChange.cause != "undo", ChangeSet.undone_by_id.is_(None),
        )
        .order_by(StageChange.at.desc(), StageChange.deal_id, StageChange.deal_version.desc(), StageChange.step.desc())
        .limit(MOST)
    )  # fmt: skip


def _way(stay: Any) -> str:
    if stay.is_elsewhere:
        return "elsewhere"
    if stay.status == "closed_lost":
        return "lost"
    return "on" if stay.is_later else "back"
