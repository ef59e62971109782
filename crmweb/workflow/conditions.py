"""Whether a rule's conditions hold: pure functions over snapshots, which try-it, backtest and *why* use unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmweb.workflow import kinds
from crmweb.workflow.operators import OPERATORS, Sight

Snapshot = Mapping[str, Any]
"""Field key → typed value, as the catalog names and types them; a missing key is a missing value."""


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
class Verdict:
    """Whether all conditions hold; if not, the first that failed and the value it saw."""

    matched: bool
    failing: int | None = None
    seen: Any = None


def judge(
    conditions: Sequence[Condition], now: Snapshot, before: Snapshot | None, fires: str = "every_time"
) -> Verdict:
    """The verdict on `now`, which was `before` when the change set began (None: it was not there).

    `becomes_true` also asks that the conditions did not hold before.
    """
    for number, condition in enumerate(conditions):
        if not condition.holds(now, before):
            return Verdict(False, number, kept(now.get(condition.field)))
    if fires == "becomes_true" and before is not None and _held(conditions, before):
        return Verdict(False, -1, "it held before")
    return Verdict(True)


def have_changed(conditions: Sequence[Condition], now: Snapshot, before: Snapshot) -> bool:
    """Whether any field that the conditions read is different now."""
    return any(Condition(condition.field, "changed").holds(now, before) for condition in conditions)


def _held(conditions: Sequence[Condition], before: Snapshot) -> bool:
    return all(condition.holds(before, before) for condition in conditions)


def kept(value: Any) -> str | None:
    """`value` as the log keeps it."""
    return None if kinds.is_missing(value) else kinds.brief(kinds.text(value))
