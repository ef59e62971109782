"""How people come in: the first admin with the console's code, everybody else by a one-time link from an admin."""

from __future__ import annotations

import logging
import secrets
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, passwords, sign_in
from crmweb.errors import FieldError, NotFoundError
from crmweb.extensions import db
from crmweb.models import AppState, PasswordLink, User
from crmweb.models.user import Author
from crmweb.queries.sign_in import digest, is_installed

log = logging.getLogger("crmweb.security")
LINK_LASTS = timedelta(days=7)
CODE = "setup_code"
SIGNS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What a code is made of: nothing that looks like something else."""


def add_person(
    session: Session, *, name: str, email: str, role: str, password_hash: str | None = None
) -> User:
    """Inside a transaction: a new account, in the company's time zone and locale.

    Raises FieldError, also when the e-mail has an account already.
    """
    own = {"timezone": config.settings.timezone, "locale": config.settings.locale}
    person = User(name=name, email=email, role=role, password_hash=password_hash, **own)
    session.add(person)
    try:
        session.flush()
    except IntegrityError as taken:
        raise FieldError("email", f"{person.email} has an account already.") from taken
    return person


def create(*, name: str, email: str, role: str, password: str, by: Author | None = None) -> UUID:
    """Add a person who has a password already. Commits. FieldError names what cannot be taken."""
    hashed = passwords.hash_password(passwords.check(password, name, email))
    return changes.commit(
        lambda session: add_person(session, name=name, email=email, role=role, password_hash=hashed).id, by=by
    )


def invite(person_id: UUID) -> str:
    """A new one-time link's token, with which the person sets a password; older links die. Commits.

    Raises NotFoundError, and FieldError when the account is deactivated.
    """
    token, moment = secrets.token_urlsafe(32), clock.now()

    def work(session: Session) -> None:
        person = User.locked(session, person_id)
        if not person.is_active:
            raise FieldError("is_active", f"{person.name} is deactivated. Reactivate them first.")
        sign_in.use_up_links(session, person_id)
        session.add(PasswordLink(token_hash=digest(token), user_id=person_id, expires_at=moment + LINK_LASTS))

    changes.commit(work, cause="bookkeeping")
    log.info("password link made for %s", person_id)
    return token


def invited(session: Session, token: str) -> User:
    """Whose link it is. NotFoundError when it was used or replaced, or is too old."""
    links = PasswordLink
    query = (
        select(User)
        .join(links, links.user_id == User.id)
        .where(
            links.token_hash == digest(token), links.used_at.is_(None), links.expires_at > clock.now(), User.is_active
        )
    )  # fmt: skip
    person = session.scalar(query)
    if person is None:
        raise NotFoundError(
            "This link was used, replaced, or is older than 7 days. An admin can give you a new one."
        )
    return person


def accept(token: str, password: str, address: str, device: str) -> str:
    """Set the link's owner's password, sign out everywhere, sign in here: the browser's new token. Commits.

    Raises FieldError for the password, NotFoundError for the link.
    """
    person = invited(db.session(), token)
    hashed = passwords.hash_password(passwords.check(password, person.name, person.email))
    made = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        User.locked(session, person.id)
        invited(session, token)  # once more: while this waited for the lock it may have been used
        sign_in.start_afresh(session, person.id, hashed, made, address, device)

    changes.commit(work, cause="bookkeeping")
    log.info("password set by link: %s from %s", person.id, address)
    return made


def setup_code() -> str | None:
    """A new code for the set-up page, which lets the first admin in; None once anybody has an account. Commits."""
    if is_installed(db.session()):
        return None
    code = "-".join("".join(secrets.choice(SIGNS) for _ in range(4)) for _ in range(4))
    changes.commit(lambda session: session.merge(AppState(key=CODE, value=digest(code))), cause="bookkeeping")
    return code


def first_admin(code: str, *, name: str, email: str, password: str, address: str, device: str) -> str:
    """Make the first admin and sign them in: the browser's new token. Commits.

    Raises NotFoundError when anybody has an account, FieldError, TooManyTriesError.
    """
    attempt = sign_in.count_attempt(CODE, address)
    given = digest(code.strip().upper())
    if db.session().scalar(select(AppState.value).where(AppState.key == CODE)) != given:
        sign_in.refuse("code", "This is not the code.", CODE, address, attempt)
    hashed = passwords.hash_password(passwords.check(password, name, email))
    made = secrets.token_urlsafe(32)

    def work(session: Session) -> None:
        # Whoever takes the code's row away is the one: a second request finds none.
        taken = session.execute(delete(AppState).where(AppState.key == CODE, AppState.value == given))
        if not cast("CursorResult[None]", taken).rowcount or is_installed(session):
            raise NotFoundError("Crmweb is set up already.")
        admin = add_person(session, name=name, email=email, role="admin", password_hash=hashed)
        sign_in.begin(session, admin.id, made, address, device)

    changes.commit(work)
    log.info("set up from %s", address)
    return made
