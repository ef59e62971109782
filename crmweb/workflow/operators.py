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
    """`takes`: nothing, one value, or several."""

    name: str
    words: str
    kinds: tuple[str, ...]
    takes: str
    holds: Callable[[Sight], bool]


OPERATORS: dict[str, Operator] = {}


def operator(name: str, words: str, of: tuple[str, ...] = kinds.ALL, takes: str = "one") -> Any:
    def register(holds: Callable[[Sight], bool]) -> Callable[[Sight], bool]:
        OPERATORS[name] = Operator(name, words, of, takes, holds)
        return holds

    return register


@operator("equals", "is")
def equals(sight: Sight) -> bool:
    if kinds.is_missing(sight.value):
        return kinds.is_missing(sight.now)
    return same(sight.now, sight.value)


@operator("not_equals", "is not")
def not_equals(sight: Sight) -> bool:
    return not equals(sight)


@operator("contains", "contains")
def contains(sight: Sight) -> bool:
    if kinds.is_missing(sight.now) or kinds.is_missing(sight.value):
        return False
    return kinds.text(sight.value).casefold() in kinds.text(sight.now).casefold()


@operator("greater_than", "is more than", kinds.ORDERED)
def greater_than(sight: Sight) -> bool:
    return _compare(sight.now, sight.value) > 0


@operator("less_than", "is less than", kinds.ORDERED)
def less_than(sight: Sight) -> bool:
    return _compare(sight.now, sight.value) < 0


@operator("is_empty", "is empty", takes="nothing")
def is_empty(sight: Sight) -> bool:
    return kinds.is_missing(sight.now)


@operator("is_not_empty", "is not empty", takes="nothing")
def is_not_empty(sight: Sight) -> bool:
    return not kinds.is_missing(sight.now)


@operator("one_of", "is one of", takes="several")
def one_of(sight: Sight) -> bool:
    return any(same(sight.now, value) for value in sight.value or ())


@operator("changed", "changed", takes="nothing")
def changed(sight: Sight) -> bool:
    if kinds.is_missing(sight.now) and kinds.is_missing(sight.before):
        return False
    return not same(sight.now, sight.before)


@operator("changed_to", "changed to")
def changed_to(sight: Sight) -> bool:
    return changed(sight) and equals(sight)


@operator("changed_from", "changed from")
def changed_from(sight: Sight) -> bool:
    return not sight.is_new and changed(sight) and equals(sight._replace(now=sight.before))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as their field's type compares: text whatever its case, references by id."""
    if kinds.is_missing(one) or kinds.is_missing(other):
        return False
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return type(one) is type(other) and bool(one == other)


def _compare(one: Any, other: Any) -> int:
    """-1, 0 or 1; 0 as well when the two cannot be compared."""
    if isinstance(one, str) and isinstance(other, str):
        try:
            one, other = date.fromisoformat(one[:10]), date.fromisoformat(other[:10])
        except ValueError:
            return 0
    if type(one) is not type(other) or not isinstance(one, Decimal | date):
        return 0
    return (one > other) - (one < other)
