"""How money, numbers, days and names are written on pages.

Each function is pure: it takes the viewer's locale and the present day or moment. `init_app` gives templates
filters of the same names, which take those from the template's `locale`, `person` and `today` where they are
there, else from the settings and the clock. Words are English; the locale decides how figures are grouped, the
order of day and month, and the clock.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.numbers import NumberPattern, get_currency_precision, parse_pattern
from jinja2 import pass_context

from crmweb import clock as clocks
from crmweb import config

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from jinja2.runtime import Context

SYMBOLS = {"EUR": "€", "GBP": "£", "JPY": "¥", "USD": "US$", "CAD": "CA$", "AUD": "A$"}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
SPACE = "\N{NO-BREAK SPACE}"
DAY = 86_400


def money(amount: Decimal, currency: str, locale: str = "en", whole: bool = False) -> str:
    """An amount with its currency: "€1,124,500", "€12.50", "CHF 98,000". No cents when it has none, or `whole`."""
    return _money(amount, currency, locale, whole)


@lru_cache(maxsize=8192)
def number(value: Decimal | float, locale: str = "en") -> str:
    """A plain number, grouped, with at most three decimals: "1,124.5"."""
    return str(_pattern(locale, "decimal", 0).apply(Decimal(str(value)), _locale(locale)))


@lru_cache(maxsize=1024)
def percent(value: Decimal | float, locale: str = "en") -> str:
    """A share of 100 as a whole number: "25%"."""
    whole = Decimal(str(value)).quantize(Decimal(1), ROUND_HALF_UP)
    return str(_pattern(locale, "percent", 0).apply(whole / 100, _locale(locale)))


def day(value: date, today: date, locale: str = "en") -> str:
    """A day as people say it: "today", "tomorrow", "Mon", "12 Dec", "12 Dec 2027"."""
    ahead = (value - today).days
    if 0 <= ahead <= 6:
        return ("today", "tomorrow")[ahead] if ahead < 2 else WEEKDAYS[value.weekday()][:3]
    near = value.year == today.year or _within_months(value, today, 6)
    return _day_and_month(value, locale, year=not near)


def month(value: date, today: date) -> str:
    """A month in short: "Nov", of another year "Nov 2025"."""
    return MONTHS[value.month - 1][:3] + (f" {value.year}" if value.year != today.year else "")


def full_day(value: date, locale: str = "en") -> str:
    """A day in full, for titles: "Saturday 12 December 2026"."""
    written = _day_and_month(value, locale, year=True, short=False)
    return f"{WEEKDAYS[value.weekday()]}{',' if _month_first(locale) else ''} {written}"


def day_heading(value: date, today: date, locale: str = "en") -> str:
    """A day over a list of what happened on it: "Today", "Yesterday", "Tue 17 Nov"."""
    if value in (today, today - timedelta(days=1)):
        return "Today" if value == today else "Yesterday"
    return f"{WEEKDAYS[value.weekday()][:3]} {_day_and_month(value, locale, year=value.year != today.year)}"


def time(moment: datetime, zone: str, locale: str = "en") -> str:
    """The clock in the viewer's zone: "09:14", or "9:14 AM" where people write it so."""
    local = moment.astimezone(ZoneInfo(zone))
    if not _twelve_hours(locale):
        return f"{local:%H:%M}"
    return f"{local.hour % 12 or 12}:{local:%M}{SPACE}{'AM' if local.hour < 12 else 'PM'}"


def stamp(moment: datetime, now: datetime, zone: str, locale: str = "en") -> str:
    """When something happened: "09:14" today, "Tue 09:14" within 6 days, "12 Nov 09:14", "12 Nov 2025"."""
    here = ZoneInfo(zone)
    then, today = moment.astimezone(here).date(), now.astimezone(here).date()
    at = time(moment, zone, locale)
    if then == today:
        return at
    if 0 < (today - then).days <= 6:
        return f"{WEEKDAYS[then.weekday()][:3]} {at}"
    if then.year == today.year:
        return f"{_day_and_month(then, locale)} {at}"
    return _day_and_month(then, locale, year=True)


def full_time(moment: datetime, zone: str, locale: str = "en") -> str:
    """A moment in full, for titles: "Tuesday 17 November 2026, 09:14 (Europe/Berlin)"."""
    day_there = moment.astimezone(ZoneInfo(zone)).date()
    return f"{full_day(day_there, locale)}, {time(moment, zone, locale)} ({zone})"


def ago(moment: datetime, now: datetime, zone: str, locale: str = "en") -> str:
    """When, inside a sentence: "10 s ago" under a minute, "at 09:20", "on Tue 09:20", "on 12 Nov 2025"."""
    seconds = int((now - moment).total_seconds())
    if seconds < 60:
        return f"{max(seconds, 1)} s ago"
    here = ZoneInfo(zone)
    same_day = moment.astimezone(here).date() == now.astimezone(here).date()
    return f"{'at' if same_day else 'on'} {stamp(moment, now, zone, locale)}"


def span(seconds: float) -> str:
    """How long: "4 d", under a day "3 h", under an hour "12 min"."""
    if seconds >= DAY:
        return f"{int(seconds // DAY)} d"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 60)} min" if seconds >= 60 else "under a minute"


