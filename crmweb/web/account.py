"""One's own account: name, e-mail, password, how things are written, where one is signed in."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, passwords, sign_in
from crmweb.errors import CRMError, FieldError, NotFoundError
from crmweb.extensions import db
from crmweb.forms.auth import check
from crmweb.forms.people import EmailForm, OwnPasswordForm, ProfileForm
from crmweb.models import User
from crmweb.queries import sign_in as sign_ins
from crmweb.web.access import access, me, this_sign_in
from crmweb.web.auth import again, start
from crmweb.web.devices import address, device

bp = Blueprint("account", __name__)
log = logging.getLogger("crmweb.security")


@bp.route("/account", methods=["GET", "POST"])
@access("everyone")
def show() -> Response | str:
    """The account, with the form of what needs no password."""
    person = me()
    # An empty form is one in which nothing is ticked.
    form = ProfileForm(request.form if request.method == "POST" else None, obj=person)
    form.offer(person.timezone, person.locale)
    if request.method == "GET":
        return render_template("account/show.html", form=form, **_places())

    def work(session: Session) -> None:
        user = User.locked(session, person.id)
        user.name, user.timezone, user.locale = form.name.data, form.timezone.data, form.locale.data
        if "gets_mail" in form:
            user.gets_mail = form.gets_mail.data

    try:
        check(form)
        changes.commit(work, by=person)
    except CRMError as error:
        return again("account/show.html", form, error, **_places())
    return _back("Saved.")


@bp.route("/account/email", methods=["GET", "POST"])
@access("everyone")
def email() -> Response | str:
    """Another e-mail to sign in with; the password proves who asks."""
    person, form = me(), EmailForm(request.form)
    if request.method == "GET":
        return render_template("account/email.html", form=form)

    def work(session: Session) -> None:
        User.locked(session, person.id).email = form.email.data
        try:
            session.flush()
        except IntegrityError as taken:
            raise FieldError("email", "This e-mail has an account already.") from taken

    try:
        check(form)
        sign_in.confirm(person, form.current_password.data, address())
        changes.commit(work, by=person)
    except CRMError as error:
        return again("account/email.html", form, error)
    log.info("e-mail changed: %s from %s", person.id, address())
    return _back("From now on you sign in with the new e-mail.")


@bp.route("/account/password", methods=["GET", "POST"])
@access("everyone")
def password() -> Response | str:
    """Another password. Every other sign-in ends, and this one goes on with a new token."""
    person, form = me(), OwnPasswordForm(request.form)
    if request.method == "GET":
        return render_template("account/password.html", form=form)
    try:
        check(form)
        passwords.check(form.password.data, person.name, person.email)
        sign_in.confirm(person, form.current_password.data, address())
    except CRMError as error:
        return again("account/password.html", form, error)
    token = sign_in.change_password(person.id, form.password.data, address(), device())
    answer = start(token, url_for(".show"))
    flash("The new password is set. You are signed out everywhere else.")
    return answer


@bp.post("/account/sign-ins/<uuid:sign_in_id>/end")
@access("everyone")
def end(sign_in_id: UUID) -> Response:
    """Sign out at one other place."""
    if all(place.id != sign_in_id for place in sign_ins.places(db.session(), me().id)):
        raise NotFoundError("This sign-in has ended already.")
    sign_in.end(me().id, only=sign_in_id)
    return _back("Signed out there.")


@bp.post("/account/sign-ins/end")
@access("everyone")
def end_others() -> Response:
    """Sign out everywhere but here."""
    sign_in.end(me().id, but=this_sign_in().id)
    return _back("You are signed out everywhere else.")


def _places() -> dict[str, Any]:
    return {"places": sign_ins.places(db.session(), me().id), "this_place": this_sign_in().id}


def _back(sentence: str) -> Response:
    flash(sentence)
    return redirect(url_for(".show"), code=303)
