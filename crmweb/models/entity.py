"""People, organizations and trusts that deals are made with."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, validates

from crmweb import clock
from crmweb.errors import FieldError, NotFoundError
from crmweb.models.base import DELETED, Record, choice, not_empty, one_of, text
from crmweb.models.custom import CustomFields, custom_fields
from crmweb.models.types import as_id
from crmweb.models.user import Author, User

KINDS = ("person", "organization", "trust")
ENTITY_STATUSES = ("Active", "Inactive")


class Entity(Record):
    """Whom a deal is made with. Two may share a name: two customers can be called the same."""

    __tablename__ = "entities"
    defaults: ClassVar[dict[str, Any]] = {"kind": "organization", "status": "Active"}

    name: Mapped[str] = mapped_column(String(200))
    name_key: Mapped[str] = mapped_column(String(600))
    legal_name: Mapped[str | None] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    phone: Mapped[str | None] = mapped_column(String(50))
    email: Mapped[str | None] = mapped_column(String(254))
    note: Mapped[str | None] = mapped_column(Text)
    assigned_to_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    custom_fields: Mapped[dict[str, Any] | None] = mapped_column(CustomFields)
    deleted_at: Mapped[datetime | None]
    deleted_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))

    assigned_to: Mapped[User | None] = relationship(lazy="raise", foreign_keys=[assigned_to_id])

    __table_args__ = (
        Index("ix_entities_name", "name_key", "id"),
        Index("ix_entities_deleted", "deleted_at", **DELETED),
        one_of("kind", KINDS),
        one_of("status", ENTITY_STATUSES),
        not_empty(),
    )

    @classmethod
    def locked(cls, session: Session, entity_id: UUID | str) -> Self:
        """The entity, fresh, locked until the transaction ends. NotFoundError when there is none.

        Whoever gives it a deal locks it too, so that none comes in while it is being deleted.
        """
        entity = session.get(cls, as_id(entity_id), with_for_update=True, populate_existing=True)
        if entity is None or entity.deleted_at is not None:
            raise NotFoundError("This company or person is not there any more.")
        return entity

    def delete(self, by: Author) -> None:
        """Take it from every list; it can come back until it is purged. Its deals must be gone before."""
        self.deleted_at, self.deleted_by_id = clock.now(), by.id

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        name = text("name", value)
        self.name_key = (name or "").casefold()
        return name

    @validates("legal_name")
    def _legal_name(self, _: str, value: Any) -> str | None:
        return text("legal_name", value, required=False)

    @validates("phone")
    def _phone(self, _: str, value: Any) -> str | None:
        return text("phone", value, most=50, required=False)

    @validates("email")
    def _email(self, _: str, value: Any) -> str | None:
        email = text("email", value, most=254, required=False, label="E-mail")
        if email and ("@" not in email[1:-1] or any(sign.isspace() for sign in email)):
            raise FieldError("email", f"“{email}” is not an e-mail address.")
        return email

    @validates("note")
    def _note(self, _: str, value: Any) -> str | None:
        return text("note", value, most=10_000, required=False)

    @validates("kind")
    def _kind(self, _: str, value: Any) -> str:
        return choice("kind", value, KINDS)

    @validates("status")
    def _status(self, _: str, value: Any) -> str:
        return choice("status", value, ENTITY_STATUSES)

    @validates("assigned_to")
    def _assigned_to(self, _: str, value: User | None) -> User | None:
        self.assigned_to_id = value.id if value else None
        return value

    @validates("custom_fields")
    def _custom_fields(self, _: str, value: Any) -> Any:
        return custom_fields(value)
