"""The stages of a pipeline, for those who arrange them: new ones, changes, their order, archiving and coming back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import flash, render_template, request, url_for
from sqlalchemy.orm import Session

from crmweb import changes, rights
from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.forms.fields import offer
from crmweb.forms.pipelines import ArchiveForm, StageForm
from crmweb.models import arranging
from crmweb.models.stage import COLORS
from crmweb.queries import pipelines, rules
from crmweb.queries.pipelines import PipelineRow, StageRow
from crmweb.web.access import access, me
from crmweb.web.conflicts import told
from crmweb.web.htmx import see_other
from crmweb.web.pipelines import Answer, bp, step


@bp.route("/pipelines/<uuid:pipeline_id>/stages/new", methods=["GET", "POST"])
@access("managers")
def new_stage(pipeline_id: UUID) -> Answer:
    """Add a stage, behind the open ones."""
    person, pipeline = me(), pipelines.load(db.session(), pipeline_id)
    sent = request.form if request.method == "POST" else None
    form = StageForm(sent, locale=person.locale, color=_free_color(pipeline))

    def work(session: Session) -> None:
        rights.require(person, "pipelines")
        form.add(session, arranging.locked_pipeline(session, pipeline_id))

    if request.method == "POST" and form.save(work, by=person):
        return see_other(_home(pipeline_id))
    page = render_template("pipelines/stage.html", pipeline=pipeline, stage=None, form=form, disputes={})
    return page if sent is None else (page, form.http_status)


@bp.route("/stages/<uuid:stage_id>/edit", methods=["GET", "POST"])
@access("managers")
def edit_stage(stage_id: UUID) -> Answer:
    """Change a stage."""
    person, (pipeline, stage) = me(), pipelines.load_stage(db.session(), stage_id)
    sent = request.form if request.method == "POST" else None
    form = StageForm(
        sent, locale=person.locale, name=stage.name, probability=stage.probability, status=stage.status,
        color=stage.color, description=stage.description, required_fields=stage.required_fields,
        max_deals=stage.max_deals, limit_mode=stage.limit_mode, rot_days=stage.rot_days,
    )  # fmt: skip

    def work(session: Session) -> None:
        rights.require(person, "pipelines")
        form.write(session, arranging.locked_stage(session, stage_id))

    if request.method == "POST" and form.save(work, by=person):
        return see_other(_home(pipeline.id))
    disputes = told(form, stage_id, person)
    page = render_template(
        "pipelines/stage.html", pipeline=pipeline, stage=stage, form=form, disputes=disputes
    )
    return page if sent is None else (page, form.http_status)


@bp.post("/stages/<uuid:stage_id>/place")
@access("managers")
def place_stage(stage_id: UUID) -> Answer:
    """Move a stage on the board: `by` -1 to the left, 1 to the right."""
    person, (pipeline, _) = me(), pipelines.load_stage(db.session(), stage_id)
    steps = step()

    def work(session: Session) -> None:
        rights.require(person, "pipelines")
        arranging.shift_stage(session, arranging.locked_stage(session, stage_id), steps)

    changes.commit(work, by=person)
    return see_other(_home(pipeline.id, f"line-{stage_id}"))


@bp.route("/stages/<uuid:stage_id>/archiving", methods=["GET", "POST"])
@access("managers")
def archive_stage(stage_id: UUID) -> Answer:
    """Ask where a stage's deals go, then move them there and archive it."""
    person, (pipeline, stage) = me(), pipelines.load_stage(db.session(), stage_id)
    form = ArchiveForm(request.form if request.method == "POST" else None, to_id=_next(pipeline, stage))
    others = [(other.id, other.name) for other in pipeline.stages if other.id != stage_id]
    form.to_id.choices = offer(others if stage.deals else [(None, "Nowhere"), *others])

    def work(session: Session) -> int:
        rights.require(person, "pipelines")
        return arranging.archive_stage(session, stage_id, form.to_id.data, person)

    if request.method == "POST" and form.save(work, by=person):
        flash(_archived(stage, form.result, form.to_id.words(form.to_id.data)), "done")
        return see_other(_home(pipeline.id))
    page = render_template(
        "pipelines/archive_stage.html", pipeline=pipeline, stage=stage, form=form,
        rules=rules.pointing_to(db.session(), stage_id),
    )  # fmt: skip
    return page if request.method == "GET" else (page, form.http_status)


@bp.post("/stages/<uuid:stage_id>/restoring")
@access("managers")
def restore_stage(stage_id: UUID) -> Answer:
    """Bring an archived stage back onto the board."""
    person = me()

    def work(session: Session) -> tuple[UUID, str]:
        rights.require(person, "pipelines")
        stage = arranging.locked_stage(session, stage_id)
        if stage.is_archived:
            arranging.add_stage(session, stage)
        return stage.pipeline_id, stage.name

    try:
        result: Any = changes.commit(work, by=person)
    except FieldError as taken:
        pipeline, _ = pipelines.load_stage(db.session(), stage_id)
        flash(f"{taken.message} Rename one of the two first.", "refusal")
        return see_other(_home(pipeline.id))
    pipeline_id, name = result
    flash(f"“{name}” is back.", "done")
    return see_other(_home(pipeline_id))


def _home(pipeline_id: UUID | None, anchor: str | None = None) -> str:
    return url_for("pipelines.edit", pipeline_id=pipeline_id, _anchor=anchor)


def _next(pipeline: PipelineRow, stage: StageRow) -> UUID | None:
    """The stage behind this one, else the one before it: where its deals most likely go."""
    row = [other.id for other in pipeline.stages]
    if stage.id not in row:
        return None
    place = row.index(stage.id)
    return next(iter([*row[place + 1 : place + 2], *row[max(0, place - 1) : place]]), None)


def _free_color(pipeline: PipelineRow) -> str:
    used = {stage.color for stage in pipeline.stages}
    return next(
        (color for color in COLORS if color not in used and color not in ("green", "clay")), COLORS[0]
    )


def _archived(stage: StageRow, moved: int, target: str) -> str:
    if not moved:
        return f"“{stage.name}” is archived."
    deals = "1 deal is" if moved == 1 else f"{moved} deals are"
    return f"“{stage.name}” is archived. {deals} in {target} now."
