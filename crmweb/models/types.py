"""Column types that mean the same on SQLite and PostgreSQL, and the ids."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from crmweb.errors import FieldError

THOUSANDTH = Decimal("0.001")
MOST_MONEY = Decimal(10) ** 12

_last = 0
_lock = threading.Lock()


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562 §5.7): sorts by the time it was made, also within a millisecond of one process."""
    global _last
    with _lock:
        # 48 bits of milliseconds and 12 bits of their fraction, never the same twice.
        _last = max(_last + 1, time.time_ns() * 4096 // 1_000_000)
        stamp = _last
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=value)


def as_id(value: UUID | str, what: str = "id") -> UUID:
    """`value` as a UUID; FieldError naming `what` when it is none."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError as wrong:
        raise FieldError(what, f"“{value}” is not an id.") from wrong


def as_money(value: Any, field: str = "amount") -> Decimal | None:
    """`value` as an amount of money in thousandths, None for none.

    Floats are taken through their shortest text. FieldError unless finite, at least 0 and at most 10^12.
    """
    if value is None:
        return None
    try:
        written = str(value)
        amount = value if isinstance(value, Decimal) else Decimal("" if "_" in written else written)
    except (InvalidOperation, ValueError) as wrong:
        shown = f"“{value:.50}” is not a number." if isinstance(value, str) else "This is not a number."
        raise FieldError(field, shown) from wrong
    if not amount.is_finite():
        raise FieldError(field, f"“{value}” is not an amount of money.")
    if amount < 0:
        raise FieldError(field, "Zero or more.")
    if amount > MOST_MONEY:
        raise FieldError(field, "At most 1,000,000,000,000.")
    return abs(amount).quantize(THOUSANDTH, ROUND_HALF_EVEN)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, aware and UTC in Python on both databases. Naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Thousandths(TypeDecorator[Decimal]):
    """Money: BIGINT of thousandths in the database, Decimal in Python, never a float."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int((Decimal(value) * 1000).to_integral_value(ROUND_HALF_EVEN))

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(int(value)).scaleb(-3)
