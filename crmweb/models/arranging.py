"""The order of stages and pipelines, and how a stage leaves and comes back: what touches more rows than one.

Locks are taken as moves take them, deals before stages before pipelines and each in id order, so nothing waits in a
circle. Two stages of a pipeline never have one order, not even between two statements: whoever is to get another
order is first set aside, far behind the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, lazyload

from crmweb.errors import FieldError, NotFoundError
from crmweb.models.deal import Deal
from crmweb.models.pipeline import Pipeline
from crmweb.models.stage import Stage
from crmweb.models.user import Author

ASIDE = 1_000_000


def locked_pipeline(session: Session, pipeline_id: UUID) -> Pipeline:
    """The pipeline, fresh, locked with all its stages until the transaction ends. NotFoundError when there is none."""
    session.execute(
        select(Stage.id).where(Stage.pipeline_id == pipeline_id).order_by(Stage.id).with_for_update()
    )
    pipeline = session.get(Pipeline, pipeline_id, with_for_update=True, populate_existing=True)
    if pipeline is None:
        raise NotFoundError("This pipeline is not there any more.")
    return pipeline


def locked_stage(session: Session, stage_id: UUID) -> Stage:
    """The stage, fresh, locked with its pipeline and its sisters. NotFoundError when there is none."""
    pipeline_id = session.scalar(select(Stage.pipeline_id).where(Stage.id == stage_id))
    if pipeline_id is None:
        raise NotFoundError("This stage is not there any more.")
    locked_pipeline(session, pipeline_id)
    return session.get_one(Stage, stage_id, populate_existing=True)


def stages_in_order(session: Session, pipeline_id: UUID) -> list[Stage]:
    """The pipeline's stages from left to right, without the archived ones, fresh."""
    found = select(Stage).where(Stage.pipeline_id == pipeline_id, Stage.is_archived.is_(False))
    return list(session.scalars(found.order_by(Stage.order).execution_options(populate_existing=True)))


def add_stage(session: Session, stage: Stage) -> None:
    """Put a new or a returning stage into its locked pipeline: behind the open stages, or at the end when it is closed.

    FieldError when another stage has its name.
    """
    others = [other for other in stages_in_order(session, stage.pipeline_id) if other is not stage]
    refuse_taken_name(stage, others)
    spot = len(others)
    if stage.status == "open":
        spot = max((place for place, other in enumerate(others, 1) if other.status == "open"), default=0)
    stage.is_archived = False
    _number(session, [*others[:spot], stage, *others[spot:]], others)
    session.add(stage)


def shift_stage(session: Session, stage: Stage, steps: int) -> bool:
    """Move a stage of a locked pipeline by `steps` (-1: to the left); whether it moved. At an end it stays."""
    stages = stages_in_order(session, stage.pipeline_id)
    if stage not in stages:
        raise NotFoundError(f"The stage {stage.name} is archived.")
    before, others = list(stages), [other for other in stages if other is not stage]
    others.insert(min(max(0, stages.index(stage) + steps), len(others)), stage)
    _number(session, others, before)
    return others != before


def shift_pipeline(session: Session, pipeline_id: UUID, steps: int) -> bool:
    """Move an active pipeline by `steps` among the active ones (-1: up); whether it moved."""
    session.execute(select(Pipeline.id).order_by(Pipeline.id).with_for_update())
    active = select(Pipeline).where(Pipeline.is_active).order_by(Pipeline.order, Pipeline.id)
    pipelines = list(session.scalars(active.execution_options(populate_existing=True)))
    pipeline = next((one for one in pipelines if one.id == pipeline_id), None)
    if pipeline is None:
        raise NotFoundError("This pipeline is archived, or not there any more.")
    others = [other for other in pipelines if other is not pipeline]
    others.insert(min(max(0, pipelines.index(pipeline) + steps), len(others)), pipeline)
    for order, one in enumerate(others):
        if one.order != order:
            one.order = order
    return others != pipelines


