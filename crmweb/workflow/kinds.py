"""Kinds of values that rules compare: how a written value becomes a typed one, and how a value reads as text."""

from __future__ import annotations

import re
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

LONGEST = 1000
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_PLAIN = re.compile(r"-?(0|[1-9][\d,]*)(\.\d*)?")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Ref:
    """A reference to another record: equal by id, read by name; the name is looked up only when somebody asks."""

    __slots__ = ("_name", "id")

    def __init__(self, record_id: UUID, name: Callable[[], str | None] | str | None = None) -> None:
        self.id, self._name = record_id, name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return (self._name() if callable(self._name) else self._name) or str(self.id)

    def __repr__(self) -> str:
        return f"<Ref {self.id}>"


def typed(kind: str, value: Any, field: str = "value", choices: tuple[str, ...] = ()) -> Any:
    """`value`, as written in a rule, as the type that fields of `kind` have; None for what is missing.

    FieldError in words when it makes no sense.
    """
    if is_missing(value):
        return None
    if isinstance(value, dict | list | tuple | set):
        raise FieldError(field, "One value, not several.")
    if isinstance(value, str) and "\x00" in value:
        raise FieldError(field, "The value contains a character that cannot be stored.")
    if isinstance(value, str) and len(value) > LONGEST:
        raise FieldError(field, f"The value has {len(value)} characters; at most {LONGEST} fit.")
    if kind == CHOICE and str(value) not in choices:
        raise FieldError(field, f"“{brief(value)}” is not one of {', '.join(choices)}.")
    return _TYPES[kind](value, field)


def custom(value: Any) -> Any:
    """A custom field's value typed by itself: numbers as Decimal, everything else as it is."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Decimal(str(value))
    return value


def text(value: Any) -> str:
    """`value` as `contains` reads it: numbers plain, dates ISO, references by name."""
    if isinstance(value, Decimal):
        whole, dot, rest = format(value, "f").partition(".")
        return f"{whole}.{rest}".rstrip("0").rstrip(".") if dot else whole
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def shown(value: Any) -> str:
    """`value` as texts that rules write show it: numbers in groups, moments in the company's zone."""
    if isinstance(value, Decimal):
        whole, dot, rest = text(value).partition(".")
        return f"{Decimal(whole):,}{dot}{rest}"  # an int forgets the sign of -0
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(config.settings.timezone)):%Y-%m-%d %H:%M}"
    return text(value)


def is_missing(value: Any) -> bool:
    """Whether there is no value: None or empty text. Zero and no are values."""
    return value is None or value == ""


def brief(value: Any, most: int = 40) -> str:
    """`value` in at most so many characters, as errors, logs and sentences repeat it."""
    written = str(value)
    return written if len(written) <= most else f"{written[: most - 1]}…"


def number(written: str) -> Decimal | None:
    """The finite number of ordinary size that `written` says, thousands in groups of three or not; else None."""
    plain = written.strip()
    if "," in plain:
        plain = plain.replace(",", "") if _GROUPED.fullmatch(plain) else "-"
    try:
        found = Decimal(plain)
    except InvalidOperation:
        return None
    return found if found.is_finite() and (not found or -12 <= found.adjusted() <= 18) else None


def plain_number(written: str) -> Decimal | None:
    """The number that a custom field's value says; None for codes such as 007 or +49."""
    return number(written) if _PLAIN.fullmatch(written.strip()) else None


def yes_no(written: str) -> bool | None:
    """The yes or no that `written` says; else None."""
    return _YES_NO.get(written.strip().casefold())


def _reference(value: Any, field: str) -> Ref:
    if isinstance(value, Ref):
        return value
    try:
        return Ref(value if isinstance(value, UUID) else UUID(str(value)))
    except ValueError as wrong:
        raise FieldError(field, f"“{brief(value)}” is not an id. Choose from the list.") from wrong


def _number(value: Any, field: str) -> Decimal:
    found = None if isinstance(value, bool) else number(str(value))
    if found is None:
        raise FieldError(field, f"“{brief(value)}” is not a number like 50,000 or 12.5.")
    return found


def _date(value: Any, field: str) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return datetime.fromisoformat(str(value).strip()).date()  # a time is cut, as a deal's own date is
    except ValueError as wrong:
        raise FieldError(field, f"“{brief(value)}” is not a date like 2026-12-31.") from wrong


def _moment(value: Any, field: str) -> datetime:
    try:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = value.isoformat()
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(config.settings.timezone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise FieldError(field, f"“{brief(value)}” is not a date like 2026-12-31.") from wrong


def _yes_no(value: Any, field: str) -> bool:
    found = yes_no(str(value))
    if found is None:
        raise FieldError(field, f"“{brief(value)}” is neither yes nor no.")
    return found


def _text(value: Any, field: str) -> str | None:
    if isinstance(value, bool):
        raise FieldError(field, f"“{value}” is not a text.")
    return str(value).strip() or None


def _custom(value: Any, field: str) -> Any:
    if not isinstance(value, str | bool | int | float | Decimal):
        raise FieldError(field, f"“{brief(value)}” is no text, number, yes or no.")
    return value if isinstance(value, str | bool) else _number(value, field)


_TYPES: dict[str, Callable[[Any, str], Any]] = {
    TEXT: _text, CHOICE: _text, NUMBER: _number, MONEY: _number, DATE: _date, MOMENT: _moment, YES_NO: _yes_no,
    CUSTOM: _custom, **dict.fromkeys(REFERENCES, _reference),
}  # fmt: skip
