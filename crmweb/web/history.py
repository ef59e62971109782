"""Undo by a press of a button: in the toast after an act, on a timeline, in a deal's bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, render_template, request, url_for
from werkzeug.wrappers import Response

from crmweb import clock
from crmweb.errors import UndoError
from crmweb.extensions import db
from crmweb.forms.moves import pairs
from crmweb.queries import history, pipelines
from crmweb.queries.history import Home
from crmweb.undo import Undone, undo
from crmweb.web import board as board_page
from crmweb.web import filters
from crmweb.web.access import Person, access, me
from crmweb.web.htmx import is_htmx, see_other

bp = Blueprint("history", __name__)


@bp.post("/changes/<uuid:change_set_id>/undo", endpoint="undo")
@access("everyone")
def take_back(change_set_id: UUID) -> Response | str | tuple[str, int]:
    """Take back a change set. A board gets its columns as they are now; without one it goes on at the record."""
    person, home = me(), history.home(db.session(), change_set_id)
    try:
        undone = undo(change_set_id, person)
    except UndoError as refusal:
        return _refused(refusal, home, person)
    words, pipeline_id = _words(undone), _board_of(home)
    if is_htmx() and pipeline_id:
        shown = board_page.shown(pipeline_id, person, {*undone.stages})
        return render_template("board/_undone.html", words=words, deal_id=home.deal_id, **shown)
    flash(words, "done")
    return see_other(_next(undone, home))


def _refused(refusal: UndoError, home: Home, person: Person) -> tuple[str, int]:
    """Why not, the way to what was changed, and beside it the true columns."""
    when = filters.ago(refusal.at, clock.now(), person.timezone, person.locale) if refusal.at else ""
    words, pipeline_id = f"{refusal.fact} {when}." if when else refusal.fact, _board_of(home)
    context: dict[str, Any] = {"message": words, "url": _page_of(home)}
    if not (is_htmx() and pipeline_id):
        return render_template("history/refused.html", **context), refusal.status
    shown = board_page.shown(pipeline_id, person)
    return render_template("board/_undo_refused.html", **context, **shown), refusal.status


def _board_of(home: Home) -> UUID | None:
    """The pipeline whose board asks: that of the first stage that it has seen, else the record's own."""
    seen = next(iter(pairs(request.form.getlist("seen"))), None)
    return (pipelines.of_stage(db.session(), seen) if seen else None) or home.pipeline_id


def _next(undone: Undone, home: Home) -> str:
    """The board at the card when the board asked, else the record's page, if it is still there."""
    if "view" in request.form or {"deal", "contact"} & {*undone.gone}:
        if home.pipeline_id is None:
            return url_for("entities.index")
        query = request.form.get("view", "").lstrip("?")[:500]
        url = url_for("board.show", pipeline_id=home.pipeline_id)
        return f"{url}{'?' if query else ''}{query}#deal-{home.deal_id}"
    return _page_of(home)


def _page_of(home: Home) -> str:
    if home.deal_id is not None:
        return url_for("deals.show", deal_id=home.deal_id, _anchor="timeline")
    if home.entity_id is not None:
        return url_for("entities.show", entity_id=home.entity_id, _anchor="timeline")
    return url_for("board.home")


def _words(undone: Undone) -> str:
    """What the undo did: "Back in Proposal. The task it made is gone too."."""
    moved, too = len(undone.back_in), " too" if undone.back_in else ""
    told = []
    if moved:
        told.append(
            f"Back in {undone.back_in[0]}." if moved == 1 else f"{moved} deals are back where they were."
        )
    if undone.gone:
        told.append(f"The {_listed(undone.gone)}{' it made' * bool(moved)} {_are(undone.gone)} gone{too}.")
    if undone.back:
        told.append(f"The {_listed(undone.back)} {_are(undone.back)} back{too}.")
    return " ".join(told) or "Changed back."


def _listed(kinds: Sequence[str]) -> str:
    """The kinds with their numbers: "task", "2 tasks and the note"."""
    counted = [f"{count} {kind}s" if count > 1 else kind for kind, count in Counter(kinds).items()]
    return " and the ".join(counted)


def _are(kinds: Sequence[str]) -> str:
    return "is" if len(kinds) == 1 else "are"
