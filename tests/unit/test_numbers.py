"""Numbers as people type them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmweb.forms.numbers import read_number, write_number

LOCALES = ("en", "en_US", "de", "fr", "de_CH", "pl", "sv", "es", "en_IN", "ar", "nowhere")


@pytest.mark.parametrize(
    ("text", "locale", "value"),
    [
        ("50000", "en", "50000"),
        ("50,000.00", "en", "50000.00"),
        ("50 000,5", "fr", "50000.5"),
        ("12,5", "en", "12.5"),
        ("50\u202f000", "fr", "50000"),
        ("50.000,00", "en", "50000.00"),
        ("1.234.567", "en", "1234567"),
        ("50.000", "de", "50000"),
        ("50,000", "en", "50000"),
        ("1'000.50", "de_CH", "1000.50"),
        ("1,00,000", "en_IN", "100000"),
        (".5", "en", "0.5"),
        ("0.505", "en", "0.505"),
        ("1234.567", "en", "1234.567"),
        ("€ 50", "en", "50"),
        ("US$ 50", "en", None),
        ("−5", "en", "-5"),
        ("-5", "en", "-5"),
        ("  7 ", "en", "7"),
        ("٥٠", "ar", "50"),
    ],
)
def test_a_number_is_read_as_it_is_written_somewhere(text: str, locale: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="is not a number"):
            read_number(text, locale)
    else:
        assert read_number(text, locale) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", ".", ",", "-", "1e400", "NaN", "inf", "5k", "lots", "1,2,3", "1.2.3", "--5", "5-", "1" * 41, "0x10"],
)
def test_what_is_no_number_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number\. Write it like 50,000"):
        read_number(text)


@pytest.mark.parametrize(("text", "locale"), [("50.000", "en"), ("1.234", "en"), ("50,000", "de")])
def test_what_could_be_a_thousand_or_one_is_asked_back(text: str, locale: str) -> None:
    with pytest.raises(ValueError, match="can be read in two ways") as asked:
        read_number(text, locale)
    ways = str(asked.value).partition("Write ")[2].rstrip(".").split(" or ")
    assert len({read_number(way, locale) for way in ways}) == 2, "both ways offered can be read"


@given(
    st.decimals(min_value=0, max_value=10**12, places=3).map(lambda value: value.normalize()),
    st.sampled_from(LOCALES),
)
def test_what_a_form_shows_reads_back_as_the_same(value: Decimal, locale: str) -> None:
    assert read_number(write_number(value, locale), locale) == value


@given(st.text(max_size=60), st.sampled_from(LOCALES))
def test_any_text_is_a_number_or_is_refused_in_words(text: str, locale: str) -> None:
    try:
        said = str(read_number(text, locale).is_finite())
    except ValueError as refused:
        said = str(refused)
    assert said == "True" or said.startswith("“")
