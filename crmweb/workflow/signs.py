"""Signs of life: when people did something about deals, told from the history as `noting` counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from crmweb.ledger import WHOLE
from crmweb.models import Activity, Change, ChangeSet, Deal
from crmweb.models.activity import AUDIT
from crmweb.noting import SNOOZE


def signs_of(session: Session, ids: Sequence[UUID]) -> dict[UUID, set[datetime]]:
    """All times (UTC) at which people did something about each deal, however long ago."""
    found = defaultdict[UUID, set[datetime]](set)
    own = _persons(Change.record_id, Change.record_id.in_(ids), Change.field.not_in(SNOOZE))
    for deal_id, at, *_ in session.execute(own):
        found[deal_id].add(at)
    is_told = Change.field.in_((WHOLE, "completed_at")) & Change.new.is_not(None)
    entries = _persons(Activity.deal_id, Activity.deal_id.in_(ids), is_told)
    for deal_id, at, field, new in session.execute(entries.join(Activity, Activity.id == Change.record_id)):
        if field != WHOLE or _is_act(new):
            found[deal_id].add(at)
    # What has no history, such as generated deals, keeps the last one.
    for deal_id, at in session.execute(select(Deal.id, Deal.last_human_activity_at).where(Deal.id.in_(ids))):
        if at is not None:
            found[deal_id].add(at)
    return found


def _persons(deal_id: Any, *where: ColumnElement[bool]) -> Select[Any]:
    """The changes that people themselves made."""
    query = select(deal_id, ChangeSet.at, Change.field, Change.new)
    return query.join(ChangeSet, ChangeSet.id == Change.change_set_id).where(
        ChangeSet.by_user_id.is_not(None), ChangeSet.cause.in_(("person", "api")), Change.rule_run_id.is_(None), *where
    )  # fmt: skip


def _is_act(entry: dict[str, Any]) -> bool:
    """To plan is not to act: a task counts once it is done."""
    return entry["kind"] != AUDIT and (entry["type"] != "task" or bool(entry["completed_at"]))
