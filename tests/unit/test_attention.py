"""How long nobody touched a deal, in days of the company: midnights of its zone count, not hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmweb import clock, config
from crmweb.queries import attention

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Pacific/Auckland", "Pacific/Apia", "Asia/Beirut", "America/Asuncion",
]  # fmt: skip
DAY = timedelta(days=1)
MOMENTS = st.floats(1_230_000_000, 2_200_000_000).map(lambda stamp: datetime.fromtimestamp(stamp, UTC))


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    before = config.settings
    yield
    config.use(before)


def in_zone(zone: str) -> ZoneInfo:
    config.use(replace(config.settings, timezone=zone))
    return ZoneInfo(zone)


@given(st.sampled_from(ZONES), MOMENTS, st.integers(-3, 3))
def test_what_is_before_a_days_start_belongs_to_an_earlier_day(
    zone: str, moment: datetime, days: int
) -> None:
    in_zone(zone)
    day = clock.day_of(moment) + timedelta(days=days)
    assert (moment < clock.start_of(day)) == (clock.day_of(moment) < day)


@given(
    st.sampled_from(ZONES), MOMENTS, st.integers(0, 40),
    st.integers(1, 30),
)  # fmt: skip
def test_the_arithmetic_and_the_limits_in_time_agree(
    zone: str, moment: datetime, hours: int, limit: int
) -> None:
    in_zone(zone)
    stage = uuid4()
    with clock.at(moment + limit * DAY + timedelta(hours=hours)):
        on = attention.dates([(stage, limit)])
        is_rotting = attention.quiet_days(moment, None, on.today) > limit
        assert is_rotting == (moment < on.quiet[0][1])


def test_the_day_of_the_limit_is_not_rotting_yet_and_the_next_one_is() -> None:
    berlin = in_zone("Europe/Berlin")
    touched = datetime(2026, 3, 20, 23, 30, tzinfo=berlin)  # nine days later clocks go forward
    last_hour = datetime(2026, 3, 30, 23, 59, tzinfo=berlin)
    for moment, days in ((last_hour, 10), (last_hour + timedelta(minutes=1), 11)):
        with clock.at(moment):
            assert attention.quiet_days(touched, None, clock.today()) == days


def test_the_later_of_entry_and_last_touch_counts() -> None:
    in_zone("UTC")
    entered, today = datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 11)
    assert attention.quiet_days(entered, None, today) == 10
    assert attention.quiet_days(entered, entered - 5 * DAY, today) == 10
    assert attention.quiet_days(entered, entered + 4 * DAY, today) == 6
    assert attention.quiet_days(entered + 20 * DAY, None, today) == 0


def test_a_deal_sleeps_until_its_day_and_is_awake_on_it() -> None:
    day = date(2026, 3, 11)
    assert attention.is_asleep(day, day - DAY)
    assert not attention.is_asleep(day, day)
    assert not attention.is_asleep(None, day)


def test_a_stage_without_a_limit_lets_nothing_rot() -> None:
    assert attention.dates([(uuid4(), None)]).quiet == ()
