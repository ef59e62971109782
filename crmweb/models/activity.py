"""Activities: notes, tasks, calls, e-mails, events, and the audit notes of moves."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, Text, and_, literal_column
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, validates

from crmweb import clock
from crmweb.errors import FieldError, NotFoundError
from crmweb.models.base import DELETED, Record, choice, moment, not_empty, one_of, only, text, whole
from crmweb.models.entity import Entity
from crmweb.models.types import as_id
from crmweb.models.user import Author, User

if TYPE_CHECKING:
    from crmweb.models.deal import Deal

TYPES = ("note", "task", "call", "email", "event")
AUDIT = "audit"
NO_AUDIT = only("kind IS NULL")
OPEN_TASK = only("type = 'task' AND completed_at IS NULL AND deleted_at IS NULL")


class Activity(Record):
    """Something that was said, done or is to do, on one deal or one entity.

    `kind` is `audit` for the notes that moves write; those are never edited or deleted. `author` made it; without one
    `by_label` says who did. `rule_run_id` names the run of the rule that made it.
    """

    __tablename__ = "activities"

    type: Mapped[str] = mapped_column(String(10))
    kind: Mapped[str | None] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(300))
    description: Mapped[str | None] = mapped_column(Text)
    deal_id: Mapped[UUID | None] = mapped_column(ForeignKey("deals.id", ondelete="CASCADE"))
    entity_id: Mapped[UUID | None] = mapped_column(ForeignKey("entities.id", ondelete="CASCADE"))
    author_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    by_label: Mapped[str | None] = mapped_column(String(300))
    rule_run_id: Mapped[UUID | None]
    rule_name: Mapped[str | None] = mapped_column(String(200))
    assigned_to_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    due_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    duration_minutes: Mapped[int | None]
    location: Mapped[str | None] = mapped_column(String(200))
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))

    deal: Mapped[Deal | None] = relationship("Deal", lazy="raise")
    entity: Mapped[Entity | None] = relationship(lazy="raise")
    author: Mapped[User | None] = relationship(lazy="raise", foreign_keys=[author_id])
    assigned_to: Mapped[User | None] = relationship(lazy="raise", foreign_keys=[assigned_to_id])

    __table_args__ = (
        # Whole, not only of what is not deleted: when a deal is purged, its activities are found by them.
        Index("ix_activities_deal", "deal_id", "created_at", "id"),
        Index("ix_activities_entity", "entity_id", "created_at", "id"),
        Index("ix_activities_next_step", "deal_id", "due_at", **OPEN_TASK),
        Index("ix_activities_due", "due_at", **OPEN_TASK),
        Index("ix_activities_to_do", "assigned_to_id", "due_at", **OPEN_TASK),
        Index("ix_activities_updated", "updated_at", **NO_AUDIT),
        Index("ix_activities_deleted", "deleted_at", **DELETED),
        CheckConstraint("(deal_id IS NULL) <> (entity_id IS NULL)", name="one_link"),
        CheckConstraint("kind IS NULL OR kind = 'audit'", name="kind_known"),
        one_of("type", TYPES),
        not_empty("subject"),
    )

    def __init__(
        self, *, related_to_type: str | None = None, related_to_id: UUID | str | None = None, **fields: Any
    ) -> None:
        if related_to_type is not None:
            link = {"Deal": "deal_id", "Entity": "entity_id"}.get(related_to_type)
            if link is None or related_to_id is None:
                raise FieldError(
                    "related_to_type", "An activity belongs to a Deal or an Entity, named by its id."
                )
            fields[link] = as_id(related_to_id, "related_to_id")
        super().__init__(**fields)

    @property
    def related_to_type(self) -> str:
        return "Deal" if self.deal_id else "Entity"

    @property
    def related_to_id(self) -> UUID | None:
        return self.deal_id or self.entity_id

    @property
    def is_completed(self) -> bool:
        return self.completed_at is not None

    @property
    def is_audit(self) -> bool:
        return self.kind == AUDIT

    @classmethod
    def locked(cls, session: Session, activity_id: UUID | str) -> Self:
        """The activity, fresh, locked until the transaction ends; lock its deal first. NotFoundError if it is gone."""
        activity = session.get(cls, as_id(activity_id), with_for_update=True, populate_existing=True)
        if activity is None or activity.deleted_at is not None:
            raise NotFoundError("This entry is not there any more.")
        return activity

    def arrive(self) -> None:
        """Check a new one's link. FieldError unless it belongs to one deal or to one entity."""
        if (self.deal_id is None) == (self.entity_id is None):
            raise FieldError("related_to_type", "An activity belongs to one Deal or to one Entity.")

    def delete(self, by: Author) -> None:
        """Take it from the timeline. A move's note cannot be: the save refuses."""
        self.deleted_at, self.deleted_by_id = clock.now(), by.id

    @validates("type")
    def _type(self, _: str, value: Any) -> str:
        return choice("type", value, TYPES)

    @validates("subject")
    def _subject(self, _: str, value: Any) -> str | None:
        return text("subject", value, most=300)

    @validates("description")
    def _description(self, _: str, value: Any) -> str | None:
        return text("description", value, most=20_000, required=False)

    @validates("due_at", "completed_at")
    def _moment(self, field: str, value: Any) -> datetime | None:
        return moment(field, value)

    @validates("location")
    def _location(self, field: str, value: Any) -> str | None:
        return text(field, value, required=False)

    @validates("duration_minutes")
    def _duration(self, field: str, value: Any) -> int | None:
        return None if value is None else whole(field, value, least=0)

    @validates("deal", "entity")
    def _link(self, name: str, value: Deal | Entity | None) -> Deal | Entity | None:
        setattr(self, f"{name}_id", value.id if value else None)
        return value

    @validates("author", "assigned_to")
    def _person(self, name: str, value: User | None) -> User | None:
        setattr(self, f"{name}_id", value.id if value else None)
        return value


def is_no_audit() -> ColumnElement[bool]:
    """SQL: it is not the note of a move. Written like NO_AUDIT, so that its index serves."""
    return Activity.kind.is_(None)


def is_to_do(activity: Any = Activity) -> ColumnElement[bool]:
    """SQL: it is an open task. Written out like OPEN_TASK, else no database would see that its indexes serve."""
    is_task = activity.type == literal_column("'task'")
    return and_(is_task, activity.completed_at.is_(None), activity.deleted_at.is_(None))
