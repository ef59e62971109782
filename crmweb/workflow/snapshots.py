"""Records as conditions see them: field key → typed value, read only when a condition asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models import Deal, Entity, Stage
from crmweb.workflow import catalog, kinds

RELATED: dict[str, type[Any]] = {"deal": Deal, "entity": Entity, "stage": Stage}


class Reader(Mapping[str, Any]):
    """A record now, or as it was, with `old`: record id → its columns that were different, as they were.

    Values are typed by the catalog.
    """

    def __init__(
        self,
        session: Session,
        record: Any,
        entity_type: str,
        old: Callable[[UUID], Mapping[str, Any]] | None = None,
    ) -> None:
        self._session, self._record, self._old = session, record, old
        self.entity_type = entity_type

    def __getitem__(self, key: str) -> Any:
        try:
            return self.value(catalog.field(self.entity_type, key))
        except FieldError as unknown:
            raise KeyError(key) from unknown

    def __iter__(self) -> Iterator[str]:
        return iter(catalog.CATALOG[self.entity_type])

    def __len__(self) -> int:
        return len(catalog.CATALOG[self.entity_type])

    def value(self, entry: catalog.Field) -> Any:
        """The field's typed value, None when missing."""
        holder = self.holder(entry)
        raw = None if holder is None else self._raw(holder, entry.column)
        if entry.kind == kinds.CUSTOM:
            return kinds.custom((raw or {}).get(catalog.custom_name(entry)))
        if raw is None:
            return None
        if entry.kind in kinds.REFERENCES:
            return kinds.Ref(raw, lambda: self._name(entry.kind, raw))
        return kinds.typed(kinds.NUMBER, raw) if entry.kind == kinds.NUMBER else raw

    def holder(self, entry: catalog.Field) -> Any:
        """The record that holds the field: this one, or the related one, or None."""
        if not entry.path:
            return self._record
        related = self._raw(self._record, f"{entry.path}_id")
        return self._session.get(RELATED[entry.path], related) if related else None

    def _raw(self, record: Any, column: str) -> Any:
        old = self._old(record.id) if self._old else {}
        return old[column] if column in old else getattr(record, column)

    def _name(self, kind: str, record_id: UUID) -> str | None:
        found = catalog.target(self._session, kind, record_id)
        return found.name if found is not None else None
