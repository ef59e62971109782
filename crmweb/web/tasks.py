"""What is to be done, by when: one's own tasks, for managers everybody's."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import rights
from crmweb.extensions import db
from crmweb.forms.activities import finish
from crmweb.forms.next_steps import DoneForm
from crmweb.models.locking import locked
from crmweb.queries import activities, tasks
from crmweb.web import paging
from crmweb.web.access import Person, access, me
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_failures

bp = Blueprint("tasks", __name__)


@bp.get("/tasks")
@access("everyone")
def index() -> str:
    """The open tasks by when they are due; `who` all: everybody's, `when`: one part of the calendar, all of it."""
    return render_template("tasks/index.html", **_context(me()))


@bp.post("/tasks/<uuid:activity_id>/completion")
@access("everyone")
def complete(activity_id: UUID) -> Response | str | tuple[str, int]:
    """Tick a task off (`done` 1), or take the tick back (0)."""
    person, entry = me(), activities.load(db.session(), activity_id)
    rights.require_finish_task(person, entry)
    is_done, form = request.form.get("done", "1") == "1", DoneForm(request.form)

    def work(session: Session) -> None:
        task = locked(session, "Activity", activity_id)
        rights.require_finish_task(person, task)
        finish(task, is_done)

    is_saved = form.save(work, by=person)
    said = (
        f"{'Done' if is_done else 'Open again'}: {entry.subject}." if is_saved else " ".join(form.form_errors)
    )
    if is_htmx():
        answer = render_template(
            "tasks/_ticked.html", said=said, is_saved=is_saved, is_done=is_done, entry=entry, failures=form.failures,
            **_context(person),
        )  # fmt: skip
        return answer, 200 if is_saved else form.http_status
    flash_failures(form.failures)
    flash(said, "done" if is_saved else "refusal")
    return see_other(url_for(".index", **_asked(person)))


def _asked(person: Person) -> dict[str, Any]:
    """Whose tasks and which of them the page shows, as its address says it."""
    everybody = request.values.get("who") == "all" and rights.may(person, "edit_any_activity")
    when = request.values.get("when")
    return {"who": "all" if everybody else None, "when": when if when in tasks.GROUPS else None}


def _context(person: Person) -> dict[str, Any]:
    asked, session = _asked(person), db.session()
    owner_id = None if asked["who"] else person.id
    groups = tasks.load(session, owner_id, asked["when"], paging.after() if asked["when"] else None)
    return {
        "groups": groups, "overdue": tasks.overdue(session, owner_id), "most": tasks.MOST, **asked,
        "may_see_all": rights.may(person, "edit_any_activity"),
        "may_change": lambda task: rights.may_edit_activity(person, task),
        "may_finish": lambda task: rights.may_finish_task(person, task),
    }  # fmt: skip
