"""The outbox: what must leave the house, written in the transaction of what it tells of, sent by the worker."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crmweb import clock
from crmweb.models.base import Record, one_of, only
from crmweb.models.notification import Notification

HOLD = timedelta(seconds=30)
"""How long an undo can still stop it."""
WAITING = "sent_at IS NULL AND failed_at IS NULL AND withdrawn_at IS NULL"


class Delivery(Record):
    """A notification on its way by e-mail; times are UTC.

    `due_at`: when it is tried next, at first after HOLD. `attempts` counts the tries, `error` says what kept the last
    one from arriving. It ends with `sent_at`, with `failed_at` (given up) or with `withdrawn_at` (stopped by an undo).
    """

    __tablename__ = "deliveries"
    defaults: ClassVar[dict[str, object]] = {
        "kind": "email",
        "attempts": 0,
        "due_at": lambda: clock.now() + HOLD,
    }

    notification_id: Mapped[UUID] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE"), unique=True
    )
    rule_run_id: Mapped[UUID | None] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(300))
    body: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    error: Mapped[str | None] = mapped_column(String(300))
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    notification: Mapped[Notification] = relationship(lazy="raise")

    __table_args__ = (
        Index("ix_deliveries_due", "due_at", **only(WAITING)),
        CheckConstraint("attempts >= 0", name="attempts_count"),
        one_of("kind", ("email",)),
    )
