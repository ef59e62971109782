"""What a request from htmx 4 tells, and what an answer to it may say."""

from __future__ import annotations

from flask import Response, make_response, redirect, request
from werkzeug.wrappers import Response as BaseResponse


def is_htmx() -> bool:
    """Whether htmx asks, so that partials are wanted instead of a page."""
    return request.headers.get("HX-Request") == "true"


def see_other(url: str) -> BaseResponse:
    """After a write: go to `url`. A form gets a 303, htmx the header that makes the browser go there."""
    if not is_htmx():
        return redirect(url, code=303)
    answer: Response = make_response("", 200)
    answer.headers["HX-Redirect"] = url
    return answer


def tagged(body: str, tag: str, status: int = 200) -> Response:
    """An answer with the state's tag, which the next poll sends back as HX-PTag."""
    answer = make_response(body, status)
    answer.headers["HX-PTag"] = tag
    return answer
