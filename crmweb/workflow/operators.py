"""The operators of conditions. Each is a pure function and never raises.

To add one: a function under `@operator`, with its words and the kinds of fields that it makes sense for; the editor and
the check follow from these. It gets `Sight`: the value now, the typed value it is compared with, the value before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from crmweb.workflow import kinds


class Sight(NamedTuple):
    """What an operator sees. `is_new`: there was nothing before."""

    now: Any
    value: Any
    before: Any
    is_new: bool


@dataclass(frozen=True, slots=True)
class Operator:
    """`takes`: nothing, one value, or several. `of_time`: its words for days and moments, where they are others."""

    name: str
    words: str
    kinds: tuple[str, ...]
    takes: str
    of_time: str
    holds: Holds

    def words_for(self, kind: str) -> str:
        """How the operator reads on a field of `kind`: an amount is more than, a day is after."""
        return self.of_time if kind in (kinds.DATE, kinds.MOMENT) else self.words


Holds = Callable[[Sight], bool]
OPERATORS: dict[str, Operator] = {}


def operator(
    name: str, words: str, of: tuple[str, ...] = kinds.ALL, takes: str = "one", of_time: str = ""
) -> Callable[[Holds], Holds]:
    """Register the function below as the operator `name`."""

    def register(holds: Holds) -> Holds:
        OPERATORS[name] = Operator(name, words, of, takes, of_time or words, holds)
        return holds

    return register


@operator("equals", "is")
def equals(sight: Sight) -> bool:
    """The same value; compared with nothing: there is none."""
    if kinds.is_missing(sight.value):
        return kinds.is_missing(sight.now)
    return same(sight.now, sight.value)


@operator("not_equals", "is not")
def not_equals(sight: Sight) -> bool:
    """Any other value, or none at all."""
    return not equals(sight)


@operator("contains", "contains")
def contains(sight: Sight) -> bool:
    """Its text holds the text, whatever the case."""
    if kinds.is_missing(sight.now) or kinds.is_missing(sight.value):
        return False
    return kinds.text(sight.value).casefold() in kinds.text(sight.now).casefold()


@operator("greater_than", "is more than", kinds.ORDERED, of_time="is after")
def greater_than(sight: Sight) -> bool:
    """A larger number, a later day or moment."""
    return _compare(sight.now, sight.value) > 0


@operator("less_than", "is less than", kinds.ORDERED, of_time="is before")
def less_than(sight: Sight) -> bool:
    """A smaller number, an earlier day or moment."""
    return _compare(sight.now, sight.value) < 0


@operator("is_empty", "is empty", takes="nothing")
def is_empty(sight: Sight) -> bool:
    """There is no value."""
    return kinds.is_missing(sight.now)


@operator("is_not_empty", "is not empty", takes="nothing")
def is_not_empty(sight: Sight) -> bool:
    """There is a value; zero and no are values."""
    return not kinds.is_missing(sight.now)


@operator("one_of", "is one of", takes="several")
def one_of(sight: Sight) -> bool:
    """The same as one of the values."""
    values = sight.value if isinstance(sight.value, tuple) else (sight.value,)
    return any(same(sight.now, value) for value in values)


@operator("changed", "changed", takes="nothing")
def changed(sight: Sight) -> bool:
    """Different from when the change set began."""
    if kinds.is_missing(sight.now) and kinds.is_missing(sight.before):
        return False
    return not same(sight.now, sight.before)


@operator("changed_to", "changed to")
def changed_to(sight: Sight) -> bool:
    """Different from before, and now this value."""
    return changed(sight) and equals(sight)


@operator("changed_from", "changed from")
def changed_from(sight: Sight) -> bool:
    """This value before, and now another. What is new changed from nothing."""
    return not sight.is_new and changed(sight) and equals(sight._replace(now=sight.before))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as the first one's type compares: text whatever its case, references by id."""
    if kinds.is_missing(one) or kinds.is_missing(other):
        return False
    other = _as_met(one, other)
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return type(one) is type(other) and not _is_no_number(one, other) and bool(one == other)


def _compare(one: Any, other: Any) -> int:
    """-1, 0 or 1; 0 as well when the two cannot be compared."""
    if kinds.is_missing(one) or kinds.is_missing(other):
        return 0
    other = _as_met(one, other)
    if isinstance(one, str) and isinstance(other, str):
        one, other = _day(one), _day(other)
    if type(one) is not type(other) or not isinstance(one, Decimal | date) or _is_no_number(one, other):
        return 0
    return int(one > other) - int(one < other)


def _as_met(one: Any, other: Any) -> Any:
    """`other` as the type of `one`: custom fields are typed by what they hold, so a written "7" meets a number as 7."""
    if isinstance(one, Decimal) and isinstance(other, str):
        return kinds.plain_number(other)
    if isinstance(one, bool) and isinstance(other, str):
        return kinds.yes_no(other)
    if isinstance(one, str) and isinstance(other, Decimal):
        return kinds.text(other)
    return other


def _is_no_number(*values: Any) -> bool:
    return any(isinstance(value, Decimal) and not value.is_finite() for value in values)


def _day(written: str) -> date | None:
    try:
        return date.fromisoformat(written[:10])
    except ValueError:
        return None
