"""Kinds of values that rules compare: how a written value becomes a typed one, and how a value reads as text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from crmweb import config
from crmweb.errors import FieldError

TEXT, CHOICE, NUMBER, MONEY, DATE, MOMENT, YES_NO = (
    "text",
    "choice",
    "number",
    "money",
    "date",
    "moment",
    "yes_no",
)
STAGE, PERSON, ENTITY, PIPELINE, CUSTOM = "stage", "person", "entity", "pipeline", "custom"
REFERENCES = (STAGE, PERSON, ENTITY, PIPELINE)
ORDERED = (NUMBER, MONEY, DATE, MOMENT, CUSTOM)
ALL = (TEXT, CHOICE, NUMBER, MONEY, DATE, MOMENT, YES_NO, *REFERENCES, CUSTOM)


class Ref:
    """A reference to another record: equal by id, read by name; the name is looked up only when somebody asks."""

    __slots__ = ("_name", "id")

    def __init__(self, id: UUID, name: Callable[[], str | None] | str | None = None) -> None:
        self.id, self._name = id, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return (self._name() if callable(self._name) else self._name) or str(self.id)


def typed(kind: str, value: Any, field: str = "value", choices: tuple[str, ...] = ()) -> Any:
    """`value`, as written in a rule, as the type that fields of `kind` have; None stays None.

    FieldError in words when it makes no sense.
    """
    if value is None or value == "":
        return None
    if kind in REFERENCES:
        return _reference(value, field)
    if kind in (NUMBER, MONEY):
        return _number(value, field)
    if kind == DATE:
        return _date(value, field)
    if kind == MOMENT:
        return _moment(value, field)
    if kind == YES_NO:
        return _yes_no(value, field)
    if kind == CHOICE:
        if str(value) not in choices:
            raise FieldError(field, f"“{value}” is not one of {', '.join(choices)}.")
        return str(value)
    if kind == CUSTOM:
        return custom(value)
    if isinstance(value, bool | dict | list):
        raise FieldError(field, f"“{value}” is not a text.")
    return str(value).strip() or None


def custom(value: Any) -> Any:
    """A custom field's value typed by itself: numbers as Decimal, everything else as it is."""
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value))
    return value


def text(value: Any) -> str:
    """`value` as `contains` reads it: numbers plain, dates ISO, references by name."""
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def is_missing(value: Any) -> bool:
    return value is None or value == ""


def _reference(value: Any, field: str) -> Ref:
    try:
        return (
            value if isinstance(value, Ref) else Ref(value if isinstance(value, UUID) else UUID(str(value)))
        )
    except ValueError as wrong:
        raise FieldError(field, f"“{value}” is not an id. Choose from the list.") from wrong


def _number(value: Any, field: str) -> Decimal:
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value).strip().replace(",", ""))
    except InvalidOperation as wrong:
        raise FieldError(field, f"“{value}” is not a number.") from wrong
    if isinstance(value, bool) or not number.is_finite():
        raise FieldError(field, f"“{value}” is not a number.")
    return number


def _date(value: Any, field: str) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError as wrong:
        raise FieldError(field, f"“{value}” is not a date like 2026-12-31.") from wrong


def _moment(value: Any, field: str) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError as wrong:
        raise FieldError(field, f"“{value}” is not a date like 2026-12-31.") from wrong
    return (
        moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(config.settings.timezone))
    ).astimezone(UTC)


def _yes_no(value: Any, field: str) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).strip().casefold() in ("yes", "true", "1"):
        return True
    if str(value).strip().casefold() in ("no", "false", "0"):
        return False
    raise FieldError(field, f"“{value}” is neither yes nor no.")
