"""A deal: its page, which is also the panel beside the board, and the form that moves it."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for

from crmweb import config, rights
from crmweb.errors import NotFoundError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.forms.activities import NoteForm, TaskForm
from crmweb.queries import deals, pipelines, timeline
from crmweb.queries.deals import DealDetail
from crmweb.web import edit_words
from crmweb.web.access import Person, access, me
from crmweb.web.htmx import is_htmx

bp = Blueprint("deals", __name__)
NO_PANEL: dict[str, Any] = {"open_deal": None}


@bp.get("/deals/<uuid:deal_id>")
@access("everyone")
def show(deal_id: UUID) -> str:
    """The deal as a page, or its panel for htmx."""
    return page(deal_id, me())


@bp.get("/deals/<uuid:deal_id>/move")
@access("everyone")
def move(deal_id: UUID) -> str:
    """The form that moves the deal, as a page or for the board's dialog."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if not rights.may_edit_deal(person, deal.owner_id):
        raise PermissionDeniedError("Only the owner or a manager can move this deal.")
    return move_form(deal)


@bp.get("/deals/<uuid:deal_id>/pipeline")
@access("everyone")
def pipeline(deal_id: UUID) -> str:
    """The form that moves the deal to another pipeline, as a page or for the board's dialog."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if not rights.may_edit_deal(person, deal.owner_id):
        raise PermissionDeniedError("Only the owner or a manager can move this deal.")
    return leave_form(deal)


def page(deal_id: UUID, person: Person) -> str:
    """The deal's page or panel."""
    context = panel(deal_id, person)
    if is_htmx():
        return render_template("deals/_panel.html", heading="h2", **context)
    return render_template("deals/show.html", **context)


def panel(deal_id: UUID, person: Person) -> dict[str, Any]:
    """What the panel needs. NotFoundError when the deal is not there. Four statements."""
    session, most = db.session(), config.settings.activity_timeline_limit
    deal = deals.load(session, deal_id)
    before = request.args.get("before", type=UUID) if request.endpoint == "deals.show" else None
    entries = timeline.of_deal(session, deal_id, most, before)
    last = timeline.last_act(entries) if before is None else None
    older = url_for("deals.show", deal_id=deal_id, before=entries[most - 1].id) if len(entries) > most else ""
    return {
        "deal": deal,
        "steps": deals.steps(session, deal),
        "timeline": entries[:most],
        "timeline_more": older,
        "may_edit": rights.may_edit_deal(person, deal.owner_id),
        "may_delete": rights.may_delete_deal(person, deal.owner_id),
        "may_edit_entry": partial(rights.may_edit_activity, person),
        "may_finish_entry": partial(rights.may_finish_task, person),
        "last_act": last if last and rights.may_undo(person, last) else None,
        "may_undo_entry": partial(rights.may_undo, person),
        "edit_words": partial(edit_words.told, person=person),
        "note_form": NoteForm(),
        "task_form": TaskForm(),
        "note_url": url_for("deals.note", deal_id=deal_id),
        "task_url": url_for("deals.task", deal_id=deal_id),
    }


def home_of(deal: DealDetail) -> str:
    """Where a form about the deal came from: its page (`back` deal), else the board at its card, under its view."""
    if request.values.get("back") == "deal":
        return url_for("deals.show", deal_id=deal.id)
    query = request.values.get("view", "").lstrip("?")[:500]
    url = url_for("board.show", pipeline_id=deal.pipeline_id)
    return f"{url}{'?' if query else ''}{query}#deal-{deal.id}"


def open_panel(deal_id: UUID | None, person: Person) -> dict[str, Any]:
    """The panel's context for a board that has `deal_id` open; an unknown deal opens nothing."""
    if deal_id is None:
        return NO_PANEL
    try:
        context = panel(deal_id, person)
    except NotFoundError:
        return NO_PANEL
    return {"open_deal": context.pop("deal"), **context}


def move_form(deal: DealDetail, refusal: str = "", **typed: Any) -> str:
    """The move form; `refusal` says why the last try was not made, `typed` what it held."""
    stages = deals.stages(db.session(), deal.pipeline_id)
    places = [stage.id for stage in stages]
    here = places.index(deal.stage_id) if deal.stage_id in places else -1
    following = places[min(here + 1, len(places) - 1)] if places else None
    form = "deals/_move_form.html" if is_htmx() else "deals/move.html"
    return _form(form, deal, refusal, stages=stages, **{**typed, "chosen": typed.get("chosen") or following})


def leave_form(deal: DealDetail, refusal: str = "", **typed: Any) -> str:
    """The same for the form that asks for another pipeline and a stage there."""
    known = pipelines.offered(db.session())
    others = [one for one in known if one.id != deal.pipeline_id and one.stages]
    form = "deals/_leave_form.html" if is_htmx() else "deals/leave.html"
    return _form(form, deal, refusal, pipelines=others, **typed)


def _form(template: str, deal: DealDetail, refusal: str, **typed: Any) -> str:
    empty = {"chosen": None, "bottom": False, "note": "", "lost_reason": "", "may_let_in": False}
    held = empty | {name: value for name, value in typed.items() if value or name not in empty}
    return render_template(
        template, deal=deal, refusal=refusal, heading="h2", lost_reasons=deal.lost_reasons,
        key=secrets.token_urlsafe(18), view=request.values.get("view", ""), **held,
    )  # fmt: skip
