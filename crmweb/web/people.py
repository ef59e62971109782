"""People: who has an account, what they may do, how they come in and go. For admins."""

from __future__ import annotations

import logging
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, config, invitations, sign_in
from crmweb.errors import CRMError, FieldError, NotFoundError
from crmweb.extensions import db
from crmweb.forms.auth import check
from crmweb.forms.people import NewPersonForm, PersonForm
from crmweb.models import User
from crmweb.queries import accounts
from crmweb.queries import sign_in as sign_ins
from crmweb.web.access import access, me
from crmweb.web.auth import again

bp = Blueprint("people", __name__)
log = logging.getLogger("crmweb.security")


@bp.get("/people")
@access("admins")
def index() -> str:
    """Everybody with an account."""
    return render_template("people/index.html", accounts=accounts.listed(db.session()))


@bp.route("/people/new", methods=["GET", "POST"])
@access("admins")
def new() -> Response | str | tuple[str, int]:
    """Add a person, and show the link with which they set their password: once, to whoever added them."""
    form = NewPersonForm(request.form)
    if request.method == "GET":
        return render_template("people/new.html", form=form)
    try:
        check(form)
        made = changes.commit(lambda session: invitations.add_person(session, **form.data).id, by=me())
    except CRMError as error:
        return again("people/new.html", form, error)
    log.info("%s added %s as %s", me().id, made, form.role.data)
    assert made is not None
    return _link(made), 201


@bp.route("/people/<uuid:person_id>", methods=["GET", "POST"])
@access("admins")
def show(person_id: UUID) -> Response | str:
    """One account: name and role to change, links, sign-ins."""
    account = accounts.load(db.session(), person_id)
    form = PersonForm(request.form, obj=account)
    if request.method == "GET":
        return _page(account, form)

    def work(session: Session) -> None:
        person = User.locked(session, person_id)
        person.name = form.name.data
        person.change_role(form.role.data)

    try:
        check(form)
        changes.commit(work, by=me())
    except NotFoundError:
        raise
    except CRMError as error:
        return _again(account, form, error)
    if account.role != form.role.data:
        log.info("%s changed the role of %s from %s to %s", me().id, person_id, account.role, form.role.data)
    return _back(person_id, "Saved.")


@bp.post("/people/<uuid:person_id>/link")
@access("admins")
def link(person_id: UUID) -> Response | str | tuple[str, int]:
    """A new one-time link for a password; the one before works no more."""
    account = accounts.load(db.session(), person_id)
    try:
        return _link(person_id), 201
    except FieldError as error:
        return _again(account, PersonForm(obj=account), error)


@bp.post("/people/<uuid:person_id>/deactivation")
@access("admins")
def deactivate(person_id: UUID) -> Response | str:
    """Close the account: signed out everywhere at once; what they did and own stays."""
    account = accounts.load(db.session(), person_id)

    def work(session: Session) -> None:
        if person_id == me().id:
            raise FieldError("is_active", "You cannot deactivate your own account. Another admin can.")
        User.locked(session, person_id).deactivate()

    try:
        changes.commit(work, by=me())
    except FieldError as error:
        return _again(account, PersonForm(obj=account), error)
    log.info("%s deactivated %s", me().id, person_id)
    return _back(person_id, f"{account.name} is signed out everywhere and cannot sign in any more.")


@bp.post("/people/<uuid:person_id>/reactivation")
@access("admins")
def reactivate(person_id: UUID) -> Response:
    """Open the account again."""
    account = accounts.load(db.session(), person_id)
    changes.commit(lambda session: User.locked(session, person_id).reactivate(), by=me())
    log.info("%s reactivated %s", me().id, person_id)
    return _back(person_id, f"{account.name} can sign in again.")


@bp.post("/people/<uuid:person_id>/sign-out")
@access("admins")
def sign_out(person_id: UUID) -> Response:
    """Sign the person out everywhere; the password still works."""
    account = accounts.load(db.session(), person_id)
    sign_in.end(person_id)
    log.info("%s signed %s out everywhere", me().id, person_id)
    return _back(person_id, f"{account.name} is signed out everywhere.")


def _link(person_id: UUID) -> str:
    token = invitations.invite(person_id)
    path = url_for("auth.password", token=token)
    base = config.settings.base_url.rstrip("/") or request.host_url.rstrip("/")
    account = accounts.load(db.session(), person_id)
    return render_template("people/link.html", account=account, link=base + path)


def _page(account: accounts.Account, form: PersonForm) -> str:
    places = sign_ins.places(db.session(), account.id)
    return render_template("people/show.html", account=account, form=form, places=places)


def _again(account: accounts.Account, form: PersonForm, error: CRMError) -> Response:
    places = sign_ins.places(db.session(), account.id)
    return again("people/show.html", form, error, account=account, places=places)


def _back(person_id: UUID, sentence: str) -> Response:
    flash(sentence)
    return redirect(url_for(".show", person_id=person_id), code=303)
