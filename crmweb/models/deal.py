"""A deal, and how it moves from stage to stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, String, inspect
from sqlalchemy.orm import Mapped, Session, lazyload, mapped_column, object_session, relationship, validates

from crmweb import clock, config
from crmweb.errors import FieldError, InvalidStageTransitionError, NotFoundError
from crmweb.models import gates, moving
from crmweb.models.base import ALIVE, DELETED, Record, not_empty, one_of, only, text
from crmweb.models.currency import as_currency
from crmweb.models.custom import CustomFields, custom_fields
from crmweb.models.entity import Entity
from crmweb.models.gates import Asked
from crmweb.models.moving import Elsewhere, Move, Seen
from crmweb.models.placing import GAP, TOP, Place, position_at
from crmweb.models.stage import STATUSES, Stage
from crmweb.models.types import Thousandths, as_id, as_money
from crmweb.models.user import SYSTEM, Author, User

OPEN = only("deleted_at IS NULL AND status = 'open'")
CLOSED = only("deleted_at IS NULL AND closed_date IS NOT NULL")
_UNKNOWN = object()


class Deal(Record):
    """A sales opportunity. `amount` is money in `currency`; `status` and `closed_date` (UTC) follow the stage.

    `expected_close_date` is a day. `stage_entered_at` (UTC) is when it came into its stage. `version` rises by one with
    each change set that changes a tracked field of it. `stage` of a stored deal changes by `move_to` alone.

    `last_human_activity_at` (UTC) is when a person last did something about it, `next_due_at` (UTC) when its earliest
    open task is due. Until the day `snoozed_until` nobody is told that it is quiet, because of `snooze_reason`.
    """

    __tablename__ = "deals"
    defaults: ClassVar[dict[str, Any]] = {
        "currency": lambda: config.settings.default_currency, "status": "open", "version": 0,
        "stage_entered_at": clock.now,
    }  # fmt: skip

    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(600))
    amount: Mapped[Decimal | None] = mapped_column(Thousandths)
    currency: Mapped[str] = mapped_column(String(3))
    entity_id: Mapped[UUID] = mapped_column(ForeignKey("entities.id"), index=True)
    stage_id: Mapped[UUID] = mapped_column(ForeignKey("stages.id"))
    assigned_to_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    expected_close_date: Mapped[date | None] = mapped_column(Date)
    closed_date: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(String(20))
    lost_reason: Mapped[str | None] = mapped_column(String(300))
    custom_fields: Mapped[dict[str, Any] | None] = mapped_column(CustomFields)
    position: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger)
    stage_entered_at: Mapped[datetime]
    last_human_activity_at: Mapped[datetime | None]
    next_due_at: Mapped[datetime | None]
    snoozed_until: Mapped[date | None] = mapped_column(Date)
    snooze_reason: Mapped[str | None] = mapped_column(String(300))
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))

    entity: Mapped[Entity] = relationship(lazy="joined", innerjoin=True)
    stage: Mapped[Stage] = relationship(lazy="joined", innerjoin=True)
    assigned_to: Mapped[User | None] = relationship(lazy="joined", foreign_keys=[assigned_to_id])

    __mapper_args__ = {"version_id_col": version, "version_id_generator": False}  # noqa: RUF012
    __table_args__ = (
        Index("ix_deals_board", "stage_id", "position", "id", **ALIVE),
        Index("ix_deals_owner", "assigned_to_id", "stage_id", "position", "id", **ALIVE),
        Index("ix_deals_quiet", "stage_id", "stage_entered_at", "last_human_activity_at", "snoozed_until", **OPEN),
        Index("ix_deals_due", "stage_id", "next_due_at", **OPEN),
        Index("ix_deals_close", "expected_close_date", **OPEN),
        Index("ix_deals_closed", "closed_date", **CLOSED),
        Index("ix_deals_updated", "updated_at"),
        Index("ix_deals_deleted", "deleted_at", **DELETED),
        one_of("status", STATUSES),
        CheckConstraint("amount IS NULL OR (amount >= 0 AND amount <= 1000000000000000)", name="amount_range"),
        not_empty(),
    )  # fmt: skip

    def __init__(self, **fields: Any) -> None:
        stage: Stage | None = fields.get("stage")
        status = fields.pop("status", None)
        super().__init__(**fields)
        if stage is not None:
            self._follow(stage, clock.now())
        if status is not None and stage is not None and status != self.status:
            raise FieldError("status", f"The status follows the stage: {stage.name} is {stage.status}.")

    @classmethod
    def locked(cls, session: Session, deal_id: UUID | str) -> Self:
        """The deal, fresh, locked until the transaction ends. NotFoundError when there is none.

        By primary key alone: a joined FOR UPDATE may return no row on PostgreSQL.
        """
        deal = session.get(
            cls, as_id(deal_id), with_for_update=True, populate_existing=True, options=[lazyload("*")]
        )  # fmt: skip
        if deal is None or deal.deleted_at is not None:
            raise NotFoundError("This deal is not there any more.")
        return deal

    def move_to(
        self, stage: Stage | Elsewhere | UUID | str, *, by: Author | None = None, note: str | None = None,
        place: Place = TOP, lost_reason: str | None = None, seen: Seen | None = None, key: str | None = None,
        asked: Asked | None = None,
    ) -> Move:  # fmt: skip
        """Bring the deal to `stage`, or to another place in the same one. The one road for every stage change.

        In this order: a repeated `key` does nothing; `seen` elsewhere is a conflict; the same stage is a reorder; then
        refusals; then stage, status, dates and position, one audit note with its author, one StageChange.
        `asked`: a person moves it, so what the stage asks for must be there. Inside `changes.commit`, on a locked deal.

        Raises ConflictError, FieldError (key used for another stage), InvalidStageTransitionError (StageFullError is
        one), MissingFieldsError.
        """
        session = object_session(self)
        assert session is not None, "move_to needs a stored deal"
        by, old_id = by or SYSTEM, self.stage_id
        new_id = stage.id if isinstance(stage, Stage | Elsewhere) else as_id(stage, "stage_id")
        if key and moving.is_repeated(session, self, key, new_id):
            return Move("repeated", old_id, new_id)
        if seen and seen.stage_id != old_id:
            moving.refuse_conflict(session, self, by, seen.version)
        if old_id == new_id:
            self.position = position_at(session, self, new_id, place)
            session.flush()
            return Move("placed", old_id, new_id)
        stages = moving.load_stages(session, old_id, new_id)
        old = stages[old_id]
        new = moving.refuse(stages.get(new_id), None if isinstance(stage, Elsewhere) else old)
        gates.let_in(session, self, old, new, asked, lost_reason)
        moment = clock.now()
        moving.record(session, self, old, new, by, note, moment)
        self.position = position_at(session, self, new_id, place)
        with self._moving():
            self.stage, self.stage_id = new, new_id
        self._follow(new, moment)
        if lost_reason and self.status == "closed_lost":
            self.lost_reason = lost_reason
        session.flush()
        return Move("moved", old_id, new_id)

    def delete(self, by: Author) -> None:
        """Take the deal from every board and list; it can come back until it is purged."""
        self.deleted_at, self.deleted_by_id = clock.now(), by.id

    def arrive(self, session: Session, ahead: Sequence[Deal] = ()) -> None:
        """A new deal's first step: status by its stage, a place on top, a StageChange without `from`.

        `ahead`: the deals that arrived just before in the same stage and are not stored yet either, the top one last.

        Raises FieldError without a stage, InvalidStageTransitionError when the stage takes no deals, or no more.
        """
        if "stage" not in self.__dict__ and self.stage_id is None:
            raise FieldError("stage", "The stage is missing.")
        stage = self.stage if "stage" in self.__dict__ else session.get(Stage, self.stage_id)
        self.stage = moving.refuse(stage, None)
        gates.refuse_full(session, self, self.stage, arriving=len(ahead))
        self._follow(self.stage, self.stage_entered_at)
        if "position" not in self.__dict__:
            self.position = ahead[-1].position - GAP if ahead else position_at(session, self, self.stage_id)
        moving.record_arrival(session, self)

    def _follow(self, stage: Stage, moment: datetime) -> None:
        """Status, closing and lost reason as the stage says: the one place that sets them."""
        if stage.status != "closed_lost" or (self._is_stored and self.status != "closed_lost"):
            self.lost_reason = None
        with self._moving():
            self.status = stage.status
            self.closed_date = None if stage.status == "open" else moment
        self.stage_entered_at = moment

    @property
    def _is_stored(self) -> bool:
        return bool(inspect(self).persistent)

    @contextmanager
    def _moving(self) -> Iterator[None]:
        self.__dict__["_is_moving"] = True
        try:
            yield
        finally:
            del self.__dict__["_is_moving"]

    @validates("stage", "stage_id", "status", "closed_date")
    def _by_move_alone(self, name: str, value: Any) -> Any:
        if (
            self._is_stored
            and "_is_moving" not in self.__dict__
            and value != self.__dict__.get(name, _UNKNOWN)
        ):
            raise InvalidStageTransitionError(
                f"The {name} of a stored deal changes by deal.move_to(stage) alone."
            )
        if name == "stage" and value is not None and "_is_moving" not in self.__dict__:
            self.stage_id = value.id
        return value

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        name = text("name", value)
        self.name_key = (name or "").casefold()
        return name

    @validates("amount")
    def _amount(self, _: str, value: Any) -> Decimal | None:
        return as_money(value)

    @validates("currency")
    def _currency(self, _: str, value: Any) -> str:
        return as_currency(value)

    @validates("lost_reason", "snooze_reason")
    def _reason(self, field: str, value: Any) -> str | None:
        return text(field, value, most=300, required=False, label="The reason")

    @validates("expected_close_date", "snoozed_until")
    def _day(self, field: str, value: Any) -> date | None:
        day = value.date() if isinstance(value, datetime) else value
        if day is not None and not isinstance(day, date):
            raise FieldError(field, f"“{value}” is not a date.")
        return day

    @validates("entity", "assigned_to")
    def _link(self, name: str, value: Entity | User | None) -> Entity | User | None:
        setattr(self, f"{name}_id", value.id if value else None)
        return value

    @validates("custom_fields")
    def _custom_fields(self, _: str, value: Any) -> Any:
        return custom_fields(value)


__all__ = ["TOP", "Asked", "Deal", "Elsewhere", "Move", "Place", "Seen"]