def days_since(moment: datetime, today: date, zone: str) -> int:
    """Whole calendar days, in the zone, from a moment to `today`; never below 0."""
    return max((today - moment.astimezone(ZoneInfo(zone)).date()).days, 0)


def late(value: date, today: date) -> str:
    """How late a day is: "2 d late"; empty when it is not."""
    return f"{(today - value).days} d late" if value < today else ""


def initials(name: str) -> str:
    """The letters on a person's disc: "Lucía Fernández-Ortega" is LF, "Madonna" is MA."""
    words = [word for word in ("".join(filter(str.isalnum, part)) for part in name.split()) if word]
    if not words:
        return "?"
    letters = words[0][0] + words[-1][0] if len(words) > 1 else words[0][:2]
    return "".join(letter.upper()[0] for letter in letters)


@lru_cache(maxsize=8192)
def _money(amount: Decimal, currency: str, locale: str, whole: bool) -> str:
    digits = 0 if whole else get_currency_precision(currency)
    rounded = amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    if rounded == rounded.to_integral_value():
        digits = 0
    text = str(_pattern(locale, "currency", digits).apply(rounded, _locale(locale), currency_digits=False))
    symbol = SYMBOLS.get(currency, currency)
    before = text.partition("¤")[2][:1].isdigit() and symbol[-1].isalpha()
    return text.replace("¤", symbol + SPACE if before else symbol).replace(" ", SPACE)


@lru_cache
def _locale(tag: str) -> Locale:
    """What Babel knows of a locale. Plain English writes like Britain: "12 Dec", "09:14"."""
    try:
        return Locale.parse("en_GB" if tag == "en" else tag.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale.parse("en_GB")


@lru_cache
def _pattern(tag: str, kind: str, digits: int) -> NumberPattern:
    """The parsed pattern of "currency" (with `digits` decimals), "decimal" or "percent"."""
    locale = _locale(tag)
    if kind != "currency":
        found: NumberPattern = (locale.decimal_formats if kind == "decimal" else locale.percent_formats)[None]
        return found
    written = locale.currency_formats["standard"].pattern
    return parse_pattern(written.replace("0.00", "0." + "0" * digits if digits else "0"))


@lru_cache
def _twelve_hours(tag: str) -> bool:
    return "a" in _locale(tag).time_formats["short"].pattern


@lru_cache
def _month_first(tag: str) -> bool:
    written = _locale(tag).date_formats["medium"].pattern
    return _locale(tag).language == "en" and written.index("M") < written.index("d")


def _day_and_month(value: date, locale: str, year: bool = False, short: bool = True) -> str:
    month = MONTHS[value.month - 1][: 3 if short else None]
    if _month_first(locale):
        return f"{month} {value.day}{f', {value.year}' if year else ''}"
    return f"{value.day} {month}{f' {value.year}' if year else ''}"


def _within_months(value: date, today: date, months: int) -> bool:
    """Whether a day lies ahead, by at most so many months."""
    ahead = (value.year - today.year) * 12 + value.month - today.month
    return value > today and (ahead < months or (ahead == months and value.day <= today.day))


def init_app(app: Flask) -> None:
    """Give templates the filters, and `has_page(endpoint)`: whether this app has that page."""
    needs: dict[Callable[..., Any], tuple[str, ...]] = {
        money: ("locale",), number: ("locale",), percent: ("locale",),
        day: ("today", "locale"), full_day: ("locale",), day_heading: ("today", "locale"), late: ("today",),
        time: ("zone", "locale"), stamp: ("now", "zone", "locale"), full_time: ("zone", "locale"),
        ago: ("now", "zone", "locale"), days_since: ("today", "company_zone"),
        month: ("today",), span: (), initials: (),
    }  # fmt: skip
    for function, wanted in needs.items():
        app.add_template_filter(_with_context(function, wanted) if wanted else function, function.__name__)
    app.add_template_global(lambda endpoint: endpoint in app.view_functions, "has_page")


def _with_context(function: Callable[..., Any], wanted: tuple[str, ...]) -> Callable[..., Any]:
    parameters = tuple("zone" if name == "company_zone" else name for name in wanted)

    @pass_context
    @wraps(function)
    def apply(context: Context, value: Any, *values: Any, **given: Any) -> Any:
        for name, parameter in zip(wanted, parameters, strict=True):
            given.setdefault(parameter, PRESENT[name](context))
        if isinstance(value, datetime) and "today" in wanted and function is not days_since:
            value = value.astimezone(ZoneInfo(config.settings.timezone)).date()
        return function(value, *values, **given)

    return apply


PRESENT: dict[str, Callable[[Context], Any]] = {
    "locale": lambda context: (
        context.get("locale") or _of_person(context, "locale") or config.settings.locale
    ),
    "zone": lambda context: _of_person(context, "timezone") or config.settings.timezone,
    "company_zone": lambda _: config.settings.timezone,
    "today": lambda context: context.get("today") or clocks.today(),
    "now": lambda context: context.get("now") or clocks.now().astimezone(UTC),
}


def _of_person(context: Context, field: str) -> Any:
    return getattr(context.get("person"), field, None)
