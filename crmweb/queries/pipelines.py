"""Pipelines and stages as plain rows, for those who arrange them and for forms that offer them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb.errors import NotFoundError
from crmweb.models import Pipeline, Stage, StageTotal
from crmweb.models.gates import called


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage. `deals` counts those that are in it."""

    id: UUID
    pipeline_id: UUID
    name: str
    description: str | None
    probability: float
    status: str
    color: str
    rot_days: int | None
    max_deals: int | None
    limit_mode: str
    required_fields: list[str]
    is_archived: bool
    deals: int

    @property
    def rules(self) -> list[str]:
        """What it asks for and where its limits are, in words."""
        needs = ", ".join(map(called, self.required_fields))
        more = "refuses more" if self.limit_mode == "hard" else "says when there are more"
        return [
            *([f"Needs {needs}"] if needs else []),
            *([f"At most {self.max_deals:,}, {more}"] if self.max_deals else []),
            *([f"Quiet after {self.rot_days} d"] if self.rot_days else []),
        ]


@dataclass(frozen=True, slots=True)
class PipelineRow:
    """A pipeline with its stages in order, without the archived ones; `archived` are those."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    asks_lost_reason: bool
    lost_reasons: list[str]
    stages: list[StageRow] = field(default_factory=list)
    archived: list[StageRow] = field(default_factory=list)

    @property
    def deals(self) -> int:
        """How many deals are in it, closed ones included."""
        return sum(stage.deals for stage in self.stages)

    @property
    def open_deals(self) -> int:
        """How many deals are in its open stages."""
        return sum(stage.deals for stage in self.stages if stage.status == "open")


def listed(session: Session) -> list[PipelineRow]:
    """All pipelines with their stages: the active ones in order, then the archived. Two statements."""
    return _filled(session, None)


def load(session: Session, pipeline_id: UUID) -> PipelineRow:
    """One pipeline with its stages. NotFoundError when it is not there."""
    found = _filled(session, pipeline_id)
    if not found:
        raise NotFoundError("This pipeline is not there any more.")
    return found[0]


def load_stage(session: Session, stage_id: UUID) -> tuple[PipelineRow, StageRow]:
    """A stage and its pipeline. NotFoundError when it is not there."""
    pipeline_id = session.scalar(select(Stage.pipeline_id).where(Stage.id == stage_id))
    if pipeline_id is None:
        raise NotFoundError("This stage is not there any more.")
    pipeline = load(session, pipeline_id)
    return pipeline, next(stage for stage in (*pipeline.stages, *pipeline.archived) if stage.id == stage_id)


def offered(session: Session) -> list[PipelineRow]:
    """The pipelines that take deals."""
    return [pipeline for pipeline in listed(session) if pipeline.is_active]


def _filled(session: Session, pipeline_id: UUID | None) -> list[PipelineRow]:
    pipelines = select(
        Pipeline.id,
        Pipeline.name,
        Pipeline.description,
        Pipeline.is_active,
        Pipeline.asks_lost_reason,
        Pipeline.lost_reasons,
    )
    pipelines = pipelines.order_by(Pipeline.is_active.desc(), Pipeline.order, Pipeline.id)
    counts = (
        select(StageTotal.stage_id, func.sum(StageTotal.deal_count).label("deals"))
        .group_by(StageTotal.stage_id)
        .subquery()
    )
    stages = (
        select(
            Stage.id, Stage.pipeline_id, Stage.name, Stage.description, Stage.probability, Stage.status, Stage.color,
            Stage.rot_days, Stage.max_deals, Stage.limit_mode, Stage.required_fields, Stage.is_archived,
            func.coalesce(counts.c.deals, 0).label("deals"),
        )
        .outerjoin(counts, counts.c.stage_id == Stage.id)
        .order_by(Stage.order)
    )  # fmt: skip
    if pipeline_id is not None:
        pipelines = pipelines.where(Pipeline.id == pipeline_id)
        stages = stages.where(Stage.pipeline_id == pipeline_id)
    of: dict[UUID, tuple[list[StageRow], list[StageRow]]] = defaultdict(lambda: ([], []))
    for row in session.execute(stages):
        stage = StageRow(**{**row._mapping, "deals": int(row.deals)})
        of[stage.pipeline_id][stage.is_archived].append(stage)
    found = []
    for head in session.execute(pipelines):
        live, archived = of[head.id]
        found.append(PipelineRow(**head._mapping, stages=live, archived=archived))
    return found


def of_stage(session: Session, stage_id: UUID) -> UUID | None:
    """The pipeline of a stage, None when there is no such stage."""
    return session.scalar(select(Stage.pipeline_id).where(Stage.id == stage_id))
