"""Records as they were: a record's changes, and those of what it belongs to, undone from the present backwards.

The present state and the recorded changes are all that is needed; nothing is written and no rule is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from crmweb.ledger import WHOLE
from crmweb.workflow import catalog, kinds

State = dict[str, Any]
"""A record's tracked fields as the history keeps them: JSON primitives. One that is not there has a `deleted_at`."""
NOT_THERE = "not there"
AFTER = -1
"""The round of what is set once the rules are done."""


class Row(NamedTuple):
    """A Change. `run` is the rule's run that made it, None for a person's own change."""

    change_set: UUID
    sequence: int
    record: UUID
    field: str
    old: Any
    new: Any
    round: int
    run: UUID | None = None


class States:
    """Several records at once, going back in time row by row."""

    def __init__(self, present: Mapping[UUID, State | None]) -> None:
        self._states: dict[UUID, State | None] = {
            key: dict(state) if state is not None else None for key, state in present.items()
        }

    def undo(self, row: Row) -> None:
        """Go back to before the row."""
        state = self._states.get(row.record)
        if row.field == WHOLE:
            # What is not tracked, such as the version, is in no snapshot, but in the state that it comes from.
            gone = NOT_THERE if row.old is None else None
            self._states[row.record] = {**(state or {}), **(row.old or {}), "deleted_at": gone}
        elif state is not None:
            self._states[row.record] = {**state, row.field: row.old}

    def rejuvenate(self, record: UUID) -> None:
        """One version back: a deal's rises with each change set of its own, and is not among the changes."""
        state = self._states.get(record)
        if state is not None and "version" in state:
            self._states[record] = {**state, "version": state["version"] - 1}

    def get(self, record: UUID) -> State | None:
        """The record's state now, wherever in time that is."""
        return self._states.get(record)

    def has(self, record: UUID) -> bool:
        """Whether the record is there now."""
        state = self._states.get(record)
        return state is not None and not state.get("deleted_at")

    def copy(self) -> States:
        """The same moment, to look at while the other goes on."""
        other = States({})
        other._states = dict(self._states)  # states themselves are replaced, never changed
        return other


class Moment(Mapping[str, Any]):
    """A record at a moment as conditions see it: field key → typed value, like `snapshots.Reader` of the present."""

    def __init__(
        self, states: States, record: UUID, entity_type: str, name: Callable[[str, UUID], str | None]
    ) -> None:
        self._states, self._record, self._entity_type, self._name = states, record, entity_type, name

    def __getitem__(self, key: str) -> Any:
        entry = catalog.field(self._entity_type, key)
        holder = self._holder(entry)
        raw = None if holder is None else holder.get(entry.column)
        if entry.kind == kinds.CUSTOM:
            return kinds.custom((raw or {}).get(catalog.custom_name(entry)))
        if raw is None or entry.kind in (kinds.TEXT, kinds.CHOICE):
            return raw
        if entry.kind in kinds.REFERENCES:
            key_ = raw if isinstance(raw, UUID) else UUID(raw)
            return kinds.Ref(key_, lambda: self._name(entry.kind, key_))
        return kinds.typed(entry.kind, raw, key, entry.choices)

    def __iter__(self) -> Iterator[str]:
        return iter(catalog.CATALOG[self._entity_type])

    def __len__(self) -> int:
        return len(catalog.CATALOG[self._entity_type])

    def _holder(self, entry: catalog.Field) -> State | None:
        own = self._states.get(self._record)
        if not entry.path or own is None:
            return own
        related = own.get(f"{entry.path}_id")
        return self._states.get(related if isinstance(related, UUID) else UUID(related)) if related else None


def by_change_set(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """The rows (newest first) in their change sets, each in the order in which it happened; newest set first.

    What is set after the rules makes a set of its own.
    """
    together: list[Row] = []
    for row in rows:
        if together and _set_of(together[0]) != _set_of(row):
            yield together[::-1]
            together = []
        together.append(row)
    if together:
        yield together[::-1]


def _set_of(row: Row) -> tuple[UUID, bool]:
    return row.change_set, row.round == AFTER
