"""What happens to every request: who is it, did they mean it, may they; and what every answer carries."""

from __future__ import annotations

import logging
import re
import secrets
import time
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from flask.logging import default_handler
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as BaseResponse

from crmweb import config, sign_in
from crmweb.extensions import csrf, db
from crmweb.web.access import is_public, is_secure, recognise, require, safe_path
from crmweb.web.htmx import is_htmx

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = frozenset({"assets", "health.show"})
"""Endpoints that are the same for everybody: nobody asks who wants them."""
REQUEST_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
FILE_HEADERS = {name: HEADERS[name] for name in ("X-Content-Type-Options", "Cross-Origin-Resource-Policy")}
"""The others tell a browser what a page may do. A board fetches seven files, so they would cost 3 kB."""


class FormCookie(SecureCookieSessionInterface):
    """Flask's signed cookie. It holds the secret of the forms and the next page's toasts; nobody is signed in by it."""

    def get_cookie_name(self, app: Flask) -> str:
        return "__Host-crmweb_form" if is_secure() else "crmweb_form"

    def get_cookie_secure(self, app: Flask) -> bool:
        return is_secure()


def init_app(app: Flask) -> None:
    """Check each request and dress each answer."""
    app.session_interface = FormCookie()
    app.before_request(_name)
    app.before_request(_admit)
    app.after_request(_dress)
    _open_log(app)


def _open_log(app: Flask) -> None:
    """Who came in, who was denied, what was changed about people: one line each, in UTC, on standard error."""
    lines = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    lines.converter = time.gmtime
    default_handler.setFormatter(lines)
    app.logger.setLevel(logging.INFO)


def _name() -> None:
    """Give the request an id to find it by, the proxy's own if it sent one."""
    given = request.headers.get("X-Request-ID", "") if config.settings.proxies else ""
    g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(6)


def _admit() -> BaseResponse | None:
    """Sign-in, then the proof that the person meant it, then the role; all before the view is called."""
    g.person, g.unread, g.board_id = None, 0, None
    if request.endpoint in OPEN:
        return None
    g.sign_in = known = recognise()
    if known is not None:
        sign_in.notice(known)
        db.session().info["rules_version"] = known.rules_version
        g.person, g.unread, g.board_id = known.person, known.unread, known.board_id
        _bind_forms(known.form_secret)
    if request.endpoint is None:
        return None
    view = current_app.view_functions[request.endpoint]
    if known is None and not is_public(view):
        return _ask_to_sign_in()
    if request.method not in SAFE_METHODS:
        _refuse_other_sites()
        csrf.protect()
    require(view, g.person)
    return None


def _bind_forms(secret: str) -> None:
    """The secret behind the forms' tokens belongs to the sign-in: no other cookie can bring its own."""
    if session.get("csrf_token") != secret:
        session["csrf_token"] = secret


def _refuse_other_sites() -> None:
    """What browsers say about where a request comes from; the token is checked whatever they say."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_foreign = site not in ("same-origin", "none")
    else:
        own = {request.host, urlsplit(config.settings.base_url).netloc or request.host}
        is_foreign = origin is not None and urlsplit(origin).netloc not in own
    if is_foreign:
        raise BadRequest("This came from another site, so nothing was changed.")


def _ask_to_sign_in() -> BaseResponse:
    if is_htmx():
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        return Response(status=401, headers={"HX-Redirect": _login_url(shown.path, shown.query)})
    if request.method in SAFE_METHODS:
        return redirect(_login_url(request.path, request.query_string.decode(errors="replace")), code=303)
    shown = urlsplit(request.referrer or "")
    return redirect(_login_url(shown.path, shown.query), code=303)


def _login_url(path: str, query: str) -> str:
    wanted = safe_path(f"{path}?{query}" if query else path)
    return url_for("auth.login") if wanted == "/" else url_for("auth.login", next=wanted)


def _dress(response: Response) -> Response:
    is_file = request.endpoint == "assets" and response.mimetype != "text/html"
    for name, value in (FILE_HEADERS if is_file else HEADERS).items():
        response.headers.setdefault(name, value)
    if is_secure():
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    if request.endpoint not in OPEN:
        response.vary.add("HX-Request")
    if not is_file:
        response.headers["X-Request-ID"] = g.get("request_id", "")
    return response
