"""Letting a deal sleep and waking it, in a dialog over the board or on a page of its own."""

from __future__ import annotations

from uuid import UUID

from flask import flash, render_template, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import rights
from crmweb.errors import PermissionDeniedError
from crmweb.extensions import db
from crmweb.forms.snoozes import SnoozeForm, WakeForm
from crmweb.models import Deal
from crmweb.queries import deals
from crmweb.queries.deals import DealDetail
from crmweb.web import board as board_page
from crmweb.web import filters
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.deals import bp, home_of
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_failures

Answer = Response | str | tuple[str, int]


@bp.route("/deals/<uuid:deal_id>/snooze", methods=["GET", "POST"])
@access("everyone")
def snooze(deal_id: UUID) -> Answer:
    """Let the deal sleep until a day, because of something; wake it (`act` wake)."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if not rights.may_edit_deal(person, deal.owner_id):
        raise PermissionDeniedError("Only the owner or a manager can change this deal.")
    if request.method == "GET":
        return _page(deal, _form(deal), person)
    form = WakeForm(request.form) if request.form.get("act") == "wake" else SnoozeForm(request.form)

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal_id)
        rights.require_edit_deal(person, locked)
        form.write(locked)

    if form.save(work, by=person):
        return _saved(deals.load(db.session(), deal_id), form, person)
    again = form if isinstance(form, SnoozeForm) else _form(deal)
    if again is not form:
        again.form_errors.extend(form.form_errors)
    return _page(deals.load(db.session(), deal_id), again, person), form.http_status


def _form(deal: DealDetail) -> SnoozeForm:
    return SnoozeForm(snoozed_until=deal.snoozed_until, snooze_reason=deal.snooze_reason)


def _page(deal: DealDetail, form: SnoozeForm, person: Person) -> str:
    return render_template(
        "deals/_snooze_form.html" if is_htmx() else "deals/snooze.html", deal=deal, form=form,
        heading="h2" if is_htmx() else "h1", disputes=told(form, deal.id, person),
        back=request.values.get("back", ""), view=request.values.get("view", ""), cancel_url=home_of(deal),
    )  # fmt: skip


def _saved(deal: DealDetail, form: SnoozeForm | WakeForm, person: Person) -> Answer:
    """The columns as they are now, or the way back to where the form came from."""
    until = deal.snoozed_until
    said = f"Sleeps until {filters.full_day(until, person.locale)}." if until else "Awake again."
    if not is_htmx():
        flash_failures(form.failures)
        flash(said, "done")
        return see_other(home_of(deal))
    shown = board_page.shown(deal.pipeline_id, person, {deal.stage_id})
    return render_template("board/_answered.html", message=said, failures=form.failures, dialog="", **shown)
