"""Signing in and out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response
from wtforms import Form

from crmweb import clock, sign_in
from crmweb.errors import CRMError, TooManyTriesError
from crmweb.forms.auth import SignInForm, blame
from crmweb.web.access import access, keep, me, safe_path, this_sign_in, throw_away
from crmweb.web.devices import address, device

bp = Blueprint("auth", __name__)


@bp.route("/login", methods=["GET", "POST"])
@access("public")
def login() -> Response | str:
    """Sign in; whoever is signed in already goes on."""
    form = SignInForm(request.form, next=request.args.get("next"))
    if request.method == "GET":
        if g.person is not None:
            return redirect(safe_path(form.next.data), code=303)
        return render_template("auth/login.html", form=form)
    try:
        token = sign_in.by_password(*form.proof(), address(), device())
    except CRMError as error:
        return again("auth/login.html", form, error)
    return start(token, form.next.data)


@bp.post("/logout")
@access("everyone")
def logout() -> Response:
    """Sign out: the row is gone, so the cookie is worth nothing, wherever a copy of it is."""
    sign_in.end(me().id, only=this_sign_in().id)
    session.clear()
    answer = throw_away(redirect(url_for("auth.login"), code=303))
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


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
