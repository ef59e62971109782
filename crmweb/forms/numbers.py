"""Numbers as people type them, in both of the world's habits, and written so that they read back as the same."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.numbers import format_decimal

IGNORED = re.compile(r"[\s’'€$£¥]")
LONGEST = 40


def read_number(text: str, locale: str = "en") -> Decimal:
    """The number in `text`: "50,000.00", "50 000", "50.000,00", "12,5".

    Where point and comma could mean either, the locale decides; but not between a thousand and one: what would be a
    decimal point before just three digits is asked back. ValueError in words, also when it is no number.
    """
    point, comma = _signs(locale)
    written = IGNORED.sub("", text).replace("\N{MINUS SIGN}", "-")
    usual, other = _number(written, point, comma), _number(written, comma, point)
    shown = text.strip()[:LONGEST]
    if len(written) > LONGEST or (usual is None and other is None):
        raise ValueError(f"“{shown}” is not a number. Write it like {write_number(Decimal(50_000), locale)}.")
    if usual is None or other is None or usual == other or point not in written:
        return other if usual is None else usual  # type: ignore[return-value]
    raise ValueError(
        f"“{shown}” can be read in two ways. Write {write_number(usual, locale)} or {_plain(other)}."
    )


def write_number(value: Decimal, locale: str = "en") -> str:
    """`value` grouped as the locale does, with all its decimals; two at least when it has any."""
    exact = _plain(value)
    digits = len(exact.partition(".")[2])
    # Just three decimals would look like thousands to half of the world.
    shown = {0: 0, 1: 2, 3: 4}.get(digits, digits)
    return format_decimal(value, f"#,##0.{'0' * shown}" if shown else "#,##0", locale=_locale(locale))


def _number(text: str, point: str, comma: str) -> Decimal | None:
    whole = rf"[1-9]\d{{0,2}}(?:{re.escape(comma)}\d{{2,3}})*{re.escape(comma)}\d{{3}}|\d+"
    if not re.fullmatch(rf"-?(?:{whole})?(?:{re.escape(point)}\d+)?", text) or not re.search(r"\d", text):
        return None
    return Decimal(text.replace(comma, "").replace(point, "."))


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


@lru_cache
def _locale(tag: str) -> Locale:
    try:
        return Locale.parse(tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def _signs(locale: str) -> tuple[str, str]:
    """The locale's decimal sign, and the other one, which can only stand between thousands."""
    symbols = _locale(locale).number_symbols
    return (",", ".") if symbols.get("latn", {}).get("decimal") == "," else (".", ",")
