"""Tells people: a line in the inbox, and the same by e-mail for those who want it, where a mail server is set."""

from __future__ import annotations

from sqlalchemy.orm import Session

from crmweb import config
from crmweb.models import Delivery, Notification, User


def tell(session: Session, person: User, line: Notification) -> None:
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
