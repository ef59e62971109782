"""The in-app inbox, and what a person does not want to hear."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, validates

from crmweb.models.base import Base, Record, not_empty, one_of, only, text

UNREAD = only("read_at IS NULL")
UNREAD_OF_RULES = only("read_at IS NULL AND rule_run_id IS NOT NULL")


class Notification(Record):
    """One line for one person. `withdrawn_at`: taken back by an undo before it was read."""

    __tablename__ = "notifications"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(300))
    detail: Mapped[str | None] = mapped_column(Text)
    deal_id: Mapped[UUID | None] = mapped_column(ForeignKey("deals.id", ondelete="CASCADE"), index=True)
    entity_id: Mapped[UUID | None] = mapped_column(ForeignKey("entities.id", ondelete="CASCADE"), index=True)
    rule_id: Mapped[UUID | None]
    rule_run_id: Mapped[UUID | None]
    read_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_notifications_user", "user_id", "created_at"),
        Index("ix_notifications_unread", "user_id", "withdrawn_at", **UNREAD),
        Index("ix_notifications_run", "rule_run_id", **UNREAD_OF_RULES),
        one_of("kind", ("rule", "warning", "win", "note")),
        not_empty("subject"),
    )  # fmt: skip

    @validates("subject")
    def _subject(self, _: str, value: Any) -> str | None:
        return text("subject", value, most=300)


class RuleMute(Base):
    """A person who does not want to hear of a rule: its notifications are not made for them."""

    __tablename__ = "rule_mutes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    rule_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_rules.id", ondelete="CASCADE"), primary_key=True
    )
