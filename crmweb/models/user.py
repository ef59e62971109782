"""People who sign in, and who did something."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session, validates

from crmweb.errors import FieldError, NotFoundError
from crmweb.models import sign_in
from crmweb.models.base import Record, choice, not_empty, one_of, text

ROLES = ("admin", "manager", "rep")
THEMES = ("", "light", "dark")


class Author(Protocol):
    """Who did something: a User, the signed-in person, or a label without an account."""

    @property
    def id(self) -> UUID | None: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str | None: ...
    @property
    def role(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """An author as a plain value. Without `id`: one without an account, such as the system or an unknown address."""

    name: str
    email: str | None = None
    id: UUID | None = None
    role: str | None = None

    @classmethod
    def of(cls, author: Author) -> Actor:
        """The author as a value that no transaction can expire."""
        return author if isinstance(author, cls) else cls(author.name, author.email, author.id, author.role)


SYSTEM = Actor("System")


class User(Record):
    """A person with an account. The e-mail is unique whatever its case.

    `gets_mail`: what comes into the inbox goes out by e-mail as well, where a mail server is set.
    """

    __tablename__ = "users"
    defaults: ClassVar[dict[str, Any]] = {
        "role": "rep",
        "is_active": True,
        "timezone": "UTC",
        "locale": "en",
        "theme": "",
        "gets_mail": True,
    }

    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(800), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(20))
    is_active: Mapped[bool]
    timezone: Mapped[str] = mapped_column(String(64))
    locale: Mapped[str] = mapped_column(String(16))
    theme: Mapped[str] = mapped_column(String(8))
    gets_mail: Mapped[bool]

    __table_args__ = (one_of("role", ROLES), one_of("theme", THEMES), not_empty(), not_empty("email"))

    @classmethod
    def locked(cls, session: Session, user_id: UUID) -> Self:
        """The person, fresh, locked until the transaction ends. NotFoundError when there is none."""
        person = session.get(cls, user_id, with_for_update=True, populate_existing=True)
        if person is None:
            raise NotFoundError("This person is not there.")
        return person

    def change_role(self, role: str) -> None:
        """Give the person another role. FieldError when nobody else would be admin."""
        if self.role == "admin" and role != "admin":
            self._keep_an_admin("role")
        self.role = role

    def deactivate(self) -> None:
        """Close the account: it is signed out everywhere at once. FieldError when nobody else is admin."""
        if self.role == "admin":
            self._keep_an_admin("is_active")
        self.is_active = False
        session = object_session(self)
        if session is not None:
            for table in (sign_in.Session, sign_in.PasswordLink):
                session.execute(delete(table).where(table.user_id == self.id))

    def reactivate(self) -> None:
        """Open the account again; its password is the old one."""
        self.is_active = True

    def _keep_an_admin(self, field: str) -> None:
        session = object_session(self)
        others = select(User.id).where(User.role == "admin", User.is_active, User.id != self.id)
        if session is not None and self.is_active and not session.scalars(others.with_for_update()).all():
            raise FieldError(field, f"{self.name} is the only admin. Make somebody else an admin first.")

    @validates("email")
    def _email(self, _: str, value: Any) -> str | None:
        email = text("email", value, most=254, label="E-mail") or ""
        local, at, domain = email.rpartition("@")
        if not (local and at and domain) or any(sign.isspace() for sign in email):
            raise FieldError("email", f"“{email}” is not an e-mail address.")
        self.email_key = email.casefold()
        return email

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        return text("name", value)

    @validates("role")
    def _role(self, _: str, value: Any) -> str:
        return choice("role", value, ROLES)

    @validates("theme")
    def _theme(self, _: str, value: Any) -> str:
        return choice("theme", value, THEMES)

    @validates("timezone")
    def _timezone(self, _: str, value: Any) -> str:
        try:
            return ZoneInfo(value).key
        except (KeyError, ValueError, TypeError, OSError) as wrong:
            raise FieldError(
                "timezone", f"“{value}” is no time zone. Write one like Europe/Berlin."
            ) from wrong

    @validates("locale")
    def _locale(self, field: str, value: Any) -> str | None:
        return text(field, value, most=16)
