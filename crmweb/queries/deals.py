"""One deal as plain rows: its fields, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from crmweb import clock
from crmweb.errors import NotFoundError
from crmweb.models import Activity, Deal, Entity, Pipeline, Stage, StageChange, User
from crmweb.queries import attention, next_steps
from crmweb.queries.next_steps import NextStep


@dataclass(frozen=True, slots=True)
class DealDetail:
    """A deal with all that its page shows; `weighted` is the amount times the stage's chance.

    Nobody touched it for `quiet_days`; after more than `rot_days` (None: never) it is rotting. `step` is what is to be
    done next.
    """

    id: UUID
    name: str
    amount: Decimal | None
    currency: str
    entity_id: UUID
    entity_name: str
    entity_phone: str | None
    entity_email: str | None
    owner_id: UUID | None
    owner_name: str | None
    expected_close_date: date | None
    closed_date: datetime | None
    status: str
    lost_reason: str | None
    custom_fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    version: int
    stage_entered_at: datetime
    pipeline_id: UUID
    pipeline_name: str
    asks_lost_reason: bool
    lost_reasons: list[str]
    stage_id: UUID
    stage_name: str
    stage_color: str
    probability: float
    has_other_pipelines: bool
    weighted: Decimal | None
    rot_days: int | None
    quiet_days: int
    snoozed_until: date | None
    snooze_reason: str | None
    step: NextStep | None

    @property
    def is_asleep(self) -> bool:
        """Whether it is open, and nobody is to be told yet that it is quiet."""
        return self.status == "open" and attention.is_asleep(self.snoozed_until, clock.today())

    @property
    def is_rotting(self) -> bool:
        """Whether nobody touched it for longer than its stage allows."""
        is_late = self.rot_days is not None and self.quiet_days > self.rot_days
        return self.status == "open" and is_late and not self.is_asleep


@dataclass(frozen=True, slots=True)
class StageStep:
    """A stage on a deal's way. `state`: passed, present or ahead; `seconds` spent in it, None for never."""

    id: UUID
    name: str
    color: str
    status: str
    probability: float
    state: str
    seconds: int | None


STEP = [f"step_{field.name}" for field in fields(NextStep)]
"""The columns of a deal's next step."""


def load(session: Session, deal_id: UUID) -> DealDetail:
    """The deal. NotFoundError when it is not there or deleted."""
    owner, step, doer, other = aliased(User), aliased(Activity), aliased(User), aliased(Pipeline)
    others = select(other.id).where(other.is_active, other.id != Pipeline.id).correlate(Pipeline)
    row = session.execute(
        select(
            Deal.id, Deal.name, Deal.amount, Deal.currency, Deal.entity_id, Entity.name.label("entity_name"),
            Entity.phone.label("entity_phone"), Entity.email.label("entity_email"),
            Deal.assigned_to_id.label("owner_id"), owner.name.label("owner_name"), Deal.expected_close_date,
            Deal.closed_date, Deal.status, Deal.lost_reason, Deal.custom_fields, Deal.created_at, Deal.updated_at,
            Deal.version, Deal.stage_entered_at, Stage.pipeline_id, Pipeline.name.label("pipeline_name"),
            Pipeline.asks_lost_reason, Pipeline.lost_reasons, Deal.stage_id, Stage.name.label("stage_name"),
            Stage.color.label("stage_color"), Stage.probability, Stage.rot_days, Deal.snoozed_until,
            Deal.snooze_reason, Deal.last_human_activity_at, others.exists().label("has_other_pipelines"),
            *(column.label(name) for name, column in zip(STEP, next_steps.columns(step, doer), strict=True)),
        )
        .join(Entity, Entity.id == Deal.entity_id)
        .join(Stage, Stage.id == Deal.stage_id)
        .join(Pipeline, Pipeline.id == Stage.pipeline_id)
        .outerjoin(owner, owner.id == Deal.assigned_to_id)
        .outerjoin(step, step.id == next_steps.first_of(Deal.id))
        .outerjoin(doer, doer.id == step.assigned_to_id)
        .where(Deal.id == deal_id, Deal.deleted_at.is_(None))
    ).one_or_none()  # fmt: skip
    if row is None:
        raise NotFoundError("This deal is not there any more.")
    values: dict[str, Any] = dict(row._mapping) | {"custom_fields": dict(row.custom_fields or {})}
    step_values = [values.pop(name) for name in STEP]
    touched_at = values.pop("last_human_activity_at")
    return DealDetail(
        **values,
        weighted=None if row.amount is None else row.amount * Decimal(str(row.probability)) / 100,
        quiet_days=attention.quiet_days(row.stage_entered_at, touched_at, clock.today()),
        step=NextStep(*step_values) if step_values[0] else None,
    )


def stages(session: Session, pipeline_id: UUID) -> list[Any]:
    """The pipeline's stages in order, without the archived ones: id, name, color, status, probability."""
    query = select(Stage.id, Stage.name, Stage.color, Stage.status, Stage.probability)
    query = query.where(Stage.pipeline_id == pipeline_id, Stage.is_archived.is_(False))
    return list(session.execute(query.order_by(Stage.order)))


def stage(session: Session, stage_id: UUID | None) -> Any:
    """A stage of any pipeline, with its pipeline's `lost_reasons`; None when it is not there or archived."""
    query = select(Stage.id, Stage.name, Stage.color, Stage.status, Stage.probability, Pipeline.lost_reasons)
    query = query.join(Pipeline, Pipeline.id == Stage.pipeline_id)
    return session.execute(query.where(Stage.id == stage_id, Stage.is_archived.is_(False))).one_or_none()


def pipeline_of(session: Session, stage_id: UUID) -> UUID | None:
    """The pipeline that a stage belongs to, archived or not."""
    return session.scalar(select(Stage.pipeline_id).where(Stage.id == stage_id))


def steps(session: Session, deal: DealDetail) -> list[StageStep]:
    """The stages of the deal's pipeline with the time it spent in each. Two statements."""
    spent = dict(
        session.execute(
            select(StageChange.from_stage_id, func.sum(StageChange.seconds_in_from))
            .where(StageChange.deal_id == deal.id, StageChange.from_stage_id.is_not(None))
            .group_by(StageChange.from_stage_id)
        ).all()
    )
    since = int((clock.now() - deal.stage_entered_at).total_seconds())
    spent[deal.stage_id] = (spent.get(deal.stage_id) or 0) + max(0, since)
    found, state = [], "passed"
    for row in stages(session, deal.pipeline_id):
        if row.id == deal.stage_id:
            state = "present"
        elif state == "present":
            state = "ahead"
        seconds = spent.get(row.id)
        passed = "passed" if deal.status != "closed_lost" or seconds is not None else "ahead"
        found.append(StageStep(**row._mapping, state=passed if state == "passed" else state, seconds=seconds))
    return found
