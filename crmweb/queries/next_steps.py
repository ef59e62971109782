"""A deal's next step: the earliest of its open tasks, by when it is due; those without a day come last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import aliased

from crmweb.models import Activity
from crmweb.models.activity import is_to_do


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is to be done next about a deal, by whom and until when (UTC)."""

    id: UUID
    subject: str
    due_at: datetime | None
    author_id: UUID | None
    assigned_to_id: UUID | None
    assigned_to_name: str | None

    @property
    def is_audit(self) -> bool:
        """Never the note of a move: rights ask."""
        return False


def first_of(deal_id: Any) -> Any:
    """SQL: the id of a deal's next step."""
    task = aliased(Activity)
    steps = select(task.id).where(task.deal_id == deal_id, is_to_do(task))
    return steps.order_by(task.due_at.nulls_last(), task.created_at, task.id).limit(1).scalar_subquery()


def columns(step: Any, doer: Any) -> list[Any]:
    """SQL: a NextStep's fields, in order, of a joined task and the person who is to do it."""
    return [step.id, step.subject, step.due_at, step.author_id, step.assigned_to_id, doer.name]
