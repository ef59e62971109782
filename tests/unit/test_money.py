"""Amounts of money: thousandths, decimal, never a float; what is none is refused in words."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from crmweb.errors import FieldError
from crmweb.models.types import MOST_MONEY, Thousandths, as_money

DIALECT = sqlite.dialect()


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (50000.0, "50000.000"),
        (0.1, "0.100"),
        (1234.565, "1234.565"),
        (0, "0.000"),
        ("70000", "70000.000"),
        (" 12.5 ", "12.500"),
        ("1e3", "1000.000"),
        (Decimal("0.0005"), "0.000"),
        (Decimal("0.0015"), "0.002"),
        (10**12, "1000000000000.000"),
        ("999999999999.9999", "1000000000000.000"),
        (1e-300, "0.000"),
    ],
)
def test_an_amount_is_taken_in_thousandths(written: Any, amount: str) -> None:
    """D6: money as a float loses cents; a float is taken through its shortest text."""
    assert str(as_money(written)) == amount


def test_no_amount_is_no_amount() -> None:
    assert as_money(None) is None


def test_minus_nothing_is_nothing() -> None:
    assert str(as_money("-0")) == str(as_money(-0.0)) == "0.000"


@pytest.mark.parametrize(
    "written",
    [
        math.inf, -math.inf, math.nan, "Infinity", "-Infinity", "NaN", "sNaN", "-0.001", -1, "1e400", "1e999999999",
        10**13, "1000000000000.001", "banana", "", "12,5", "1 000", "1_000", True, False, [], {}, b"5",
        pytest.param(10**5000, id="huge"), pytest.param("9" * 5000, id="long"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_by_its_field(written: Any) -> None:
    """D6: the documents' own implementation accepted `inf`."""
    with pytest.raises(FieldError) as refused:
        as_money(written)
    assert refused.value.field == "amount"
    assert refused.value.message


@given(st.decimals(min_value=0, max_value=MOST_MONEY, places=3))
def test_an_amount_comes_back_from_the_database_as_it_went(amount: Decimal) -> None:
    kind = Thousandths()
    stored = kind.process_bind_param(as_money(amount), DIALECT)
    assert isinstance(stored, int)
    assert kind.process_result_value(stored, DIALECT) == amount


@given(st.floats(min_value=0, max_value=1e12))
def test_a_float_is_off_by_less_than_a_thousandth(amount: float) -> None:
    taken = as_money(amount)
    assert taken is not None
    assert abs(taken - Decimal(str(amount))) <= Decimal("0.0005")
