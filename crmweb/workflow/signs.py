"""Signs of life: what people did about deals in the past."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, select
from sqlalchemy.orm import Session

from crmweb.models import Activity
from crmweb.workflow.past import Row


def is_sign(row: Row) -> bool:
    """Whether a person's row is a sign of life: no rule's, and more than letting the deal sleep."""
    return row.round == 0 and row.field not in ("snoozed_until", "snooze_reason")


def signs_of(session: Session, ids: list[UUID]) -> dict[UUID, list[datetime]]:
    """When people wrote something about each deal, or finished a task of it."""
    at: Any = case((Activity.type == "task", Activity.completed_at), else_=Activity.created_at)
    query = select(Activity.deal_id, at.label("at")).where(
        Activity.deal_id.in_(ids), Activity.author_id.is_not(None), Activity.rule_run_id.is_(None),
        Activity.deleted_at.is_(None), at.is_not(None),
    )  # fmt: skip
    found = defaultdict[UUID, list[datetime]](list)
    for row in session.execute(query):
        found[row.deal_id].append(row.at)
    return found
