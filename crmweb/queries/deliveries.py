"""What became of e-mails, as plain rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.models import Delivery, Notification, User


@dataclass(frozen=True, slots=True)
class Mail:
    """An e-mail to `name`.

    `state`: held (not tried yet), again, due (its time has come), sent, failed or withdrawn; `at`: since or till when
    (UTC). `tries`: how often it was tried; `error`: what kept the last try from arriving.
    """

    name: str
    state: str
    at: datetime
    tries: int
    error: str


def of_runs(session: Session, run_ids: Collection[UUID]) -> dict[UUID | None, list[Mail]]:
    """The e-mails that runs of rules wrote, by run, then by name."""
    query = (
        select(Delivery.rule_run_id, User.name, Delivery)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(User, User.id == Notification.user_id)
        .where(Delivery.rule_run_id.in_(run_ids))
        .order_by(User.name, Delivery.id)
    )
    found: dict[UUID | None, list[Mail]] = defaultdict(list)
    for run_id, name, delivery in session.execute(query) if run_ids else ():
        state, at = _state(delivery)
        found[run_id].append(Mail(name, state, at, delivery.attempts, delivery.error or ""))
    return found


def _state(delivery: Delivery) -> tuple[str, datetime]:
    for state, at in (
        ("sent", delivery.sent_at),
        ("failed", delivery.failed_at),
        ("withdrawn", delivery.withdrawn_at),
    ):
        if at is not None:
            return state, at
    if delivery.due_at <= clock.now():
        return "due", delivery.due_at
    return "again" if delivery.attempts else "held", delivery.due_at
