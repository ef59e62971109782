"""What people write onto timelines: notes and tasks on a deal or an entity, changes of them, and ticking tasks off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, rights
from crmweb.extensions import db
from crmweb.forms.activities import ActivityForm, NoteForm, TaskForm, day_due, finish
from crmweb.forms.fields import offer
from crmweb.forms.records import RecordForm
from crmweb.models import Activity, Deal, Entity
from crmweb.models.locking import locked
from crmweb.queries import activities, people
from crmweb.queries.activities import ActivityDetail
from crmweb.queries.runs import Failure
from crmweb.web import deals as deal_pages
from crmweb.web import entities as entity_pages
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_with_undo, saved

bp = Blueprint("activities", __name__)
Answer = Response | str | tuple[str, int]
NOBODY = (None, "Nobody")


@deal_pages.bp.post("/deals/<uuid:deal_id>/notes")
@access("everyone")
def note(deal_id: UUID) -> Answer:
    """Add a note to a deal."""
    form = NoteForm(request.form)
    return _written(
        form, lambda session: form.add(session, deal=Deal.locked(session, deal_id)), deal_id=deal_id
    )


@deal_pages.bp.post("/deals/<uuid:deal_id>/tasks")
@access("everyone")
def task(deal_id: UUID) -> Answer:
    """Add a task to a deal, for its owner."""
    person, form = me(), TaskForm(request.form)

    def work(session: Session) -> None:
        deal = Deal.locked(session, deal_id)
        form.add(session, deal.assigned_to_id or person.id, deal=deal)

    return _written(form, work, deal_id=deal_id)


@entity_pages.bp.post("/entities/<uuid:entity_id>/notes", endpoint="note")
@access("everyone")
def note_on_entity(entity_id: UUID) -> Answer:
    """Add a note to a company or person."""
    form = NoteForm(request.form)
    return _written(
        form, lambda session: form.add(session, entity=Entity.locked(session, entity_id)), entity_id=entity_id
    )


@entity_pages.bp.post("/entities/<uuid:entity_id>/tasks", endpoint="task")
@access("everyone")
def task_on_entity(entity_id: UUID) -> Answer:
    """Add a task to a company or person, for its owner."""
    person, form = me(), TaskForm(request.form)

    def work(session: Session) -> None:
        entity = Entity.locked(session, entity_id)
        form.add(session, entity.assigned_to_id or person.id, entity=entity)

    return _written(form, work, entity_id=entity_id)


@bp.route("/activities/<uuid:activity_id>/edit", methods=["GET", "POST"])
@access("everyone")
def edit(activity_id: UUID) -> Answer:
    """Change an entry of one's own."""
    person, entry = me(), activities.load(db.session(), activity_id)
    rights.require_edit_activity(person, entry)
    form = ActivityForm(
        request.form if request.method == "POST" else None, locale=person.locale, subject=entry.subject,
        description=entry.description, due_on=day_due(entry.due_at), assigned_to_id=entry.assigned_to_id,
    )  # fmt: skip
    form.assigned_to_id.choices = offer([NOBODY, *people.choices(db.session(), entry.assigned_to_id)])
    form.keep_for(entry.type, entry.subject)
    if request.method == "POST":
        if form.save(partial(_change, entry, person, form.write), by=person):
            return saved(form, _page_of(entry))
        return _edit_page(form, entry, person), form.http_status
    return _edit_page(form, entry, person)


@bp.route("/activities/<uuid:activity_id>/deletion", methods=["GET", "POST"])
@access("everyone")
def delete(activity_id: UUID) -> Answer:
    """Ask, then delete an entry of one's own."""
    person, entry = me(), activities.load(db.session(), activity_id)
    rights.require_edit_activity(person, entry)
    if request.method == "GET":
        return render_template("activities/delete.html", entry=entry, cancel_url=_page_of(entry))
    work = partial(_change, entry, person, lambda _, activity: activity.delete(person))
    flash_with_undo(f"The {entry.type} is deleted.", changes.commit(work, by=person))
    return see_other(_page_of(entry))


@bp.post("/activities/<uuid:activity_id>/completion")
@access("everyone")
def complete(activity_id: UUID) -> Answer:
    """Tick a task off (`done` 1), or take the tick back (0)."""
    person, entry = me(), activities.load(db.session(), activity_id)
    rights.require_finish_task(person, entry)
    is_done = request.form.get("done", "1") == "1"

    def work(session: Session) -> None:
        activity = locked(session, "Activity", entry.id)
        rights.require_finish_task(person, activity)
        finish(activity, is_done)

    changes.commit(work, by=person)
    if not is_htmx():
        return see_other(_page_of(entry))
    return _shown("Done." if is_done else "Open again.", entry.deal_id, entry.entity_id)


def _written(
    form: RecordForm,
    work: Callable[[Session], Any],
    deal_id: UUID | None = None,
    entity_id: UUID | None = None,
) -> Answer:
    """Save what was written; the answer is the timeline with it, or the form with what is wrong."""
    kind = "note" if isinstance(form, NoteForm) else "task"
    if not form.save(lambda session: bool(work(session)), by=me()):
        return _shown("", deal_id, entity_id, **{f"{kind}_form": form})
    if not is_htmx():
        return saved(form, _address(deal_id, entity_id))
    return _shown(f"{kind.capitalize()} added.", deal_id, entity_id, form.failures)


def _shown(
    said: str,
    deal_id: UUID | None,
    entity_id: UUID | None,
    failures: Sequence[Failure] = (),
    **forms: RecordForm,
) -> Answer:
    """The page's parts for htmx, else the page, with the form that was refused."""
    person, status = me(), 422 if forms else 200
    if deal_id is not None:
        context, page = deal_pages.panel(deal_id, person), "deals/show.html"
    else:
        assert entity_id is not None
        context, page = entity_pages.context(entity_id, person), "entities/show.html"
    template = "activities/_written.html" if is_htmx() else page
    return render_template(template, **{"said": said, "failures": failures, **context, **forms}), status


def _change(
    entry: ActivityDetail, person: Person, change: Callable[[Session, Activity], None], session: Session
) -> UUID:
    """Change the locked activity; answers the change set."""
    activity = locked(session, "Activity", entry.id)
    rights.require_edit_activity(person, activity)
    change(session, activity)
    return changes.begin(session).id


def _edit_page(form: ActivityForm, entry: ActivityDetail, person: Person) -> str:
    disputes = told(form, entry.id, person)
    return render_template(
        "activities/edit.html", entry=entry, form=form, disputes=disputes, cancel_url=_page_of(entry)
    )


def _page_of(entry: ActivityDetail) -> str:
    return _address(entry.deal_id, entry.entity_id)


def _address(deal_id: UUID | None, entity_id: UUID | None) -> str:
    if deal_id is not None:
        return url_for("deals.show", deal_id=deal_id, _anchor="timeline")
    return url_for("entities.show", entity_id=entity_id, _anchor="timeline")
