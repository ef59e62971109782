"""Signing in and out; the ways in before there is a password."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import Form

from crmweb import changes, clock, invitations, sign_in
from crmweb.errors import CRMError, NotFoundError, TooManyTriesError
from crmweb.extensions import db
from crmweb.forms.auth import PasswordForm, SetUpForm, SignInForm, blame, check
from crmweb.models import User
from crmweb.queries.sign_in import is_installed
from crmweb.web.access import access, keep, me, safe_path, this_sign_in, throw_away
from crmweb.web.devices import address, device

bp = Blueprint("auth", __name__)


@bp.route("/login", methods=["GET", "POST"])
@access("public")
def login() -> Response | str:
    """Sign in; whoever is signed in already goes on, and an empty installation is set up first."""
    form = SignInForm(request.form, next=request.args.get("next"))
    if request.method == "GET":
        if g.person is not None:
            return redirect(safe_path(form.next.data), code=303)
        if not is_installed(db.session()):
            return redirect(url_for(".setup"), code=303)
        return render_template("auth/login.html", form=form)
    try:
        check(form)
        token = sign_in.by_password(form.email.data, form.password.data, address(), device())
    except CRMError as error:
        return again("auth/login.html", form, error)
    return start(token, form.next.data)


@bp.post("/logout")
@access("everyone")
def logout() -> Response:
    """Sign out: the row is gone, so the cookie is worth nothing, wherever a copy of it is."""
    sign_in.end(me().id, only=this_sign_in().id)
    session.clear()
    answer = throw_away(redirect(url_for(".login"), code=303))
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


@bp.route("/setup", methods=["GET", "POST"])
@access("public")
def setup() -> Response | str:
    """Make the first admin, with the code from the console; later there is no such page."""
    if is_installed(db.session()):
        raise NotFoundError("Crmweb is set up already.")
    form = SetUpForm(request.form)
    if request.method == "GET":
        return render_template("auth/setup.html", form=form)
    try:
        check(form)
        token = invitations.first_admin(**form.data, address=address(), device=device())
    except NotFoundError:
        raise
    except CRMError as error:
        return again("auth/setup.html", form, error)
    return start(token)


@bp.route("/password/<token>", methods=["GET", "POST"])
@access("public")
def password(token: str) -> Response | str:
    """Choose a password, by a one-time link; looking at the page does not use it up."""
    form, person = PasswordForm(request.form), invitations.invited(db.session(), token)
    # Whoever holds the link is its owner, not the one who may be signed in on this browser.
    whose = {"name": person.name, "email": person.email, "person": None}
    if request.method == "GET":
        return render_template("auth/password.html", form=form, **whose)
    try:
        check(form)
        made = invitations.accept(token, form.password.data, address(), device())
    except NotFoundError:
        raise
    except CRMError as error:
        return again("auth/password.html", form, error, **whose)
    return start(made)


@bp.post("/theme")
@access("everyone")
def theme() -> Response:
    """Light, dark, or as the system says; back to the page where it was chosen."""
    person_id, chosen = me().id, request.form.get("theme", "")

    def work(session: Session) -> None:
        User.locked(session, person_id).theme = chosen

    changes.commit(work, by=me())
    return redirect(safe_path(here()), code=303)


def here() -> str:
    """The path of the page that sent this request, as far as the browser tells."""
    sent_from = request.referrer or ""
    return sent_from.removeprefix(request.host_url.rstrip("/"))


def start(token: str, wanted: str | None = None) -> Response:
    """Go on, signed in: nothing that was agreed with the browser before is kept."""
    session.clear()
    return keep(redirect(safe_path(wanted), code=303), token)


def again(template: str, form: Form, error: CRMError, **context: Any) -> Response:
    """The form once more, with the reason beside its field: 422, or 429 with the time to wait."""
    blame(form, error)
    answer = make_response(render_template(template, form=form, **context), error.status)
    if isinstance(error, TooManyTriesError):
        answer.headers["Retry-After"] = str(max(1, round((error.until - clock.now()).total_seconds())))
    return answer
