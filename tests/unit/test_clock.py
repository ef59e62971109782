"""The one clock, and moments that always have a zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import sqlite

from crmweb import clock, config
from crmweb.models.types import UtcDateTime

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    before = config.settings
    yield
    config.use(before)


def test_now_is_aware_and_utc() -> None:
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_clock_stands_still_where_it_is_set() -> None:
    with clock.at(NOON):
        assert clock.now() == clock.now() == NOON
    assert clock.now() > NOON


def test_the_clock_can_go_on_by_steps() -> None:
    with clock.at(NOON, step=timedelta(minutes=1)):
        assert [clock.now() - NOON for _ in range(3)] == [timedelta(minutes=n) for n in range(3)]


def test_inside_one_time_another_can_be_set() -> None:
    with clock.at(NOON):
        with clock.at(NOON + timedelta(days=1)):
            assert clock.now().day == 3
        assert clock.now() == NOON


def test_the_clock_is_put_back_after_a_failure() -> None:
    with pytest.raises(LookupError), clock.at(NOON):
        raise LookupError
    assert clock.now() > NOON


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"), clock.at(datetime(2026, 3, 2, 12)):  # noqa: DTZ001
        pass


def test_another_zone_is_told_as_utc() -> None:
    with clock.at(datetime(2026, 3, 2, 14, tzinfo=timezone(timedelta(hours=2)))):
        assert (clock.now(), clock.now().utcoffset()) == (NOON, timedelta(0))


def test_today_is_the_companys_day() -> None:
    with clock.at(datetime(2026, 3, 2, 23, 30, tzinfo=UTC)):
        config.use(config.Settings(timezone="Europe/Berlin"))
        assert clock.today() == date(2026, 3, 3)
        config.use(config.Settings(timezone="America/New_York"))
        assert clock.today() == date(2026, 3, 2)


def test_stored_moments_are_aware_on_a_database_that_knows_no_zones() -> None:
    kind, dialect = UtcDateTime(), sqlite.dialect()
    assert kind.process_result_value(datetime(2026, 3, 2, 12), dialect) == NOON  # noqa: DTZ001
    there = datetime(2026, 3, 2, 14, tzinfo=timezone(timedelta(hours=2)))
    stored = kind.process_bind_param(there, dialect)
    assert stored is not None
    assert (stored, stored.hour) == (NOON, 12)
    assert kind.process_bind_param(None, dialect) is kind.process_result_value(None, dialect) is None
    with pytest.raises(ValueError, match="no time zone"):
        kind.process_bind_param(datetime(2026, 3, 2, 12), dialect)  # noqa: DTZ001
