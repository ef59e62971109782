"""Stages of a pipeline, and the totals that a board's head shows."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Float, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from crmweb.errors import FieldError
from crmweb.models.base import Base, Record, choice, not_empty, one_of, text, whole
from crmweb.models.pipeline import Pipeline
from crmweb.models.types import Thousandths

STATUSES = ("open", "closed_won", "closed_lost")
LIMIT_MODES = ("soft", "hard")
REQUIRABLE = {"amount": "an amount", "expected_close_date": "a close date", "assigned_to": "an owner"}
"""The fields of a deal that a stage can ask for, in words; beside them `custom_fields.<key>`."""
CUSTOM = "custom_fields."
COLORS = ("slate", "teal", "blue", "violet", "rose", "orange", "olive", "green", "clay")
NOBODY = UUID(int=0)
"""Stands for "no owner" in StageTotal: NULLs would not be unique."""


class Stage(Record):
    """A step of a pipeline; its status decides the status of every deal in it.

    `probability` is the chance to win in per cent (0–100). Name (whatever its case) and order are unique in the
    pipeline among stages that are not archived. `version` rises with anything that its column shows.

    `rot_days`: a deal that nobody touched for more days is rotting; None: never. `max_deals`: how many the stage should
    hold (`limit_mode` soft) or can hold (hard); None: any number. `required_fields` (of REQUIRABLE, or
    `custom_fields.<key>`) must be filled before a person moves a deal in.
    """

    __tablename__ = "stages"
    defaults: ClassVar[dict[str, Any]] = {
        "probability": 0.0, "status": "open", "color": "slate", "is_archived": False, "version": 0,
        "limit_mode": "soft", "required_fields": list,
    }  # fmt: skip

    pipeline_id: Mapped[UUID] = mapped_column(ForeignKey("pipelines.id"))
    name: Mapped[str] = mapped_column(String(100))
    name_key: Mapped[str] = mapped_column(String(600))
    description: Mapped[str | None] = mapped_column(Text)
    order: Mapped[int]
    probability: Mapped[float] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(20))
    color: Mapped[str] = mapped_column(String(20))
    rot_days: Mapped[int | None]
    max_deals: Mapped[int | None]
    limit_mode: Mapped[str] = mapped_column(String(4))
    required_fields: Mapped[list[str]] = mapped_column(JSON)
    is_archived: Mapped[bool]
    version: Mapped[int] = mapped_column(BigInteger)

    pipeline: Mapped[Pipeline] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        UniqueConstraint("pipeline_id", "order"),
        UniqueConstraint("pipeline_id", "name_key"),
        CheckConstraint("probability >= 0 AND probability <= 100", name="probability_range"),
        one_of("status", STATUSES),
        one_of("color", COLORS),
        one_of("limit_mode", LIMIT_MODES),
        CheckConstraint("rot_days IS NULL OR rot_days > 0", name="rot_days_range"),
        CheckConstraint("max_deals IS NULL OR max_deals > 0", name="max_deals_range"),
        not_empty(),
    )

    @validates("pipeline")
    def _pipeline(self, _: str, value: Pipeline) -> Pipeline:
        self.pipeline_id = value.id
        return value

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        name = text("name", value, most=100)
        self._claim(name, self.is_archived)
        return name

    @validates("is_archived")
    def _is_archived(self, _: str, value: bool) -> bool:
        self._claim(self.name, value)
        return value

    def _claim(self, name: str | None, is_archived: bool) -> None:
        """Keep the name from others; an archived stage lets go of it."""
        # No name begins with a space, so an archived stage's key is in nobody's way.
        self.name_key = f" {self.id}" if is_archived else (name or "").casefold()

    @validates("description")
    def _description(self, _: str, value: Any) -> str | None:
        return text("description", value, most=5000, required=False)

    @validates("order")
    def _order(self, field: str, value: Any) -> int:
        return whole(field, value)

    @validates("probability")
    def _probability(self, _: str, value: Any) -> float:
        try:
            chance = float(value)
        except (TypeError, ValueError) as wrong:
            raise FieldError("probability", f"“{value}” is not a number.") from wrong
        if not math.isfinite(chance) or not 0 <= chance <= 100:
            raise FieldError("probability", "Between 0 and 100 per cent.")
        return chance

    @validates("status")
    def _status(self, _: str, value: Any) -> str:
        return choice("status", value, STATUSES)

    @validates("color")
    def _color(self, _: str, value: Any) -> str:
        return choice("color", value, COLORS)

    @validates("rot_days")
    def _rot_days(self, field: str, value: Any) -> int | None:
        return None if value is None else whole(field, value, least=1, most=3650)

    @validates("max_deals")
    def _max_deals(self, field: str, value: Any) -> int | None:
        return None if value is None else whole(field, value, least=1, most=1_000_000)

    @validates("limit_mode")
    def _limit_mode(self, _: str, value: Any) -> str:
        return choice("limit_mode", value, LIMIT_MODES)

    @validates("required_fields")
    def _required_fields(self, field: str, value: Any) -> list[str]:
        names = list(dict.fromkeys(str(name).strip() for name in value or ()))
        for name in names:
            key = name.removeprefix(CUSTOM)
            if name not in REQUIRABLE and (key == name or not key or len(key) > 100):
                raise FieldError(
                    field, f"A stage cannot ask for “{name}”. It can ask for {', '.join(REQUIRABLE)}."
                )
        return names


class StageTotal(Base):
    """Count and sum of the deals of one stage, owner and currency. Kept by `changes`, checked by `doctor`."""

    __tablename__ = "stage_totals"

    stage_id: Mapped[UUID] = mapped_column(ForeignKey("stages.id", ondelete="CASCADE"), primary_key=True)
    owner_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    deal_count: Mapped[int] = mapped_column(BigInteger)
    amount_sum: Mapped[Decimal] = mapped_column(Thousandths)
