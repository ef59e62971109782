"""Accounts, as admins see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import clock, models
from crmweb.errors import NotFoundError
from crmweb.models import PasswordLink, User


@dataclass(frozen=True, slots=True)
class Account:
    """A person with an account. Times are UTC.

    `seen_at`: the last use of a sign-in that was not ended; `link_until`: until when their one-time link works.
    """

    id: UUID
    name: str
    email: str
    role: str
    is_active: bool
    has_password: bool
    created_at: datetime
    seen_at: datetime | None
    link_until: datetime | None


def listed(session: Session) -> list[Account]:
    """Everybody, closed accounts last, by name."""
    query = _query().order_by(User.is_active.desc(), func.lower(User.name), User.id)
    return [Account(*tuple(row)) for row in session.execute(query)]


def load(session: Session, person_id: UUID) -> Account:
    """One account. NotFoundError when there is none."""
    row = session.execute(_query().where(User.id == person_id)).first()
    if row is None:
        raise NotFoundError("This person is not there.")
    return Account(*tuple(row))


def _query() -> Any:
    seen = select(func.max(models.Session.seen_at)).where(models.Session.user_id == User.id).scalar_subquery()
    link = (
        select(func.max(PasswordLink.expires_at))
        .where(
            PasswordLink.user_id == User.id, PasswordLink.used_at.is_(None), PasswordLink.expires_at > clock.now()
        )
        .scalar_subquery()
    )  # fmt: skip
    return select(
        User.id, User.name, User.email, User.role, User.is_active, User.password_hash.is_not(None),
        User.created_at, seen, link,
    )  # fmt: skip
