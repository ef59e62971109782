"""Whether a rule's conditions hold: pure functions over snapshots, which try-it, backtest and *why* use unchanged.

Conditions stand in a list, all or any of which must hold; an element of it may be a group with a list of its own.
They are numbered from 0 in reading order, through the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmweb.workflow import kinds
from crmweb.workflow.operators import OPERATORS, Sight

Snapshot = Mapping[str, Any]
"""Field key → typed value, as the catalog names and types them; a missing key is a missing value."""
ALL, ANY = "all", "any"
MATCHES = (ALL, ANY)


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition: the field's key, the operator's name, the typed value."""

    field: str
    operator: str
    value: Any = None

    def holds(self, now: Snapshot, before: Snapshot | None) -> bool:
        """Whether it holds of the record `now`, which was `before` (None: not there). Never raises."""
        seen = before.get(self.field) if before is not None else None
        return OPERATORS[self.operator].holds(Sight(now.get(self.field), self.value, seen, before is None))


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all or any (`match`) must hold; an empty one holds."""

    match: str
    parts: tuple[Condition | Group, ...]


Parts = Sequence[Condition | Group]
Seen = tuple[bool, Any]
"""Whether a condition held, and the value that it saw."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the conditions hold; if not, the number of the first that failed, and the value it saw.

    `seen`, too, as text. `trace`: number → what each condition that was looked at saw.
    """

    matched: bool
    failing: int | None = None
    seen: Any = None
    trace: dict[int, Seen] = field(default_factory=dict, compare=False)

    def kept(self) -> list[list[Any] | None]:
        """The trace as the log keeps it: by number, [held, value as text] or None; empty when `seen` says it all."""
        if not self.matched and len(self.trace) < 2:
            return []
        lines: list[list[Any] | None] = [None] * (max(self.trace, default=-1) + 1)
        for number, (held, value) in self.trace.items():
            lines[number] = [int(held), kept(value)]
        return lines


def judge(
    conditions: Parts, now: Snapshot, before: Snapshot | None, fires: str = "every_time", match: str = ALL
) -> Verdict:
    """The verdict on `now`, which was `before` when the change set began (None: it was not there).

    `becomes_true` also asks that the conditions did not hold before.
    """
    look = _Look(now, before)
    failing = look.failing(match, conditions)
    if failing is not None:
        return Verdict(False, failing, kept(look.trace[failing][1]), look.trace)
    is_news = fires != "becomes_true" or before is None
    if not is_news and _Look(before, before).failing(match, conditions) is None:  # type: ignore[arg-type]
        return Verdict(False, -1, "it held before", look.trace)
    return Verdict(True, trace=look.trace)


def leaves(parts: Iterable[Condition | Group]) -> Iterator[Condition]:
    """The conditions in reading order, those in groups as well."""
    for part in parts:
        if isinstance(part, Group):
            yield from leaves(part.parts)
        else:
            yield part


def have_changed(conditions: Parts, now: Snapshot, before: Snapshot) -> bool:
    """Whether any field that the conditions read is different now."""
    return any(Condition(condition.field, "changed").holds(now, before) for condition in leaves(conditions))


def kept(value: Any) -> str | None:
    """`value` as the log keeps it."""
    return None if kinds.is_missing(value) else kinds.brief(kinds.text(value))


class _Look:
    """One look at a record: which conditions held, and what they saw. What is decided is not looked at any more."""

    def __init__(self, now: Snapshot, before: Snapshot | None) -> None:
        self._now, self._before, self._number = now, before, 0
        self.trace: dict[int, Seen] = {}

    def failing(self, match: str, parts: Parts) -> int | None:
        """The number of the first condition because of which the parts do not hold; None when they do."""
        first = None
        for place, part in enumerate(parts):
            failed = self._part(part)
            if (failed is None) == (match == ANY):
                self._number += sum(1 for _ in leaves(parts[place + 1 :]))
                return failed
            first = failed if first is None else first
        return first

    def _part(self, part: Condition | Group) -> int | None:
        if isinstance(part, Group):
            return self.failing(part.match, part.parts)
        number, held = self._number, part.holds(self._now, self._before)
        self._number += 1
        self.trace[number] = held, self._now.get(part.field)
        return None if held else number
