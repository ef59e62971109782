"""When the next steps of deals were due, told from their tasks: `Deal.next_due_at` follows them and has no history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from crmweb.workflow.past import AFTER, Row, State, States, by_change_set

FIELD = "next_due_at"


def rows_of(tasks: Mapping[UUID, State], rows: Iterable[Row]) -> dict[UUID, list[Row]]:
    """Deal → the changes of its FIELD, each behind its change set. `tasks` are as now, `rows` theirs, newest first."""
    states, homes = States(tasks), {key: UUID(task["deal_id"]) for key, task in tasks.items()}
    of, found = defaultdict[UUID, list[UUID]](list), defaultdict[UUID, list[Row]](list)
    for key, deal in homes.items():
        of[deal].append(key)
    for together in by_change_set(rows):
        after = {deal: _due(states, of[deal]) for deal in {homes[row.record] for row in together}}
        for row in reversed(together):
            states.undo(row)
        for deal, new in after.items():
            if (old := _due(states, of[deal])) != new:
                found[deal].append(Row(together[0].change_set, 0, deal, FIELD, old, new, AFTER))
    return found


def _due(states: States, tasks: Iterable[UUID]) -> str | None:
    """When the earliest of the tasks that are open now is due."""
    there = (states.get(task) or {} for task in tasks if states.has(task))
    open_ = (task for task in there if task["type"] == "task" and not task["completed_at"] and task["due_at"])
    first = min((datetime.fromisoformat(task["due_at"]) for task in open_), default=None)
    return None if first is None else first.astimezone(UTC).isoformat()
