"""What is done when nobody asks: rules meet what time brings about, e-mails are sent, what is over is removed.

To add a task: a function that does a piece of it in one `changes.commit` and answers how many rows that were, and its
line in `TASKS`. Two workers side by side are harmless: each takes rows that the other does not hold.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, case, delete, or_, select, tuple_
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, deliver, models, throttles, ticks
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Delivery, Entity, MoveKey, PasswordLink, RuleLook, RuleRun, Throttle
from crmweb.models.history import did_not_act
from crmweb.models.workflow_rule import ENTITY_TYPES

log = logging.getLogger("crmweb.worker")
PIECE = 500
"""Most rows that a task takes up at once."""
STEP = 100
"""Most rows that are removed in one transaction: with a deal goes all that hangs on it, and moves wait for it."""
PAUSE = 60.0
"""Seconds between two looks."""
TURN = 10.0
"""Seconds after which a task lets the others have their turn, so that no e-mail waits for half a million meetings."""
MOVE_KEYS_LAST = timedelta(days=7)


class Task(NamedTuple):
    """Something to do again and again: `piece` does a part of it and answers how many rows, 0 when all is done."""

    name: str
    piece: Callable[[], int]
    every: timedelta


def run(stop: Event) -> None:
    """Do what is due, then look again, until `stop` is set; what fails is logged and tried again.

    A task that has more to do than fits into its turn goes on when the others had theirs.
    """
    due = {task.name: 0.0 for task in TASKS}
    log.info("looking for work every %.0f seconds", PAUSE)
    while not stop.is_set():
        is_more = False
        for task in TASKS:
            if due[task.name] <= time.monotonic():
                is_finished = _turn(task, stop)
                if is_finished:
                    due[task.name] = time.monotonic() + task.every.total_seconds()
                is_more |= is_finished is False
        if not is_more:
            stop.wait(PAUSE)


def _turn(task: Task, stop: Event) -> bool | None:
    """Whether nothing is left of the task; None when it failed."""
    try:
        done, is_finished = finish(task, stop, time.monotonic() + TURN)
    except Exception:
        log.exception("The task “%s” failed; it is tried again in %.0f seconds.", task.name, PAUSE)
        return None
    finally:
        db.session.remove()
    if done:
        log.info("%s: %s", task.name, f"{done:,}")
    return is_finished


def once() -> dict[str, int]:
    """Do everything that is due now, whoever looked before; answers how many rows each task took."""
    ticks.start_over()
    return {task.name: finish(task, Event())[0] for task in TASKS}


def finish(task: Task, stop: Event, until: float = math.inf) -> tuple[int, bool]:
    """Do a task piece by piece until nothing is left of it, or its time is over; how many rows, and whether all."""
    total = 0
    while not stop.is_set():
        done = task.piece()
        total += done
        if done < PIECE:
            return total, True
        if time.monotonic() >= until:
            break
    return total, False


def purge(model: Any, is_over: Callable[[], ColumnElement[bool]]) -> int:
    """Remove up to PIECE rows of `model` whose time is over, with what hangs on them; answers how many.

    They are looked for before anything is locked: on a large table that may take longer than a move should wait.
    """
    keys = tuple(model.__mapper__.primary_key)
    found = [tuple(row) for row in db.session.execute(select(*keys).where(is_over()).limit(PIECE))]
    db.session.rollback()
    return sum(
        changes.commit(partial(_remove, model, is_over, found[first : first + STEP]), cause="bookkeeping")
        for first in range(0, len(found), STEP)
    )


def _remove(
    model: Any, is_over: Callable[[], ColumnElement[bool]], found: list[tuple[Any, ...]], session: Session
) -> int:
    """Remove those of the rows found (their keys) that are still over and that no other worker holds; how many."""
    keys = tuple(model.__mapper__.primary_key)
    # A form that leads no database to an index of all that are over.
    is_still_over = case((is_over(), 1)) == 1
    still = select(*keys).where(tuple_(*keys).in_(found), is_still_over)
    over = [tuple(row) for row in session.execute(still.with_for_update(skip_locked=True))]
    if over:
        session.connection().execute(delete(model).where(tuple_(*keys).in_(over)))
    return len(over)


def _days_ago(days: int) -> datetime:
    return clock.now() - timedelta(days=days)


def _deleted_long_ago(model: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = model.deleted_at < _days_ago(config.settings.purge_days)
    if model is Entity:  # a deleted deal may still name it; it goes first
        condition &= ~select(Deal.id).where(Deal.entity_id == Entity.id).exists()
    return condition


def _sign_in_over() -> ColumnElement[bool]:
    table, idle = models.Session, _days_ago(config.settings.session_idle_days)
    return or_(table.expires_at < clock.now(), table.seen_at < idle)


def _link_over() -> ColumnElement[bool]:
    return or_(PasswordLink.used_at.is_not(None), PasswordLink.expires_at < clock.now())


def _looks_over() -> ColumnElement[bool]:
    # The types stand for the index's first column.
    return RuleLook.record_type.in_(ENTITY_TYPES) & (RuleLook.at < _days_ago(config.settings.rule_log_days))


def _runs_over() -> ColumnElement[bool]:
    old = RuleRun.at < _days_ago(config.settings.rule_log_days)
    # The outcomes stand for the index's first column.
    return did_not_act() & RuleRun.outcome.in_(("failed", "cut")) & old


def _throttle_over() -> ColumnElement[bool]:
    return Throttle.since < clock.now() - 2 * throttles.WINDOW


def _delivery_over() -> ColumnElement[bool]:
    return Delivery.created_at < _days_ago(config.settings.purge_days)


HOUR = timedelta(hours=1)
TASKS = (
    Task("Rules that time set off", partial(ticks.tick, PIECE), timedelta(0)),
    Task("E-mails tried", partial(deliver.send_due, PIECE), timedelta(0)),
    Task("Deals purged", partial(purge, Deal, partial(_deleted_long_ago, Deal)), HOUR),
    Task("Contacts purged", partial(purge, Entity, partial(_deleted_long_ago, Entity)), HOUR),
    Task("Activities purged", partial(purge, Activity, partial(_deleted_long_ago, Activity)), HOUR),
    Task(
        "Keys of moves forgotten",
        partial(purge, MoveKey, lambda: MoveKey.at < clock.now() - MOVE_KEYS_LAST),
        HOUR,
    ),
    Task("Looks of rules forgotten", partial(purge, RuleLook, _looks_over), HOUR),
    Task("Failures of rules forgotten", partial(purge, RuleRun, _runs_over), HOUR),
    Task("E-mails forgotten", partial(purge, Delivery, _delivery_over), HOUR),
    Task("Sign-ins forgotten", partial(purge, models.Session, _sign_in_over), HOUR),
    Task("One-time links forgotten", partial(purge, PasswordLink, _link_over), HOUR),
    Task("Counters of failed sign-ins forgotten", partial(purge, Throttle, _throttle_over), HOUR),
)
