"""Who may call a route. Every route declares it: `@access("everyone")` directly below the route's own decorator.

public: without sign-in. everyone: whoever is signed in. managers: managers and admins. admins: admins. What depends on
the record (whose deal it is) is asked of `crmweb.rights` by the view, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from flask import g

from crmweb import rights
from crmweb.errors import PermissionDeniedError

F = TypeVar("F", bound=Callable[..., Any])

ROLES: dict[str, tuple[str, ...]] = {
    "public": (),
    "everyone": rights.EVERYONE,
    "managers": rights.MANAGERS,
    "admins": rights.ADMINS,
}


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever is signed in, as a plain value; also an Author for `changes.commit(by=…)`."""

    id: UUID
    name: str
    email: str
    role: str
    timezone: str
    locale: str
    theme: str


def access(kind: str) -> Callable[[F], F]:
    """Declare who may call the view. KeyError for an unknown kind."""
    ROLES[kind]

    def declare(view: F) -> F:
        view.access = kind  # type: ignore[attr-defined]
        return view

    return declare


def require(view: Any, person: Person | None) -> None:
    """PermissionDeniedError when the person's role may not call the view."""
    kind = getattr(view, "access", None)
    if kind != "public" and (kind is None or person is None or person.role not in ROLES[kind]):
        raise PermissionDeniedError("Your role does not allow this. Ask an admin.")


def me() -> Person:
    """The signed-in person of this request."""
    person: Person = g.person
    return person
