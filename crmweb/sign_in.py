"""Signing in and out: sessions are rows, so what is signed out stays signed out wherever its cookie went.

A browser keeps a random token of 256 bits, the database only its SHA-256. Reading who it belongs to is in
`queries.sign_in`; how guessing is slowed down in `throttles`.
"""

from __future__ import annotations

import logging
import math
import secrets
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, models, passwords, throttles
from crmweb.errors import FieldError, TooManyTriesError
from crmweb.extensions import db
from crmweb.models import PasswordLink, User
from crmweb.queries.sign_in import Person, SignIn, digest

log = logging.getLogger("crmweb.security")
NOTICED_EVERY = timedelta(minutes=5)
"""How exactly it is known when a sign-in was last used."""


def by_password(email: str, password: str, address: str, device: str) -> str:
    """Sign in and return the new token for the browser. Commits.

    An unknown e-mail, a wrong password, an account that is closed or has no password yet: all answer alike, and take
    equally long.

    Raises FieldError when they do not match, TooManyTriesError.
    """
    attempt = count_attempt(email, address)
    user = _active(email)
    if not passwords.is_match(password, user.password_hash if user else None) or user is None:
        refuse("password", "E-mail and password do not match.", email, address, attempt)
    kept, user_id = user.password_hash, user.id
    renewed = passwords.hash_password(password) if kept and passwords.is_outdated(kept) else kept
    token = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        person = User.locked(session, user_id)
        if not person.is_active or person.password_hash != kept:  # changed while this was computing
            raise FieldError("password", "E-mail and password do not match any more.")
        person.password_hash = renewed
        throttles.give_back(session, email, address)
        begin(session, user_id, token, address, device)

    changes.commit(work, cause="bookkeeping")
    log.info("signed in: %s from %s", user_id, address)
    return token


def begin(session: Session, user_id: UUID, token: str, address: str, device: str) -> None:
    """Inside a transaction: let the browser that holds `token` be signed in."""
    moment = clock.now()
    session.add(
        models.Session(
            token_hash=digest(token), user_id=user_id, seen_at=moment, address=address[:64], device=device[:200],
            expires_at=moment + timedelta(days=config.settings.session_max_days),
        )
    )  # fmt: skip


def notice(known: SignIn) -> None:
    """Keep that the sign-in is in use; written at most every five minutes. Commits."""
    moment = clock.now()
    if known.seen_at + NOTICED_EVERY <= moment:
        seen = update(models.Session).where(models.Session.id == known.id).values(seen_at=moment)
        changes.commit(lambda session: session.execute(seen), cause="bookkeeping")


def notice_board(known: SignIn, board_id: UUID) -> None:
    """Keep which board was looked at last. Commits when it is another than before."""
    if known.board_id != board_id:
        seen = update(models.Session).where(models.Session.id == known.id).values(board_id=board_id)
        changes.commit(lambda session: session.execute(seen), cause="bookkeeping")


def end(user_id: UUID, *, only: UUID | None = None, but: UUID | None = None) -> None:
    """Sign a person out: everywhere, or `only` at one place, or everywhere `but` at one. Commits."""
    changes.commit(lambda session: end_all(session, user_id, only=only, but=but), cause="bookkeeping")


def end_all(session: Session, user_id: UUID, *, only: UUID | None = None, but: UUID | None = None) -> None:
    """Inside a transaction: what `end` does."""
    table = models.Session
    ended = delete(table).where(table.user_id == user_id)
    if only is not None:
        ended = ended.where(table.id == only)
    if but is not None:
        ended = ended.where(table.id != but)
    session.execute(ended)


def change_password(user_id: UUID, password: str, address: str, device: str) -> str:
    """Keep a new password, end every sign-in, and begin one with the token that is returned. Commits."""
    hashed, token = passwords.hash_password(password), secrets.token_urlsafe(32)
    changes.commit(
        lambda session: start_afresh(session, user_id, hashed, token, address, device), cause="bookkeeping"
    )
    log.info("password changed: %s from %s", user_id, address)
    return token


def start_afresh(
    session: Session, user_id: UUID, password_hash: str, token: str, address: str, device: str
) -> None:
    """Inside a transaction: a new password; whatever the old one or a link opened is closed, but for this browser."""
    session.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))
    use_up_links(session, user_id)
    end_all(session, user_id)
    begin(session, user_id, token, address, device)


def use_up_links(session: Session, user_id: UUID) -> None:
    """Inside a transaction: no one-time link of this person works any more."""
    links = update(PasswordLink).where(PasswordLink.user_id == user_id, PasswordLink.used_at.is_(None))
    session.execute(links.values(used_at=clock.now()))


def confirm(person: Person, password: str, address: str, field: str = "current_password") -> None:
    """Make sure that it is the person who sits there. Commits the count of tries.

    Raises FieldError on `field` when it is not their password, TooManyTriesError.
    """
    attempt = count_attempt(person.email, address)
    user = _active(person.email)
    if not passwords.is_match(password, user.password_hash if user else None):
        refuse(field, "This is not your present password.", person.email, address, attempt)
    changes.commit(lambda session: throttles.give_back(session, person.email, address), cause="bookkeeping")


def _active(email: str) -> User | None:
    if "\x00" in email:  # PostgreSQL refuses to compare it
        return None
    return db.session.scalar(select(User).where(User.email_key == email.strip().casefold(), User.is_active))


def count_attempt(email: str, address: str) -> throttles.Attempt:
    """One more attempt, counted before anything is computed. Raises TooManyTriesError."""
    attempt = changes.commit(lambda session: throttles.count(session, email, address), cause="bookkeeping")
    assert attempt is not None
    if attempt.is_refused:
        assert attempt.locked_until is not None
        log.warning("too many tries: %r from %s", email[:254], address)
        raise TooManyTriesError(f"Too many tries. {_wait(attempt)}", attempt.locked_until)
    return attempt


def refuse(field: str, why: str, email: str, address: str, attempt: throttles.Attempt) -> NoReturn:
    """Say why an attempt was wrong, and how many are left. Raises FieldError on `field`."""
    log.warning("not signed in: %r from %s", email[:254], address)
    left = attempt.left
    hope = f"{left} {'try' if left == 1 else 'tries'} left." if left else _wait(attempt)
    raise FieldError(field, f"{why} {hope}")


def _wait(attempt: throttles.Attempt) -> str:
    assert attempt.locked_until is not None
    minutes = math.ceil((attempt.locked_until - clock.now()).total_seconds() / 60)
    return f"Try again in {minutes} {'minute' if minutes == 1 else 'minutes'}."
