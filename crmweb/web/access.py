"""Who may call a route. Every route declares it: `@access("everyone")` directly below the route's own decorator.

public: without sign-in. everyone: whoever is signed in. managers: managers and admins. admins: admins. What depends on
the record (whose deal it is) is asked of `crmweb.rights` by the view, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import g, request
from werkzeug.wrappers import Response

from crmweb import config, rights
from crmweb.errors import PermissionDeniedError
from crmweb.extensions import db
from crmweb.queries import sign_in as sign_ins
from crmweb.queries.sign_in import Person, SignIn

__all__ = [
    "Person", "access", "is_open_to", "is_public", "is_secure", "keep", "me", "recognise", "require", "safe_path",
    "this_sign_in", "throw_away",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])

ROLES: dict[str, tuple[str, ...]] = {
    "public": (),
    "everyone": rights.EVERYONE,
    "managers": rights.MANAGERS,
    "admins": rights.ADMINS,
}


def access(kind: str) -> Callable[[F], F]:
    """Declare who may call the view. KeyError for an unknown kind."""
    ROLES[kind]

    def declare(view: F) -> F:
        view.access = kind  # type: ignore[attr-defined]
        return view

    return declare


def is_public(view: Any) -> bool:
    """Whether the view needs no sign-in."""
    return getattr(view, "access", None) == "public"


def is_open_to(view: Any, person: Person | None) -> bool:
    """Whether the person's role may call the view. One that declared nothing is open to nobody."""
    kind = getattr(view, "access", None)
    return kind == "public" or (kind is not None and person is not None and person.role in ROLES[kind])


def require(view: Any, person: Person | None) -> None:
    """PermissionDeniedError when the person's role may not call the view."""
    if not is_open_to(view, person):
        raise PermissionDeniedError("Your role does not allow this. Ask an admin.")


def me() -> Person:
    """The signed-in person of this request."""
    person: Person = g.person
    return person


def this_sign_in() -> SignIn:
    """The sign-in of this request."""
    known: SignIn = g.sign_in
    return known


def recognise() -> SignIn | None:
    """The sign-in that the request's cookie belongs to; one statement."""
    token = request.cookies.get(_cookie())
    return sign_ins.of_token(db.session(), token) if token else None


def keep(response: Response, token: str) -> Response:
    """Let the browser keep the token of its sign-in."""
    age = config.settings.session_max_days * 86_400
    response.set_cookie(
        _cookie(), token, max_age=age, path="/", secure=is_secure(), httponly=True, samesite="Lax"
    )
    return response


def throw_away(response: Response) -> Response:
    """Let the browser forget the token."""
    response.delete_cookie(_cookie(), path="/", secure=is_secure(), httponly=True, samesite="Lax")
    return response


def is_secure() -> bool:
    """Whether people reach the site by https."""
    return request.is_secure or config.settings.base_url.startswith("https://")


def safe_path(wanted: str | None) -> str:
    """`wanted` if it is a path of this site, else "/": nobody is sent elsewhere by a link to us."""
    if not wanted or not wanted.startswith("/") or any(sign <= " " or sign in "\\\x7f" for sign in wanted):
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc or wanted.startswith("//") else wanted


def _cookie() -> str:
    # With __Host- no other site of the same domain can set or replace it; browsers take that name over https alone.
    return "__Host-crmweb" if is_secure() else "crmweb"
