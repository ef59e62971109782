"""A deal's next step: asked for, changed and ticked off, in a dialog over the board or on a page of its own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import rights
from crmweb.errors import NotFoundError
from crmweb.extensions import db
from crmweb.forms.activities import day_due, finish
from crmweb.forms.fields import offer
from crmweb.forms.next_steps import ON_A_DAY, DoneForm, NextStepForm
from crmweb.forms.records import RecordForm
from crmweb.models import Activity, Deal
from crmweb.queries import deals, people
from crmweb.queries.deals import DealDetail
from crmweb.web import board as board_page
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.deals import bp, home_of
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_failures

Answer = Response | str | tuple[str, int]
NOBODY = (None, "Nobody")
DIALOG = "deals/_next_step_form.html"


@bp.route("/deals/<uuid:deal_id>/next-step", methods=["GET", "POST"])
@access("everyone")
def next_step(deal_id: UUID) -> Answer:
    """What is to be done next about the deal: ask for it, change it, tick it off (`act` done)."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if request.method == "GET":
        return _page(deal, _form(deal, person), person)
    task_id = request.form.get("task_id", type=UUID)
    is_done = request.form.get("act") == "done"
    form: RecordForm = DoneForm(request.form) if is_done else _form(deal, person, request.form)

    def work(session: Session) -> str:
        locked = Deal.locked(session, deal_id)
        if task_id is None:
            assert isinstance(form, NextStepForm)
            form.add(session, locked)
            return ""
        task = _locked(session, task_id, deal_id)
        _write(session, task, form, person)
        return task.subject

    if is_done and task_id is None:
        raise NotFoundError("This task is not there any more.")
    if not form.save(work, by=person):
        return _refused(deals.load(db.session(), deal_id), form, person), form.http_status
    return _saved(deal, form, is_done, person)


def _locked(session: Session, task_id: UUID, deal_id: UUID) -> Activity:
    task = Activity.locked(session, task_id)
    if task.deal_id != deal_id or task.type != "task":
        raise NotFoundError("This task is not there any more.")
    return task


def _write(session: Session, task: Activity, form: RecordForm, person: Person) -> None:
    if isinstance(form, NextStepForm):
        rights.require_edit_activity(person, task)
        form.write(session, task)
    else:
        rights.require_finish_task(person, task)
        finish(task, is_done=True)


def _form(deal: DealDetail, person: Person, sent: Any = None) -> NextStepForm:
    """The form over the deal's next step; over a new one, due tomorrow, where it has none."""
    step = deal.step
    doer = step.assigned_to_id if step else deal.owner_id or person.id
    day = day_due(step.due_at) if step else None
    when = "tomorrow" if step is None else ON_A_DAY if day else None
    form = NextStepForm(
        sent,
        locale=person.locale,
        subject=step.subject if step else None,
        when=when,
        due_on=day,
        assigned_to_id=doer,
    )
    form.assigned_to_id.choices = offer([NOBODY, *people.choices(db.session(), doer)])
    return form


def _page(deal: DealDetail, form: NextStepForm, person: Person) -> str:
    template = DIALOG if is_htmx() else "deals/next_step.html"
    return render_template(template, **_context(deal, form, person))


def _context(deal: DealDetail, form: NextStepForm, person: Person, said: str = "") -> dict[str, Any]:
    """What the form's template needs; `said`: what was just done."""
    step = deal.step
    return {
        "deal": deal, "step": step, "form": form, "said": said, "heading": "h2" if is_htmx() else "h1",
        "may_change": step is None or rights.may_edit_activity(person, step),
        "may_finish": step is not None and rights.may_finish_task(person, step),
        "disputes": told(form, step.id, person) if step else {},
        "back": request.values.get("back", ""), "view": request.values.get("view", ""), "cancel_url": home_of(deal),
    }  # fmt: skip


def _refused(deal: DealDetail, form: RecordForm, person: Person) -> str:
    """The form again, with what is wrong."""
    if isinstance(form, NextStepForm):
        return _page(deal, form, person)
    again = _form(deal, person)
    again.form_errors.extend(form.form_errors)
    return _page(deal, again, person)


def _saved(deal: DealDetail, form: RecordForm, is_done: bool, person: Person) -> Answer:
    """The columns as they are now; after a tick, the question what comes next."""
    said = f"Done: {form.result}." if is_done else "Next step saved."
    if not is_htmx():
        flash_failures(form.failures)
        flash(said, "done")
        back = request.form.get("back") or None
        return see_other(url_for(".next_step", deal_id=deal.id, back=back) if is_done else home_of(deal))
    now = deals.load(db.session(), deal.id)
    asked = _context(now, _form(now, person), person, said) if is_done else {}
    shown = board_page.shown(deal.pipeline_id, person, {deal.stage_id, now.stage_id})
    return render_template(
        "board/_answered.html", message=said, failures=form.failures, dialog=DIALOG if is_done else "",
        **asked, **shown,
    )  # fmt: skip
