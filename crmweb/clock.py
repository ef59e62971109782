"""The one clock. Tests, the demo and time rules replace it; nothing else asks the system for the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from crmweb import config


def _system() -> datetime:
    return datetime.now(UTC)


_source: ContextVar[Callable[[], datetime]] = ContextVar("clock", default=_system)


def now() -> datetime:
    """The present moment, timezone-aware, UTC."""
    return _source.get()()


def today() -> date:
    """The company's present day, in `CRMWEB_TIMEZONE`."""
    return day_of(now())


def day_of(moment: datetime) -> date:
    """The company's day that a moment belongs to."""
    return moment.astimezone(ZoneInfo(config.settings.timezone)).date()


def start_of(day: date) -> datetime:
    """The moment (UTC) at which the company's `day` begins: whatever is before it belongs to an earlier day."""
    return datetime.combine(day, time(0), ZoneInfo(config.settings.timezone)).astimezone(UTC)


@contextmanager
def at(moment: datetime, step: timedelta = timedelta(0)) -> Iterator[None]:
    """Inside, `now()` answers `moment` (aware), then `step` later on each further call."""
    if moment.tzinfo is None:
        raise ValueError("The clock needs a time with a zone.")
    ticks = iter(range(1_000_000_000))
    token = _source.set(lambda: moment.astimezone(UTC) + step * next(ticks))
    try:
        yield
    finally:
        _source.reset(token)
