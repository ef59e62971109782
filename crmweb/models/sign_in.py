"""Sign-in: sessions as rows, one-time password links, counters of failures. None of it enters the history."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from crmweb.models.base import Base, Record


class Session(Record):
    """A signed-in browser. Only the SHA-256 of its 256-bit random token is kept."""

    __tablename__ = "sessions"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[str | None] = mapped_column(String(64))
    device: Mapped[str | None] = mapped_column(String(200))
    board_id: Mapped[UUID | None] = mapped_column(ForeignKey("pipelines.id", ondelete="SET NULL"))


class PasswordLink(Record):
    """A one-time link with which a person sets a password. Only the token's SHA-256 is kept."""

    __tablename__ = "password_links"

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Throttle(Base):
    """Failed attempts of one account or one address since `since` (UTC)."""

    __tablename__ = "throttles"

    key: Mapped[str] = mapped_column(String(300), primary_key=True)
    failures: Mapped[int]
    since: Mapped[datetime]
    locked_until: Mapped[datetime | None]


class AppState(Base):
    """A few facts about the installation, by name: `rules_version`, the hash of the set-up code."""

    __tablename__ = "app_state"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(300))
