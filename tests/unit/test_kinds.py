"""How a value that is written in a rule becomes a typed one, and how values read as text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmweb import config
from crmweb.errors import FieldError
from crmweb.workflow import kinds


@pytest.fixture
def berlin() -> Iterator[None]:
    kept = config.settings
    config.use(config.read({}, timezone="Europe/Berlin"))
    yield
    config.use(kept)


@pytest.mark.parametrize(
    ("kind", "written", "typed"),
    [
        (kinds.MONEY, "100000", Decimal(100_000)),
        (kinds.MONEY, "100,000", Decimal(100_000)),
        (kinds.MONEY, " 50,000.50 ", Decimal("50000.50")),
        (kinds.MONEY, 0.1, Decimal("0.1")),
        (kinds.NUMBER, -3, Decimal(-3)),
        (kinds.DATE, "2026-12-31", date(2026, 12, 31)),
        (kinds.DATE, datetime(2026, 12, 31, 8, tzinfo=UTC), date(2026, 12, 31)),
        (kinds.MOMENT, "2026-12-31T08:00:00+02:00", datetime(2026, 12, 31, 6, tzinfo=UTC)),
        (kinds.YES_NO, "Yes", True),
        (kinds.YES_NO, False, False),
        (kinds.TEXT, "  Acme ", "Acme"),
        (kinds.TEXT, 7, "7"),
        (kinds.CUSTOM, 100, Decimal(100)),
        (kinds.CUSTOM, "007", "007"),
        (kinds.CUSTOM, True, True),
        (kinds.TEXT, "", None),
        (kinds.MONEY, None, None),
    ],
)
def test_a_written_value_becomes_a_typed_one(kind: str, written: Any, typed: Any) -> None:
    found = kinds.typed(kind, written)
    assert found == typed
    assert type(found) is type(typed)


def test_a_reference_is_an_id() -> None:
    assert kinds.typed(kinds.STAGE, str(UUID(int=7))) == kinds.Ref(UUID(int=7))


def test_a_day_of_a_moment_begins_in_the_companys_zone(berlin: None) -> None:
    assert kinds.typed(kinds.MOMENT, "2026-12-31") == datetime(2026, 12, 30, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (kinds.MONEY, "a lot"),
        (kinds.MONEY, "1,5"),
        (kinds.MONEY, "NaN"),
        (kinds.MONEY, float("inf")),
        (kinds.MONEY, "1e400"),
        (kinds.MONEY, "9" * 5000),
        (kinds.MONEY, "1e-400"),
        (kinds.MONEY, True),
        (kinds.NUMBER, {}),
        (kinds.DATE, "31.12.2026"),
        (kinds.DATE, "2026-02-31"),
        (kinds.DATE, "2026-12-31 or so"),
        (kinds.MOMENT, "tomorrow"),
        (kinds.MOMENT, "0001-01-01T00:00:00+14:00"),
        (kinds.YES_NO, "perhaps"),
        (kinds.STAGE, "Proposal"),
        (kinds.PERSON, 7),
        (kinds.CHOICE, "purple"),
        (kinds.TEXT, ["a"]),
        (kinds.TEXT, "a\x00b"),
        (kinds.TEXT, "x" * 10_000),
        (kinds.CUSTOM, {"a": 1}),
        (kinds.CUSTOM, [1]),
        (kinds.CUSTOM, "a\x00b"),
        (kinds.CUSTOM, float("nan")),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_words(kind: str, written: Any) -> None:
    with pytest.raises(FieldError) as refused:
        kinds.typed(kind, written, "value", ("red", "green"))
    assert refused.value.field == "value"
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("value", "read", "displayed"),
    [
        (Decimal("100000.000"), "100000", "100,000"),
        (Decimal("1E+3"), "1000", "1,000"),
        (Decimal("12.500"), "12.5", "12.5"),
        (Decimal("-0.5"), "-0.5", "-0.5"),
        (Decimal("-1234.50"), "-1234.5", "-1,234.5"),
        (date(2026, 3, 2), "2026-03-02", "2026-03-02"),
        (True, "yes", "yes"),
        (kinds.Ref(UUID(int=1), "Won"), "Won", "Won"),
        (kinds.Ref(UUID(int=1), lambda: "Won"), "Won", "Won"),
        (kinds.Ref(UUID(int=1)), str(UUID(int=1)), str(UUID(int=1))),
        ("Acme", "Acme", "Acme"),
    ],
)
def test_a_value_reads_as_text(value: Any, read: str, displayed: str) -> None:
    assert kinds.text(value) == read
    assert kinds.shown(value) == displayed


def test_a_moment_is_shown_in_the_companys_zone(berlin: None) -> None:
    moment = datetime(2026, 12, 30, 23, tzinfo=UTC)
    assert kinds.text(moment) == "2026-12-30T23:00:00+00:00"
    assert kinds.shown(moment) == "2026-12-31 00:00"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.floats() | st.dates() | st.datetimes() | st.uuids(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@given(st.sampled_from(kinds.ALL), ANYTHING)
def test_anything_is_typed_or_refused(kind: str, value: Any) -> None:
    with contextlib.suppress(FieldError):
        kinds.text(kinds.typed(kind, value, "value", ("red",)))
