"""Currencies: ISO 4217, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from crmweb.errors import FieldError
from crmweb.models.currency import CURRENCIES, as_currency


@pytest.mark.parametrize(
    ("written", "code"), [("USD", "USD"), ("eur", "EUR"), (" jpy ", "JPY"), ("Kwd", "KWD")]
)
def test_a_code_is_taken_whatever_its_case(written: str, code: str) -> None:
    assert as_currency(written) == code


@pytest.mark.parametrize(
    "written", ["banana", "", "US", "USDX", "DEM", "€", None, 840, ["USD"], {"code": "USD"}]
)
def test_anything_else_is_refused_by_its_field(written: Any) -> None:
    """D7: the documents' own implementation accepted any text."""
    with pytest.raises(FieldError, match="USD or EUR") as refused:
        as_currency(written)
    assert refused.value.field == "currency"


def test_the_list_is_of_codes() -> None:
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert len(CURRENCIES) > 140
