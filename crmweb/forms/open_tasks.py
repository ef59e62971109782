"""The tasks that are open from before a deal was won or lost: those that a person may finish, and finishing them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, literal, select
from sqlalchemy.orm import Session

from crmweb import rights
from crmweb.forms.activities import finish
from crmweb.models import Activity, Deal
from crmweb.models.user import Author

MOST = 100
"""How many are looked at, the earliest first."""


def listed(session: Session, deal: Any, person: Author) -> list[Any]:
    """The open tasks of `deal` (a record or a row) that the person may finish: id, subject, due_at (UTC or None)."""
    columns: Any = (
        Activity.id,
        Activity.subject,
        Activity.due_at,
        Activity.author_id,
        Activity.assigned_to_id,
    )
    rows: Any = session.execute(_open(select(*columns, literal(value=False).label("is_audit")), deal))
    return [row for row in rows if rights.may_finish_task(person, row)]


def complete(session: Session, deal: Deal, person: Author) -> int:
    """Tick off the open tasks of the locked `deal` that the person may finish; answers how many."""
    locked = _open(select(Activity), deal).with_for_update().execution_options(populate_existing=True)
    tasks = [task for task in session.scalars(locked) if rights.may_finish_task(person, task)]
    for task in tasks:
        finish(task, True)
    return len(tasks)


def _open(query: Select[Any], deal: Any) -> Select[Any]:
    is_open = [Activity.type == "task", Activity.completed_at.is_(None), Activity.deleted_at.is_(None)]
    if deal.status != "open":
        # What was added since, by a rule say, follows from winning or losing.
        is_open.append(Activity.created_at < deal.stage_entered_at)
    return (
        query.where(Activity.deal_id == deal.id, *is_open).order_by(Activity.due_at, Activity.id).limit(MOST)
    )
