"""Who is signed in, by the token of their browser; and from where else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import clock, config, models
from crmweb.models import AppState, Notification, User

_rules_version = select(AppState.value).where(AppState.key == "rules_version").scalar_subquery()
MOST_UNREAD = 100
"""Every request counts them; the bell says 99+ anyway."""
_first_unread = (
    select(Notification.id)
    .where(
        Notification.user_id == User.id, Notification.read_at.is_(None), Notification.withdrawn_at.is_(None)
    )
    .correlate(User)
    .limit(MOST_UNREAD)
    .subquery()
)
_unread = select(func.count()).select_from(_first_unread).scalar_subquery()
_known = (
    select(
        User.id, User.name, User.email, User.role, User.timezone, User.locale, User.theme, User.gets_mail,
        models.Session.id, models.Session.seen_at, models.Session.expires_at, models.Session.board_id,
        func.coalesce(_rules_version, ""), _unread,
    )
    .join(models.Session, models.Session.user_id == User.id)
    .where(User.is_active)
)  # fmt: skip


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
    gets_mail: bool


@dataclass(frozen=True, slots=True)
class SignIn:
    """A valid sign-in, with what each page needs to know about its person. Times are UTC.

    `form_secret` is behind the tokens of its forms: made from the browser's token, which cannot be told from it.
    """

    form_secret: str
    person: Person
    id: UUID
    seen_at: datetime
    expires_at: datetime
    board_id: UUID | None
    rules_version: str
    unread: int


@dataclass(frozen=True, slots=True)
class Place:
    """One of a person's sign-ins, for the list of them. Times are UTC."""

    id: UUID
    device: str | None
    address: str | None
    created_at: datetime
    seen_at: datetime


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def form_secret(token: str) -> str:
    """What is behind the tokens of the forms of a browser that holds this token."""
    return digest(f"forms of {token}")[:32]


def of_token(session: Session, token: str) -> SignIn | None:
    """The sign-in of a browser's token, in one statement; None when there is none, or it has ended."""
    row = session.execute(_known.where(models.Session.token_hash == digest(token))).first()
    if row is None:
        return None
    values: tuple[Any, ...] = tuple(row)
    known = SignIn(form_secret(token), Person(*values[:8]), *values[8:])
    moment = clock.now()
    idle = timedelta(days=config.settings.session_idle_days)
    return known if moment < known.expires_at and moment < known.seen_at + idle else None


def places(session: Session, user_id: UUID) -> list[Place]:
    """Where the person is signed in, the latest use first."""
    table = models.Session
    moment = clock.now()
    idle_since = moment - timedelta(days=config.settings.session_idle_days)
    query = (
        select(table.id, table.device, table.address, table.created_at, table.seen_at)
        .where(table.user_id == user_id, table.expires_at > moment, table.seen_at > idle_since)
        .order_by(table.seen_at.desc(), table.id.desc())
    )
    return [Place(*row) for row in session.execute(query)]


def is_installed(session: Session) -> bool:
    """Whether anybody has an account yet."""
    return session.scalar(select(User.id).limit(1)) is not None
