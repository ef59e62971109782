"""What every record has: an id made at construction, times, defaults as documented, checked text."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, MetaData
from sqlalchemy import Uuid as UuidType
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from crmweb import clock
from crmweb.errors import FieldError
from crmweb.models.types import UtcDateTime, new_id

NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def only(condition: str) -> dict[str, Any]:
    """Makes an index hold only the rows that meet the SQL `condition`."""
    return {f"{dialect}_where": sql(condition) for dialect in ("sqlite", "postgresql")}


ALIVE: dict[str, Any] = only("deleted_at IS NULL")
"""Makes an index leave out deleted records."""
DELETED: dict[str, Any] = only("deleted_at IS NOT NULL")
"""Makes an index hold deleted records alone."""


class Base(DeclarativeBase):
    """The root of all models."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {UUID: UuidType(), datetime: UtcDateTime()}
    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, **fields: Any) -> None:
        given = {
            **{name: value() if callable(value) else value for name, value in self.defaults.items()},
            **fields,
        }
        for name, value in given.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no field “{name}”.")
            setattr(self, name, value)


class Record(Base):
    """A row with a UUIDv7 and the times when it was made and last changed (UTC)."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-3)
    created_at: Mapped[datetime] = mapped_column(sort_order=100)
    updated_at: Mapped[datetime] = mapped_column(sort_order=101, onupdate=clock.now)

    def __init__(self, **fields: Any) -> None:
        moment = clock.now()
        super().__init__(**{"id": new_id(), "created_at": moment, "updated_at": moment, **fields})

    @property
    def _object_id(self) -> UUID:
        """The documents' name for the id."""
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'name', None) or self.id}>"


def text(
    field: str, value: Any, *, most: int = 200, required: bool = True, label: str | None = None
) -> str | None:
    """`value` trimmed; FieldError when it is no text, longer than `most` characters, or empty although `required`."""
    name = label or field.replace("_", " ").capitalize()
    if value is None or (isinstance(value, str) and not value.strip()):
        if required:
            raise FieldError(field, f"{name} is missing.")
        return None
    if not isinstance(value, str):
        raise FieldError(field, f"{name} must be text.")
    if not is_storable(value):
        raise FieldError(field, f"{name} contains a character that cannot be stored.")
    trimmed = value.strip()
    if len(trimmed) > most:
        raise FieldError(field, f"{name} has {len(trimmed)} characters; at most {most} fit.")
    return trimmed


def is_storable(value: str) -> bool:
    """Whether both databases can keep the text: no NUL, no half of a surrogate pair."""
    try:
        return b"\x00" not in value.encode()
    except UnicodeEncodeError:
        return False


def whole(field: str, value: Any, *, least: int = -(2**31), most: int = 2**31 - 1) -> int:
    """`value` if it is a whole number from `least` to `most`; FieldError when it is not."""
    name = field.replace("_", " ").capitalize()
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(field, f"{name} is a whole number.")
    if not least <= value <= most:
        raise FieldError(field, f"{name} is between {least} and {most}.")
    return value


def moment(field: str, value: Any) -> datetime | None:
    """`value` if it is a time with a zone, or None; FieldError when it is not."""
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        raise FieldError(field, f"{field.replace('_', ' ').capitalize()} is a time with a zone.")
    # Where it is another day, the calendar may have ended.
    if value is not None and not 1 < value.year < 9999:
        raise FieldError(field, f"{field.replace('_', ' ').capitalize()} is a time from the year 2 to 9998.")
    return value


def choice(field: str, value: Any, allowed: tuple[str, ...]) -> str:
    """`value` if it is one of `allowed`; FieldError that lists them when it is not."""
    if value not in allowed:
        raise FieldError(field, f"“{value}” is not one of {', '.join(allowed)}.")
    return str(value)


def one_of(column: str, allowed: tuple[str, ...]) -> CheckConstraint:
    """A CHECK that `column` holds one of `allowed`."""
    return CheckConstraint(
        f"{column} IN ({', '.join(repr(value) for value in allowed)})", name=f"{column}_known"
    )


def not_empty(column: str = "name") -> CheckConstraint:
    """A CHECK that text in `column` is not empty."""
    return CheckConstraint(f"length({column}) > 0", name=f"{column}_not_empty")
