"""What the database says of people's records, to compare one moment with another."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Deal,
    Entity,
    Notification,
    Pipeline,
    Stage,
    StageTotal,
    User,
    WorkflowRule,
)

NEVER_COMPARED = {"updated_at", "version", "position", "board_version", "last_human_activity_at"}
KEPT = (Pipeline, Stage, User, Entity, Deal, Activity, Notification, WorkflowRule)

State = dict[str, dict[Any, dict[str, Any]]]


def look() -> State:
    """Table → key → row, without what an undo may leave otherwise; totals without those of nothing."""
    db.session.rollback()
    state: State = {}
    for model in KEPT:
        table: Any = model.__table__
        with db.engine.connect() as connection:
            rows = connection.execute(select(table)).mappings().all()
        state[table.name] = {
            row["id"]: {name: value for name, value in row.items() if name not in NEVER_COMPARED}
            for row in rows
        }
    totals = StageTotal.__table__
    with db.engine.connect() as connection:
        found = connection.execute(select(totals)).mappings().all()
    state["stage_totals"] = {
        (row["stage_id"], row["owner_id"], row["currency"]): dict(row)
        for row in found
        if row["deal_count"] or row["amount_sum"]
    }
    return state


def in_sight(state: State) -> State:
    """The rows that people see: what is deleted or withdrawn is as if it were not there; audit notes are history."""
    return {
        table: {
            key: row
            for key, row in rows.items()
            if row.get("deleted_at") is None
            and row.get("withdrawn_at") is None
            and row.get("kind") != "audit"
        }
        for table, rows in state.items()
    }


def expect_exactly(before: State, after: State) -> None:
    """AssertionError unless every row of `before` is the same in `after`, and all others are out of sight."""
    for table, rows in before.items():
        for key, row in rows.items():
            assert after[table].get(key) == row, f"{table} {key}: {_differences(row, after[table].get(key))}"
    shown = in_sight(after)
    more = {
        table: [row for key, row in shown[table].items() if key not in rows] for table, rows in before.items()
    }
    assert not any(more.values()), f"still there: {more}"


def _differences(old: dict[str, Any], new: dict[str, Any] | None) -> Any:
    if new is None:
        return "is gone"
    return {name: (value, new[name]) for name, value in old.items() if new[name] != value}
