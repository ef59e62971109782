"""The pipelines that come with Crmweb: the documents' default one, and the demo company's second."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Pipeline, Stage


class Step(NamedTuple):
    """A stage to be made, with the fields of `Stage`; `probability` in per cent."""

    name: str
    probability: float
    status: str
    color: str
    required_fields: tuple[str, ...] = ()
    max_deals: int | None = None
    limit_mode: str = "soft"
    rot_days: int | None = None


DEFAULT_NAME = "Sales Pipeline"
DEFAULT = (
    Step("Lead", 10, "open", "slate"),
    Step("Qualified", 25, "open", "teal"),
    Step("Proposal", 50, "open", "blue"),
    Step("Negotiation", 75, "open", "violet"),
    Step("Closed Won", 100, "closed_won", "green"),
    Step("Closed Lost", 0, "closed_lost", "clay"),
)
RENEWALS_NAME = "Renewals"
RENEWALS = (
    Step("Coming up", 70, "open", "slate"),
    Step("In talks", 80, "open", "teal", max_deals=7),
    Step("Quoted", 90, "open", "olive", ("expected_close_date",)),
    Step("At risk", 35, "open", "orange"),
    Step("Renewed", 100, "closed_won", "green"),
    Step("Ended", 0, "closed_lost", "clay"),
)

WHY_ENDED = ("Price", "Chose a rival", "No budget", "Service", "Closed down")


def make_default() -> str:
    """Make the default pipeline unless there is one of its name; answers what was done, in words."""

    def work(session: Session) -> str:
        if find(session, DEFAULT_NAME):
            return f"“{DEFAULT_NAME}” is there already; nothing was changed."
        add(session, DEFAULT_NAME, DEFAULT)
        return f"Made “{DEFAULT_NAME}”: {', '.join(step.name for step in DEFAULT)}."

    return changes.commit(work, cause="seed") or ""


def find(session: Session, name: str) -> Pipeline | None:
    """The pipeline of that name, whatever its case."""
    return session.scalar(select(Pipeline).where(Pipeline.name_key == name.casefold()))


def add(
    session: Session, name: str, steps: tuple[Step, ...], description: str | None = None, reasons: tuple[str, ...] = ()
) -> Pipeline:  # fmt: skip
    """Add a pipeline with `steps`, after those that are there; it asks why deals are lost when there are `reasons`.

    Inside `changes.commit`.
    """
    last = session.scalar(select(func.max(Pipeline.order)))
    pipeline = Pipeline(
        name=name, description=description, order=0 if last is None else last + 1, asks_lost_reason=bool(reasons),
        lost_reasons=reasons,
    )  # fmt: skip
    session.add(pipeline)
    for order, step in enumerate(steps, 1):
        session.add(Stage(pipeline=pipeline, order=order, **step._asdict()))
    return pipeline


def stages_of(pipeline: Pipeline) -> dict[str, Stage]:
    """The pipeline's stages by name, in order."""
    found = db.session.scalars(select(Stage).where(Stage.pipeline_id == pipeline.id).order_by(Stage.order))
    return {stage.name: stage for stage in found}