def archive_stage(session: Session, stage_id: UUID, to_id: UUID | None, by: Author) -> int:
    """Archive a stage, after its deals moved on to the stage `to_id`; answers how many moved.

    Each goes by `move_to`, with its note and its history, and they keep their order. Name and order of an archived
    stage are free for others.

    Raises NotFoundError, and FieldError: `to_id` when there are deals and no place for them; `status` when it is the
    pipeline's last open stage.
    """
    lock_deals(session, stage_id)
    stage = locked_stage(session, stage_id)
    others = [other for other in stages_in_order(session, stage.pipeline_id) if other is not stage]
    if stage.is_archived:
        raise FieldError("status", f"{stage.name} is archived already.")
    refuse_without_open_stage(others)
    deals = lock_deals(session, stage_id)
    target = next((other for other in others if other.id == to_id), None)
    if to_id is not None and target is None:
        raise FieldError("to_id", "This stage is not in the pipeline any more. Choose another one.")
    if deals and target is None:
        verb = "1 deal is" if len(deals) == 1 else f"{len(deals)} deals are"
        raise FieldError("to_id", f"{verb} in {stage.name}. Choose where to.")
    for deal in sorted(deals, key=lambda deal: (deal.position, deal.id), reverse=True):
        assert target is not None
        deal.move_to(target, by=by, note=f"The stage {stage.name} was archived")
    lowest = session.scalar(select(func.min(Stage.order)).where(Stage.pipeline_id == stage.pipeline_id))
    stage.is_archived, stage.order = True, min(lowest or 0, 0) - 1
    return len(deals)


def lock_deals(session: Session, stage_id: UUID) -> list[Deal]:
    """The deals of a stage, fresh, locked in id order."""
    query = select(Deal).where(Deal.stage_id == stage_id, Deal.deleted_at.is_(None)).order_by(Deal.id)
    fresh = query.with_for_update().options(lazyload("*")).execution_options(populate_existing=True)
    return list(session.scalars(fresh))


def refuse_taken_name(stage: Stage, others: Sequence[Stage]) -> None:
    """FieldError when one of `others` has the stage's name."""
    if any(other.name.casefold() == stage.name.casefold() for other in others):
        raise FieldError("name", f"This pipeline has a stage called {stage.name} already.")


def refuse_without_open_stage(stages: Sequence[Stage]) -> None:
    """FieldError when none of `stages` is open."""
    if all(stage.status != "open" for stage in stages):
        raise FieldError("status", "A pipeline keeps at least one open stage, for its new deals.")


def refuse_status_of_deals(session: Session, stage: Stage) -> None:
    """FieldError when there are deals whose status would have to change with their locked stage's.

    Deleted ones count as long as they can come back.
    """
    counts = select(Deal.deleted_at.is_(None), func.count()).where(Deal.stage_id == stage.id)
    found = {
        bool(alive): count for alive, count in session.execute(counts.group_by(Deal.deleted_at.is_(None)))
    }
    if not found:
        return
    deals, deleted = found.get(True, 0), found.get(False, 0)
    kinds = [f"{deals} deal{'' if deals == 1 else 's'}"] if deals else []
    kinds += (
        [f"{deleted} deleted one{'' if deleted == 1 else 's'} that can still come back"] if deleted else []
    )
    raise FieldError(
        "status",
        f"{stage.name} holds {' and '.join(kinds)}. Only an empty stage can change between open, won and lost.",
    )


def _number(session: Session, stages: Sequence[Stage], stored: Sequence[Stage]) -> None:
    """Give `stages` their orders in this sequence, from those that the `stored` ones among them have."""
    orders = sorted(stage.order for stage in stored)
    while len(orders) < len(stages):
        orders.append(orders[-1] + 1 if orders else 1)
    moved = [(stage, order) for stage, order in zip(stages, orders, strict=True) if stage.order != order]
    if aside := [stage.id for stage, _ in moved if stage in stored]:
        table: Any = Stage.__table__
        session.execute(table.update().where(table.c.id.in_(aside)).values(order=table.c.order + ASIDE))
    for stage, order in moved:
        stage.order = order
