"""What a change set did to each record, all in all: the first value before it and the last one after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb.ledger import WHOLE
from crmweb.models import Activity, Change, Deal, Entity, Record
from crmweb.models.activity import AUDIT
from crmweb.models.snapshot import decode, encode, is_same

UNDOABLE: dict[str, type[Record]] = {"Deal": Deal, "Entity": Entity, "Activity": Activity}


@dataclass
class Net:
    """One record in a change set; `kind` names its class.

    `was_there`, `is_there`: before and after the set; None: it neither made nor deleted the record. `fields` are
    (before, after) as JSON primitives, without what came back to what it was. `is_by_rule`: only rules touched it.
    """

    kind: str
    id: UUID
    was_there: bool | None = None
    is_there: bool | None = None
    is_by_rule: bool = True
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def comes(self) -> bool:
        """Whether the set made the record, or brought it back."""
        return self.was_there is False and self.is_there is True

    @property
    def goes(self) -> bool:
        """Whether the set deleted the record."""
        return self.was_there is True and self.is_there is False

    @property
    def model(self) -> type[Record]:
        """The record's class."""
        return UNDOABLE[self.kind]

    def before(self) -> dict[str, Any]:
        """The fields as they were before, typed."""
        return {name: decode(self.model, name, old) for name, (old, _) in self.fields.items()}

    def stands(self, record: Record) -> bool:
        """Whether the record still is as the set left it, in the fields that the set changed."""
        if (self.comes or self.goes) and self.is_there is not (record.deleted_at is None):  # type: ignore[attr-defined]
            return False
        return all(is_same(encode(getattr(record, name)), new) for name, (_, new) in self.fields.items())


def of(session: Session, change_set_id: UUID) -> list[Net]:
    """The records that the change set changed, in the order in which it met them; no audit notes, which stay."""
    rows = session.scalars(
        select(Change).where(Change.change_set_id == change_set_id).order_by(Change.sequence)
    )
    return [net for net in _add_up(rows) if net.comes or net.goes or net.fields]


def _add_up(rows: Iterable[Change]) -> list[Net]:
    nets: dict[UUID, Net] = {}
    for row in rows:
        if row.field == WHOLE and row.record_type == "Activity" and (row.new or row.old)["kind"] == AUDIT:
            continue
        net = nets.setdefault(row.record_id, Net(row.record_type, row.record_id))
        net.is_by_rule = net.is_by_rule and row.rule_run_id is not None
        if row.field == WHOLE:
            net.was_there = row.old is not None if net.was_there is None else net.was_there
            net.is_there = row.new is not None
        else:
            net.fields[row.field] = (net.fields.get(row.field, (row.old,))[0], row.new)
    for net in nets.values():
        net.fields = {name: both for name, both in net.fields.items() if not is_same(*both)}
        if net.was_there is False and net.is_there is False:
            net.fields = {}
    return list(nets.values())
