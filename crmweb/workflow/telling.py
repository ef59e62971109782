"""Whom rules tell, and how: a line in the inbox, and an e-mail for those who want it, where a mail server is set."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import config
from crmweb.ledger import Ledger
from crmweb.models import Delivery, Notification, RuleMute, User
from crmweb.models.snapshot import changed_columns
from crmweb.workflow.keeping import kept


class Person(NamedTuple):
    """Somebody whom a rule may tell. `mutes`: the rules of which they do not want to hear."""

    id: UUID
    name: str
    email: str
    role: str
    gets_mail: bool
    mutes: frozenset[UUID]


HEARING = frozenset({"name", "email", "role", "is_active", "gets_mail"})
"""Fields of a user that decide whether they are told, and where."""
_people: dict[str, tuple[Person, ...]] = {}


def changes_who_hears(session: Session) -> bool:
    """Whether the coming flush changes who there is to be told by rules, or what they want to hear."""
    kept = (person for person in session.dirty if isinstance(person, User))
    return any(isinstance(entry, User | RuleMute) for entry in (*session.new, *session.deleted)) or any(
        not HEARING.isdisjoint(changed_columns(session, person)) for person in kept
    )


def people(session: Session, ledger: Ledger) -> tuple[Person, ...]:
    """The active people by name; read once per process and `rules_version`, which changes of theirs raise, too."""
    version = "" if ledger.are_rules_changed else ledger.rules_version or ""
    return kept(_people, version, lambda: _read(session))


def _read(session: Session) -> tuple[Person, ...]:
    mutes: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for person_id, rule_id in session.execute(select(RuleMute.user_id, RuleMute.rule_id)):
        mutes[person_id].add(rule_id)
    columns = (User.id, User.name, User.email, User.role, User.gets_mail)
    active = session.execute(select(*columns).where(User.is_active).order_by(User.name, User.id))
    return tuple(Person(*row, frozenset(mutes[row.id])) for row in active)


def tell(session: Session, person: Person | User, line: Notification) -> None:
    """Put `line` into the person's inbox and, if it is to leave the house too, into the outbox."""
    session.add(line)
    if config.settings.smtp_url and person.gets_mail:
        subject = " ".join(line.subject.split())  # a header is one line
        letter = Delivery(
            notification=line, rule_run_id=line.rule_run_id, address=person.email, subject=subject, body=_body(line)
        )  # fmt: skip
        session.add(letter)


def _body(line: Notification) -> str:
    site = config.settings.base_url.rstrip("/")
    account = f": {site}/account" if site else "."
    parts = [line.subject, line.detail, f"{site}{_path(line)}" if site else None, f"{FOOT}{account}"]
    return "\n\n".join(part for part in parts if part) + "\n"


FOOT = "-- \nYou can mute the rule in your inbox, or stop these e-mails on your account’s page"


def _path(line: Notification) -> str:
    if line.kind == "warning" and line.rule_id:
        return f"/rules/{line.rule_id}"
    if line.deal_id:
        return f"/deals/{line.deal_id}"
    return f"/entities/{line.entity_id}" if line.entity_id else "/notifications"
