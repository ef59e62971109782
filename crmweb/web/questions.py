"""What a move asks back: what its stage needs, why the deal was lost, what becomes of its open tasks."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from flask import flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, rights
from crmweb.errors import CRMError, MissingFieldsError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.forms import open_tasks
from crmweb.forms.moves import MoveForm
from crmweb.models import Deal, gates
from crmweb.queries import deals, losses, people
from crmweb.queries.deals import DealDetail
from crmweb.web import board as board_page
from crmweb.web.access import Person, access, me
from crmweb.web.deals import bp
from crmweb.web.htmx import is_htmx, see_other

CARRIED = ("before_id", "after_id", "position", "note", "let_in")
"""What of the first request is asked for once more when the question is answered."""


def asked(deal: DealDetail, refusal: CRMError, person: Person) -> dict[str, Any]:
    """What the question after a refused move needs; empty when there is nothing to ask.

    It asks for all that the stage misses, and for what was given and did not fit, as it was typed.
    """
    session = db.session()
    missing = refusal.missing if isinstance(refusal, MissingFieldsError) else {}
    form = MoveForm.of(request.form, person.locale, missing)
    names = form.blame(refusal)
    stage = deals.stage(session, form.stage_id.data)
    if not names or stage is None:
        return {}
    return {
        "deal": deal, "stage": stage, "form": form, "names": names, "title": gates.sentence(stage.name, names),
        "reasons": _reasons(session, stage) if "lost_reason" in names else [],
        "owners": _owners(session, person) if "assigned_to" in names else [],
        "tasks": [] if stage.status == "open" else open_tasks.listed(session, deal, person),
        "carried": {name: form[name].raw_data[0] for name in CARRIED if form[name].raw_data},
        "key": secrets.token_urlsafe(18), "view": request.form.get("view", ""),
    }  # fmt: skip


@bp.route("/deals/<uuid:deal_id>/open-tasks", methods=["GET", "POST"])
@access("everyone")
def tasks(deal_id: UUID) -> Response | str:
    """Ask what becomes of the open tasks of a deal that is over; or complete them."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if not rights.may_edit_deal(person, deal.owner_id):
        raise PermissionDeniedError("Only the owner or a manager can change this deal.")
    if request.method == "GET":
        listed = open_tasks.listed(db.session(), deal, person)
        return render_template("deals/open_tasks.html", deal=deal, tasks=listed)

    def work(session: Session) -> int:
        locked = Deal.locked(session, deal_id)
        rights.require_edit_deal(person, locked)
        return open_tasks.complete(session, locked, person)

    done = changes.commit(work, by=person)
    said = "1 task is done." if done == 1 else f"{done} tasks are done."
    if not is_htmx():
        flash(said, "done")
        return see_other(url_for("deals.show", deal_id=deal_id, _anchor="timeline"))
    shown = board_page.shown(deal.pipeline_id, person, {deal.stage_id})
    return render_template("board/_tasks_done.html", said=said, **shown)


def _reasons(session: Session, stage: Any) -> list[tuple[str, int | None]]:
    """The pipeline's reasons, each with how many deals were lost for it this year, if that is known."""
    if not stage.lost_reasons:
        return []
    counts = losses.this_year(session, stage.id)
    return [(reason, counts.get(reason.casefold(), 0) if counts else None) for reason in stage.lost_reasons]


def _owners(session: Session, person: Person) -> list[tuple[UUID, str]]:
    """Whom the person may give a deal to."""
    return people.choices(session) if rights.may(person, "edit_any_deal") else [(person.id, person.name)]
