"""Pipelines, for those who arrange them: the list, their names, their order, whether they are in use."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, rights
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.forms.fields import offer
from crmweb.forms.pipelines import PipelineForm
from crmweb.models import Pipeline, arranging
from crmweb.queries import pipelines
from crmweb.queries.pipelines import PipelineRow
from crmweb.seeds.pipelines import DEFAULT, Step
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.htmx import see_other

bp = Blueprint("pipelines", __name__)
Answer = Response | str | tuple[str, int]


@bp.get("/pipelines")
@access("managers")
def index() -> str:
    """All pipelines: the active ones in order, then the archived."""
    return render_template("pipelines/index.html", pipelines=pipelines.listed(db.session()))


@bp.route("/pipelines/new", methods=["GET", "POST"])
@access("managers")
def new() -> Answer:
    """Add a pipeline, with the usual stages or with those of another one."""
    person, known = me(), pipelines.listed(db.session())
    form = PipelineForm(request.form if request.method == "POST" else None, begin_with="usual")
    form.begin_with.choices = offer(
        [("usual", "The usual six"), *((pipeline.id, f"Those of {pipeline.name}") for pipeline in known)]
    )

    def work(session: Session) -> UUID:
        rights.require(person, "pipelines")
        return form.add(session, _stages(known, form.begin_with.data)).id

    page = partial(render_template, "pipelines/new.html", form=form, usual=DEFAULT, known=known)
    if request.method == "GET":
        return page()
    if not form.save(work, by=person):
        return page(), form.http_status
    return see_other(url_for(".edit", pipeline_id=form.result))


@bp.route("/pipelines/<uuid:pipeline_id>/settings", methods=["GET", "POST"])
@access("managers")
def edit(pipeline_id: UUID) -> Answer:
    """A pipeline's name, description and stages."""
    person, pipeline = me(), pipelines.load(db.session(), pipeline_id)
    sent = request.form if request.method == "POST" else None
    form = _form(pipeline, sent)

    def work(session: Session) -> None:
        rights.require(person, "pipelines")
        form.write(session, arranging.locked_pipeline(session, pipeline_id))

    if request.method == "GET":
        return page(pipeline, person, form)
    if not form.save(work, by=person):
        return page(pipelines.load(db.session(), pipeline_id), person, form), form.http_status
    flash("Saved.", "done")
    return see_other(url_for(".edit", pipeline_id=pipeline_id))


@bp.post("/pipelines/<uuid:pipeline_id>/place")
@access("managers")
def place(pipeline_id: UUID) -> Answer:
    """Move a pipeline in the list: `by` -1 up, 1 down."""
    person, pipeline = me(), pipelines.load(db.session(), pipeline_id)
    steps = step()

    def work(session: Session) -> bool:
        rights.require(person, "pipelines")
        return arranging.shift_pipeline(session, pipeline.id, steps)

    changes.commit(work, by=person)
    return see_other(url_for(".index", _anchor=f"pipeline-{pipeline_id}"))


@bp.route("/pipelines/<uuid:pipeline_id>/archiving", methods=["GET", "POST"])
@access("managers")
def archive(pipeline_id: UUID) -> Answer:
    """Ask, then hide a pipeline; its deals stay where they are and can be read."""
    person, pipeline = me(), pipelines.load(db.session(), pipeline_id)

    def work(session: Session) -> None:
        rights.require(person, "pipelines")
        locked = arranging.locked_pipeline(session, pipeline_id)
        others = select(func.count()).where(Pipeline.is_active, Pipeline.id != pipeline_id)
        if not session.scalar(others):
            raise CRMError("This is the only pipeline in use. Add another one before you archive it.")
        locked.is_active = False

    ask = partial(render_template, "pipelines/archive.html", pipeline=pipeline)
    if request.method == "GET":
        return ask(reason="")
    try:
        changes.commit(work, by=person)
    except CRMError as refused:
        if refused.status != 422:
            raise
        return ask(reason=refused.message), refused.status
    flash(f"“{pipeline.name}” is archived.", "done")
    return see_other(url_for(".index"))


@bp.post("/pipelines/<uuid:pipeline_id>/restoring")
@access("managers")
def restore(pipeline_id: UUID) -> Answer:
    """Bring an archived pipeline back, last of all."""
    person = me()

    def work(session: Session) -> str:
        rights.require(person, "pipelines")
        locked = arranging.locked_pipeline(session, pipeline_id)
        if not locked.is_active:
            last = session.scalar(select(func.max(Pipeline.order)).where(Pipeline.is_active))
            locked.is_active, locked.order = True, 0 if last is None else last + 1
        return locked.name

    flash(f"“{changes.commit(work, by=person)}” is back.", "done")
    return see_other(url_for(".index"))


def page(pipeline: PipelineRow, person: Person, form: PipelineForm | None = None) -> str:
    """The page of a pipeline's settings."""
    form = form or _form(pipeline)
    return render_template(
        "pipelines/edit.html", pipeline=pipeline, form=form, disputes=told(form, pipeline.id, person)
    )


def _form(pipeline: PipelineRow, sent: Any = None) -> PipelineForm:
    form = PipelineForm(
        sent, name=pipeline.name, description=pipeline.description, asks_lost_reason=pipeline.asks_lost_reason,
        lost_reasons=pipeline.lost_reasons,
    )  # fmt: skip
    del form.begin_with
    return form


def step() -> int:
    """How far to move something, from the form: -1 or 1. CRMError for anything else."""
    try:
        return {"-1": -1, "1": 1}[request.form.get("by", "")]
    except KeyError as wrong:
        raise CRMError("Things move by one place at a time: by is -1 or 1.") from wrong


def _stages(known: list[PipelineRow], begin_with: str | None) -> list[dict[str, object]]:
    copied: Any = next((pipeline.stages for pipeline in known if str(pipeline.id) == begin_with), DEFAULT)
    return [{name: getattr(one, name) for name in Step._fields} for one in copied]
