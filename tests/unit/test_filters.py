"""Money, numbers, days and names are written as the look says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask, render_template_string

from crmweb.web import filters

TODAY = date(2026, 11, 19)  # a Thursday
NOW = datetime(2026, 11, 19, 9, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "written"),
    [
        ("1124500", "EUR", "en", "€1,124,500"),
        ("12.5", "EUR", "en", "€12.50"),
        ("184000.000", "GBP", "en", "£184,000"),
        ("310000", "USD", "en", "US$310,000"),
        ("310000", "USD", "en-US", "US$310,000"),
        ("7", "CAD", "en", "CA$7"),
        ("7", "AUD", "en", "A$7"),
        ("5000", "JPY", "en", "¥5,000"),
        ("12.4", "JPY", "en", "¥12"),
        ("98000", "CHF", "en", "CHF\xa098,000"),
        ("1.234", "KWD", "en", "KWD\xa01.234"),
        ("0", "EUR", "en", "€0"),
        ("-5", "EUR", "en", "-€5"),
        ("1000000000000", "EUR", "en", "€1,000,000,000,000"),
        ("1124500.5", "EUR", "de", "1.124.500,50\xa0€"),
        ("98000", "CHF", "de", "98.000\xa0CHF"),
        ("1124500", "EUR", "fr-FR", "1\u202f124\u202f500\xa0€"),
        ("1124500", "INR", "hi", "INR\xa011,24,500"),
        ("0.005", "EUR", "en", "€0.01"),
        ("5", "EUR", "xx-unknown", "€5"),
    ],
)
def test_money_is_written_by_locale_without_empty_cents_or_breaks(
    amount: str, currency: str, locale: str, written: str
) -> None:
    assert filters.money(Decimal(amount), currency, locale) == written


def test_an_estimate_is_written_without_cents() -> None:
    assert filters.money(Decimal("61840.25"), "EUR", whole=True) == "€61,840"


def test_a_number_is_grouped_and_keeps_its_decimals() -> None:
    assert filters.number(1124.5) == "1,124.5"
    assert filters.number(Decimal("1124.5"), "de") == "1.124,5"


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0%"), (25.0, "25%"), (12.5, "13%"), (Decimal(100), "100%")]
)
def test_per_cent_is_a_whole_number_without_a_space(value: Any, written: str) -> None:
    assert filters.percent(value) == written
    assert filters.percent(25, "de") == "25\xa0%"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (date(2026, 11, 19), "today"),
        (date(2026, 11, 20), "tomorrow"),
        (date(2026, 11, 23), "Mon"),
        (date(2026, 11, 25), "Wed"),
        (date(2026, 11, 26), "26 Nov"),
        (date(2026, 12, 12), "12 Dec"),
        (date(2026, 11, 18), "18 Nov"),
        (date(2026, 1, 2), "2 Jan"),
        (date(2027, 5, 19), "19 May"),
        (date(2027, 5, 20), "20 May 2027"),
        (date(2027, 12, 12), "12 Dec 2027"),
        (date(2025, 12, 12), "12 Dec 2025"),
    ],
)
def test_a_day_is_written_as_people_say_it(value: date, written: str) -> None:
    assert filters.day(value, TODAY) == written


def test_americans_read_the_month_first_and_a_clock_of_twelve_hours() -> None:
    assert filters.day(date(2026, 12, 12), TODAY, "en-US") == "Dec 12"
    assert filters.day(date(2027, 12, 12), TODAY, "en-US") == "Dec 12, 2027"
    assert filters.full_day(date(2026, 12, 12), "en-US") == "Saturday, December 12, 2026"
    assert filters.time(NOW, "UTC", "en-US") == "9:20\xa0AM"
    assert filters.time(NOW.replace(hour=0), "UTC", "en-US") == "12:20\xa0AM"
    assert filters.time(NOW.replace(hour=13), "UTC", "en-US") == "1:20\xa0PM"


def test_titles_give_the_day_and_the_zone_in_full() -> None:
    assert filters.full_day(date(2026, 12, 12)) == "Saturday 12 December 2026"
    assert filters.full_time(NOW, "Europe/Berlin") == "Thursday 19 November 2026, 10:20 (Europe/Berlin)"


def test_lists_by_day_begin_with_today_and_yesterday() -> None:
    assert filters.day_heading(TODAY, TODAY) == "Today"
    assert filters.day_heading(TODAY - timedelta(days=1), TODAY) == "Yesterday"
    assert filters.day_heading(date(2026, 11, 17), TODAY) == "Tue 17 Nov"
    assert filters.day_heading(date(2025, 11, 17), TODAY) == "Mon 17 Nov 2025"


def test_a_month_says_its_year_when_it_is_another() -> None:
    assert filters.month(date(2026, 11, 1), TODAY) == "Nov"
    assert filters.month(date(2025, 11, 1), TODAY) == "Nov 2025"


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOW - timedelta(minutes=6), "09:14"),
        (datetime(2026, 11, 17, 9, 14, tzinfo=UTC), "Tue 09:14"),
        (datetime(2026, 11, 13, 9, 14, tzinfo=UTC), "Fri 09:14"),
        (datetime(2026, 11, 12, 9, 14, tzinfo=UTC), "12 Nov 09:14"),
        (datetime(2025, 11, 12, 9, 14, tzinfo=UTC), "12 Nov 2025"),
    ],
)
def test_a_moment_says_no_more_than_needed(moment: datetime, written: str) -> None:
    assert filters.stamp(moment, NOW, "UTC") == written


def test_times_are_those_of_the_viewers_zone() -> None:
    late_evening = datetime(2026, 11, 18, 23, 30, tzinfo=UTC)
    assert filters.stamp(late_evening, NOW, "UTC") == "Wed 23:30"
    assert filters.stamp(late_evening, NOW, "Asia/Tokyo") == "08:30"


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOW - timedelta(seconds=10), "10 s ago"),
        (NOW + timedelta(seconds=2), "1 s ago"),
        (NOW - timedelta(minutes=1), "at 09:19"),
        (NOW - timedelta(days=2), "on Tue 09:20"),
    ],
)
def test_a_moment_inside_a_sentence_counts_seconds_then_names_the_time(
    moment: datetime, written: str
) -> None:
    assert filters.ago(moment, NOW, "UTC") == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(4 * 86_400 + 9, "4 d"), (86_399, "23 h"), (720, "12 min"), (59, "under a minute")],
)
def test_a_span_is_counted_in_its_largest_unit(seconds: int, written: str) -> None:
    assert filters.span(seconds) == written


def test_days_are_counted_by_the_calendar_of_the_zone() -> None:
    moment = datetime(2026, 11, 17, 23, 30, tzinfo=UTC)
    assert filters.days_since(moment, TODAY, "UTC") == 2
    assert filters.days_since(moment, TODAY, "Europe/Berlin") == 1
    assert filters.days_since(NOW + timedelta(days=3), TODAY, "UTC") == 0


def test_late_says_by_how_much_or_nothing() -> None:
    assert filters.late(date(2026, 11, 17), TODAY) == "2 d late"
    assert filters.late(TODAY, TODAY) == ""


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ann Björklund", "AB"),
        ("Lucía Fernández-Ortega", "LF"),
        ("Marco De Santis", "MS"),
        ("Madonna", "MA"),
        ("étienne ærø", "ÉÆ"),
        ("ß", "S"),
        ("(Ann) — B.", "AB"),
        ("", "?"),
        ("—", "?"),
    ],
)
def test_initials_are_the_first_letters_of_the_first_and_last_name(name: str, written: str) -> None:
    assert filters.initials(name) == written


def test_templates_write_for_the_person_who_looks() -> None:
    app = Flask(__name__)
    filters.init_app(app)
    page = "{{ amount|money('EUR') }} {{ due|day }} {{ at|time }} {{ at|days_since }} {{ at|day }}"
    with app.app_context():
        written = render_template_string(
            page,
            amount=Decimal("1500.5"),
            due=date(2026, 12, 12),
            at=datetime(2026, 11, 18, 9, 14, tzinfo=UTC),
            today=TODAY,
            person=SimpleNamespace(locale="de", timezone="Europe/Berlin"),
        )
    assert written == "1.500,50\xa0€ 12 Dec 10:14 1 18 Nov"


def test_templates_know_which_pages_exist() -> None:
    app = Flask(__name__)
    filters.init_app(app)
    with app.app_context():
        assert (
            render_template_string("{{ has_page('static') }} {{ has_page('reports.index') }}") == "True False"
        )
