"""Why a rule acted or not, from what the log kept and the rule as it was then: pure functions over definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

from crmweb.errors import FieldError
from crmweb.workflow import catalog, kinds
from crmweb.workflow.conditions import ALL
from crmweb.workflow.explain import compared
from crmweb.workflow.naming import Definition, field_of
from crmweb.workflow.operators import OPERATORS
from crmweb.workflow.parts import is_group
from crmweb.workflow.phrases import Part, Values

HELD_BEFORE = -1


@dataclass(frozen=True, slots=True)
class Line:
    """A condition. `met`: None when it was not looked at; `seen`: the value it saw, in words, "" when that is not kept.

    `group`: "" outside of groups, else all or any; `is_first` of its group.
    """

    words: list[Part]
    met: bool | None
    seen: str
    group: str = ""
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What the log keeps of a rule's look at a record; see `rounds.World.looked`."""

    rule_id: str
    version: int
    acts: bool
    failing: int | None
    seen: Any
    trace: Sequence[list[Any] | None] = ()

    @classmethod
    def of(cls, line: Sequence[Any]) -> Look:
        """The look of a line in the log; older lines lack the trace."""
        rule_id, version, acts, failing, seen, *more = line
        return cls(str(rule_id), version, acts, failing, seen, more[0] if more else ())

    @property
    def bound(self) -> str:
        """Why it did not act although its conditions held; empty when it acted, or they did not hold."""
        if self.acts or (self.failing is not None and self.failing != HELD_BEFORE):
            return ""
        return (
            "It was so before, and acts only when it becomes so."
            if self.failing == HELD_BEFORE
            else str(self.seen)
        )


def lines(definition: Definition, look: Look, values: Values) -> list[Line]:
    """Each condition of the rule, with what the look saw."""
    found = []
    for (condition, group, is_first), state in zip(_in_order(definition), _states(look), strict=False):
        seen = _seen(condition, definition, state.seen, values) if state.is_kept else ""
        found.append(Line(_words(condition, definition, values), state.met, seen, group, is_first))
    return found


def _in_order(definition: Definition) -> Iterator[tuple[Definition, str, bool]]:
    for part in definition.get("conditions") or ():
        if is_group(part):
            for number, condition in enumerate(part["conditions"]):
                yield condition, part.get("match") or ALL, number == 0
        else:
            yield part, "", False


class _State(NamedTuple):
    """What is known of a condition: whether it was met, and if `is_kept` the value that it saw."""

    met: bool | None = None
    seen: Any = None
    is_kept: bool = False


def _states(look: Look) -> Iterator[_State]:
    """The state of each condition, by number."""
    for number in count():
        kept = look.trace[number] if number < len(look.trace) else None
        if look.trace:
            yield _State(bool(kept[0]), kept[1], is_kept=True) if kept else _State()
        elif look.failing in (None, HELD_BEFORE) or number < (look.failing or 0):
            yield _State(met=True)
        else:
            yield _State(met=False, seen=look.seen, is_kept=True) if number == look.failing else _State()


def _words(condition: Definition, definition: Definition, values: Values) -> list[Part]:
    entry, operator = (
        field_of(definition, condition.get("field")),
        OPERATORS.get(str(condition.get("operator"))),
    )
    if entry is None or operator is None:
        return [Part(kinds.brief(condition.get("field")))]
    parts = compared(entry, operator, condition.get("value"), values)
    first = parts[0].text
    return [Part(first[:1].upper() + first[1:]), *parts[1:]]


def _seen(condition: Definition, definition: Definition, kept: Any, values: Values) -> str:
    """The kept text as a person writes such a value."""
    entry = field_of(definition, condition.get("field"))
    if entry is None or kept is None:
        return "empty"
    if entry.kind == kinds.CHOICE:
        return catalog.choice_words(str(kept))
    if entry.kind in kinds.REFERENCES or entry.kind in (kinds.TEXT, kinds.CUSTOM):
        return str(kept)
    try:
        return values.word(entry, kinds.typed(entry.kind, kept))
    except FieldError:
        return str(kept)
