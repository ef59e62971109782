"""What happened: change sets with their changes, stage history, keys of accepted moves. Written by `changes` alone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from crmweb.models.base import Base, Record, one_of, only
from crmweb.models.stage import Stage

if TYPE_CHECKING:
    from crmweb.models.deal import Deal

DID_NOT_ACT = only("outcome <> 'acted'")
CAUSES = ("person", "rule", "time", "import", "api", "undo", "seed", "bookkeeping")


class ChangeSet(Base):
    """Everything that one act did. `by_label` names an author who has no account.

    `parent_id` is the change set that an undo takes back; `undone_by_id` the undo that holds now, None when there is
    none or when it was itself undone.
    """

    __tablename__ = "change_sets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    by_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    by_label: Mapped[str | None] = mapped_column(String(300))
    cause: Mapped[str] = mapped_column(String(12))
    parent_id: Mapped[UUID | None]
    undone_by_id: Mapped[UUID | None]
    idempotency_key: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (one_of("cause", CAUSES), Index("ix_change_sets_at", "at"))


class Change(Base):
    """One field of one record, before and after, as JSON primitives (decimals as text). `*`: made, or deleted."""

    __tablename__ = "changes"

    change_set_id: Mapped[UUID] = mapped_column(
        ForeignKey("change_sets.id", ondelete="CASCADE"), primary_key=True
    )
    sequence: Mapped[int] = mapped_column(primary_key=True)
    record_type: Mapped[str] = mapped_column(String(40))
    record_id: Mapped[UUID]
    field: Mapped[str] = mapped_column(String(120))
    old: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    new: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    rule_run_id: Mapped[UUID | None]
    round: Mapped[int]

    __table_args__ = (Index("ix_changes_record", "record_id", "change_set_id"),)


class StageChange(Record):
    """One step of a deal through its pipeline. Without `from_stage_id`: the deal was made there.

    `deal_version` is the deal's version after it, `step` counts within one version. `below_id` is the card that was
    below before the move; undo puts it back there. `seconds_in_from` is the time spent in the stage it left.
    """

    __tablename__ = "stage_changes"

    deal_id: Mapped[UUID] = mapped_column(ForeignKey("deals.id", ondelete="CASCADE"))
    deal_version: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int]
    from_stage_id: Mapped[UUID | None] = mapped_column(ForeignKey("stages.id"))
    to_stage_id: Mapped[UUID] = mapped_column(ForeignKey("stages.id"))
    at: Mapped[datetime]
    by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    by_label: Mapped[str | None] = mapped_column(String(300))
    cause: Mapped[str] = mapped_column(String(12))
    change_set_id: Mapped[UUID]
    seconds_in_from: Mapped[int | None] = mapped_column(BigInteger)
    below_id: Mapped[UUID | None]

    deal: Mapped[Deal] = relationship("Deal", lazy="raise")
    from_stage: Mapped[Stage | None] = relationship(lazy="raise", foreign_keys=[from_stage_id])
    to_stage: Mapped[Stage] = relationship(lazy="raise", foreign_keys=[to_stage_id])

    __table_args__ = (
        UniqueConstraint("deal_id", "deal_version", "step"),
        Index("ix_stage_changes_stage", "to_stage_id", "at"),
        Index("ix_stage_changes_left", "from_stage_id", "at"),
        one_of("cause", CAUSES),
    )


class MoveKey(Base):
    """The idempotency key of an accepted move, so that a repeated request changes nothing."""

    __tablename__ = "move_keys"

    deal_id: Mapped[UUID] = mapped_column(ForeignKey("deals.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    stage_id: Mapped[UUID]
    at: Mapped[datetime] = mapped_column(index=True)


class RuleRun(Base):
    """A rule that acted, failed or was cut: what it did, or why not. Times in microseconds."""

    __tablename__ = "rule_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    change_set_id: Mapped[UUID | None] = mapped_column(index=True)
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("workflow_rules.id"))
    rule_version: Mapped[int]
    record_type: Mapped[str] = mapped_column(String(40))
    record_id: Mapped[UUID] = mapped_column(index=True)
    round: Mapped[int]
    at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(10))
    effects: Mapped[list[Any]] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(Text)
    microseconds: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (
        Index("ix_rule_runs_rule", "rule_id", "at"),
        Index("ix_rule_runs_at", "at", "id"),
        Index("ix_rule_runs_outcome", "outcome", "at", "id", **DID_NOT_ACT),
        Index("ix_rule_runs_rule_outcome", "rule_id", "outcome", "at", "id", **DID_NOT_ACT),
        one_of("outcome", ("acted", "failed", "cut")),
    )


def did_not_act() -> ColumnElement[bool]:
    """SQL: the run failed or was cut. Written out like DID_NOT_ACT, else no database would use its indexes."""
    return RuleRun.outcome != literal_column("'acted'")


class RuleLook(Base):
    """Which rules looked at a record in one round: `[rule, version, matched, first failing condition, value seen]`."""

    __tablename__ = "rule_looks"

    change_set_id: Mapped[UUID] = mapped_column(primary_key=True)
    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    trigger: Mapped[str] = mapped_column(String(16), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    record_type: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    looks: Mapped[list[Any]] = mapped_column(JSON)

    __table_args__ = (Index("ix_rule_looks_type", "record_type", "at"),)
