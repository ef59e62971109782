"""Pipelines: system-wide sequences of stages. Archived, never removed."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column, validates

from crmweb.errors import FieldError
from crmweb.models.base import Record, not_empty, text, whole

MOST_REASONS = 30


class Pipeline(Record):
    """A sequence of stages that deals move through. The name is unique whatever its case.

    An inactive one is hidden and takes no new deals and no moves. `asks_lost_reason`: whoever loses a deal says why, in
    own words or with one of `lost_reasons`. `board_version` rises with every change that its
    board shows.
    """

    __tablename__ = "pipelines"
    defaults: ClassVar[dict[str, Any]] = {
        "is_active": True, "order": 0, "asks_lost_reason": False, "lost_reasons": list, "board_version": 0,
    }  # fmt: skip

    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(600), unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool]
    order: Mapped[int]
    asks_lost_reason: Mapped[bool]
    lost_reasons: Mapped[list[str]] = mapped_column(JSON)
    board_version: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (not_empty(), CheckConstraint("board_version >= 0", name="board_version_counts"))

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        name = text("name", value)
        self.name_key = (name or "").casefold()
        return name

    @validates("order")
    def _order(self, field: str, value: Any) -> int:
        return whole(field, value)

    @validates("description")
    def _description(self, _: str, value: Any) -> str | None:
        return text("description", value, most=5000, required=False)

    @validates("lost_reasons")
    def _lost_reasons(self, field: str, value: Any) -> list[str]:
        reasons: dict[str, str] = {}
        for entry in value or ():
            if reason := text(field, entry, label="A reason", required=False):
                reasons.setdefault(reason.casefold(), reason)
        if len(reasons) > MOST_REASONS:
            raise FieldError(field, f"{len(reasons)} reasons; at most {MOST_REASONS} fit.")
        return list(reasons.values())
