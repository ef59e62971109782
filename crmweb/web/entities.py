"""Companies and people: the list, one of them, its forms."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, config, rights
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.forms.activities import NoteForm, TaskForm
from crmweb.forms.entities import EntityForm
from crmweb.forms.fields import offer
from crmweb.models import Entity
from crmweb.queries import entities, people, timeline
from crmweb.queries.entities import EntityDetail
from crmweb.web import edit_words, paging
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_with_undo, saved

bp = Blueprint("entities", __name__)
NOBODY = (None, "Nobody")
NAMED = 5
"""So many deals are named when they keep their company from being deleted."""


@bp.get("/entities")
@access("everyone")
def index() -> str:
    """Companies and people by name, filtered by text."""
    text, after = paging.words(), paging.after()
    page = entities.page(db.session(), text, after)
    return render_template(
        "entities/_list.html" if is_htmx() else "entities/index.html",
        entities=page.rows, text=text, is_first=after is None,
        first_url=url_for(".index", q=text or None),
        next_url=url_for(".index", q=text or None, after=page.after) if page.after else "",
    )  # fmt: skip


@bp.get("/entities/suggestions")
@access("everyone")
def suggestions() -> str:
    """Whom the name in a deal's form may mean."""
    name = request.args.get("entity_name", "").replace("\x00", "")[: paging.LONGEST_FILTER]
    kind = request.args.get("entity_kind", "organization")
    found = entities.matches(db.session(), name)
    return render_template("deals/_entity_choice.html", name=name, matches=found, chosen=None, kind=kind)


@bp.get("/entities/<uuid:entity_id>")
@access("everyone")
def show(entity_id: UUID) -> str:
    """One of them: fields, deals, and the timeline with that of its deals."""
    return render_template("entities/show.html", **context(entity_id, me()))


@bp.route("/entities/new", methods=["GET", "POST"])
@access("everyone")
def new() -> Response | str | tuple[str, int]:
    """Add a company or person."""
    person = me()
    form = EntityForm(
        request.form if request.method == "POST" else None, locale=person.locale,
        name=request.args.get("name", "")[: paging.LONGEST_FILTER] or None, assigned_to_id=person.id,
    )  # fmt: skip
    form.assigned_to_id.choices = offer([NOBODY, *people.choices(db.session())])
    page = partial(render_template, "entities/new.html", form=form, disputes={}, cancel_url=url_for(".index"))
    if request.method == "GET":
        return page()
    if not form.save(lambda session: form.add(session).id, by=person):
        return page(), form.http_status
    return saved(form, url_for(".show", entity_id=form.result))


@bp.route("/entities/<uuid:entity_id>/edit", methods=["GET", "POST"])
@access("everyone")
def edit(entity_id: UUID) -> Response | str | tuple[str, int]:
    """Change its fields. What somebody else changed meanwhile is never overwritten unasked."""
    person, entity = me(), entities.load(db.session(), entity_id)
    form = EntityForm(
        request.form if request.method == "POST" else None, locale=person.locale,
        name=entity.name, kind=entity.kind, legal_name=entity.legal_name, phone=entity.phone, email=entity.email,
        status=entity.status, assigned_to_id=entity.owner_id, note=entity.note,
    )  # fmt: skip
    form.assigned_to_id.choices = offer([NOBODY, *people.choices(db.session(), entity.owner_id)])
    if request.method == "GET":
        return _edit_page(form, entity, person)
    if not form.save(lambda session: form.write(session, Entity.locked(session, entity_id)), by=person):
        return _edit_page(form, entities.load(db.session(), entity_id), person), form.http_status
    return saved(form, url_for(".show", entity_id=entity_id))


@bp.route("/entities/<uuid:entity_id>/deletion", methods=["GET", "POST"])
@access("managers")
def delete(entity_id: UUID) -> Response | str | tuple[str, int]:
    """Ask, then delete it. One with deals cannot be deleted."""
    person, entity = me(), entities.load(db.session(), entity_id)
    page = partial(render_template, "entities/delete.html", entity=entity)
    if request.method == "GET":
        return page(reason=_kept_by_deals(db.session(), entity))

    def work(session: Session) -> UUID:
        rights.require(person, "delete_entity")
        locked = Entity.locked(session, entity_id)
        if reason := _kept_by_deals(session, entity):
            raise CRMError(reason)
        locked.delete(person)
        return changes.begin(session).id

    try:
        flash_with_undo(f"“{entity.name}” is deleted.", changes.commit(work, by=person))
    except CRMError as refused:
        if refused.status != 422:
            raise
        return page(reason=refused.message), refused.status
    return see_other(url_for(".index"))


def context(entity_id: UUID, person: Person) -> dict[str, Any]:
    """What the page of an entity needs. NotFoundError when it is not there."""
    session, most = db.session(), config.settings.activity_timeline_limit
    entity = entities.load(session, entity_id)
    found = entities.deals(session, entity_id)
    before = request.args.get("before", type=UUID) if request.endpoint == "entities.show" else None
    entries = timeline.of_entity(session, entity_id, most, before)
    older = (
        url_for("entities.show", entity_id=entity_id, before=entries[most - 1].id)
        if len(entries) > most
        else ""
    )
    return {
        "entity": entity,
        "deals": found[: entities.DEALS_SHOWN],
        "has_more_deals": len(found) > entities.DEALS_SHOWN,
        "timeline": entries[:most],
        "timeline_more": older,
        "may_delete": rights.may(person, "delete_entity"),
        "may_edit_entry": partial(rights.may_edit_activity, person),
        "may_finish_entry": partial(rights.may_finish_task, person),
        "may_undo_entry": partial(rights.may_undo, person),
        "edit_words": partial(edit_words.told, person=person),
        "note_form": NoteForm(),
        "task_form": TaskForm(),
        "note_url": url_for("entities.note", entity_id=entity_id),
        "task_url": url_for("entities.task", entity_id=entity_id),
    }


def _edit_page(form: EntityForm, entity: EntityDetail, person: Person) -> str:
    return render_template(
        "entities/edit.html", entity=entity, form=form, disputes=told(form, entity.id, person),
        cancel_url=url_for(".show", entity_id=entity.id),
    )  # fmt: skip


def _kept_by_deals(session: Session, entity: EntityDetail) -> str:
    """Why the entity cannot be deleted; empty when it can."""
    names, count = entities.deal_names(session, entity.id, NAMED)
    if not count:
        return ""
    more = f" and {count - len(names)} more" if count > len(names) else ""
    named = ", ".join(f"“{name}”" for name in names)
    if count == 1:
        return f"{entity.name} has 1 deal: {named}. Delete it or give it to somebody else first."
    return f"{entity.name} has {count} deals: {named}{more}. Delete them or give them to somebody else first."
