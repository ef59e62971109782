"""What people see when something does not work: a page for browsers, a refusal beside the page for htmx."""

from __future__ import annotations

import logging
from datetime import datetime

from flask import Flask, Response, g, make_response, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError, SecurityError
from werkzeug.wrappers import Response as BaseResponse

from crmweb import clock
from crmweb.errors import CRMError, PermissionDeniedError, TooManyTriesError
from crmweb.web.htmx import is_htmx

log = logging.getLogger("crmweb.security")
PAGES = (400, 403, 404, 405, 409, 413, 422, 429)


def init_app(app: Flask) -> None:
    """Turn every error into words."""
    app.register_error_handler(CRMError, _refused)
    app.register_error_handler(HTTPException, _stopped)
    app.register_error_handler(InternalServerError, _broken)
    app.register_error_handler(SecurityError, _unknown_host)


def _refused(error: CRMError) -> BaseResponse:
    if error.status >= 500:
        raise error
    if isinstance(error, PermissionDeniedError):
        who = g.get("person")
        log.warning("denied: %s %s to %s", request.method, request.path, who.id if who else None)
    return page(error.status, error.message, error.until if isinstance(error, TooManyTriesError) else None)


def _stopped(error: HTTPException) -> BaseResponse:
    if isinstance(error.response, BaseResponse):
        return error.response
    # Werkzeug's descriptions are for developers; ours, given where a plain 400 is raised, are for people.
    answer = page(error.code or 500, error.description if type(error) is BadRequest else None)
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _broken(_: InternalServerError) -> BaseResponse:
    reference = g.get("request_id", "")
    log.error("request %s broke: %s %s", reference, request.method, request.path)
    page = "errors/_broken.html" if is_htmx() else "errors/500.html"
    return make_response(render_template(page, reference=reference), 500)


def _unknown_host(_: SecurityError) -> BaseResponse:
    # Without a known host no address can be built, so no page either.
    return Response("This server does not answer to that name.\n", 400, mimetype="text/plain")


def page(status: int, message: str | None = None, until: datetime | None = None) -> BaseResponse:
    """The answer that says what happened: `message`, else the page's own words. `until`: when to try again (UTC)."""
    template = f"errors/{status if status in PAGES else 400}.html"
    frame = "errors/_refusal.html" if is_htmx() else "base.html"
    answer = make_response(render_template(template, message=message, frame=frame), status)
    if until is not None:
        answer.headers["Retry-After"] = str(max(1, round((until - clock.now()).total_seconds())))
    return answer
