"""Several writers at once: nothing is lost, nothing happens twice, nobody is refused for bad luck."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, config, doctor
from crmweb.errors import ConflictError
from crmweb.extensions import db
from crmweb.models import ChangeSet, Deal, MoveKey, Stage
from tests.support.deals import audit_notes, fresh, steps
from tests.support.factories import make_deal, make_entity, save
from tests.support.mover import Task

Stages = dict[str, Stage]
Db = scoped_session[Session]
CHECKOUT = Path(__file__).parents[2]
PATIENCE = 60.0


def everything_agrees() -> None:
    with db.engine.connect() as connection:
        assert doctor.errors(doctor.examine(connection)) == []


def at_once(app: Flask, *works: Callable[[], Any]) -> list[Any]:
    """Run each in a thread of its own, with a session of its own."""

    def run(work: Callable[[], Any]) -> Any:
        with app.app_context():
            return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


# Processes -------------------------------------------------------------------------------------------------------


class Mover:
    """A process of `tests.support.mover`, and what it acknowledged so far."""

    def __init__(self, task: Task) -> None:
        self.task, self.done = task, 0
        self.start()

    def start(self) -> None:
        """Begin, or go on with the first move that was never acknowledged."""
        self.process = subprocess.Popen(
            self.task.command(self.done), cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
        )

    def hear(self, most: int) -> None:
        """Wait for `most` acknowledgements, or for the end."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.done = int(line) + 1
            if self.done >= most:
                return

    def kill(self) -> None:
        """Whatever it is doing."""
        self.process.send_signal(signal.SIGKILL)
        self.finish()

    def finish(self) -> int:
        """Hear the rest; its exit code."""
        self.hear(self.task.moves + 1)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(PATIENCE)


def test_two_processes_move_the_same_deals_and_one_is_killed(
    stages: Stages, settings: config.Settings
) -> None:
    """Every move that was asked for happened exactly once: keys, notes, steps, versions and totals agree."""
    entity = make_entity()
    deals = [Deal(name=str(n), entity=entity, stage=stages["Lead"], amount=n) for n in range(4)]
    save(*deals)
    given = {"database_url": settings.database_url, "instance": settings.instance, "secret_key": "k" * 32}
    where = [str(stages[name].id) for name in ("Lead", "Proposal", "Closed Won")]
    ids = [str(deal.id) for deal in deals]
    steady, killed = (Mover(Task(given, ids, where, 30, name)) for name in ("steady", "killed"))
    killed.hear(12)
    killed.kill()
    killed.start()
    assert (steady.finish(), killed.finish()) == (0, 0)
    assert (steady.done, killed.done) == (30, 30)
    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(MoveKey)) == 60
    moves = sum(len(steps(deal)) - 1 for deal in deals)
    assert (
        moves
        == sum(len(audit_notes(deal)) for deal in deals)
        == sum(fresh(deal).version - 1 for deal in deals)
    )
    assert 0 < moves < 60, "the others stayed in their stage"
    everything_agrees()


# Threads ---------------------------------------------------------------------------------------------------------


def test_the_same_request_sent_twice_at_once_moves_once(stages: Stages, app: Flask) -> None:
    deal = make_deal(stages["Lead"])
    proposal = stages["Proposal"].id

    def send() -> str:
        def work(session: Session) -> str:
            return Deal.locked(session, deal.id).move_to(proposal, key="drop-1").kind

        return str(changes.commit(work))

    assert sorted(at_once(app, send, send, send)) == ["moved", "repeated", "repeated"]
    assert len(audit_notes(deal)) == 1


def test_changes_that_lock_the_same_deals_in_opposite_order_both_come_through(
    stages: Stages, app: Flask
) -> None:
    """On PostgreSQL one of them is the victim of a deadlock, and is tried again; it may meet the other once more."""
    one, two = make_deal(stages["Lead"], "One"), make_deal(stages["Lead"], "Two")
    meeting, tries = threading.Barrier(2), []
    is_sqlite = db.engine.dialect.name == "sqlite"
    patience = 0.1 if is_sqlite else 10  # SQLite lets only one of them in

    def writer(first: Deal, second: Deal) -> Callable[[], None]:
        ids = first.id, second.id

        def work(session: Session) -> None:
            tries.append(ids)
            locked = Deal.locked(session, ids[0])
            if tries.count(ids) == 1:
                with suppress(threading.BrokenBarrierError):
                    meeting.wait(patience)
            for deal in (locked, Deal.locked(session, ids[1])):
                deal.amount = (deal.amount or 0) + 1

        return lambda: changes.commit(work)

    at_once(app, writer(one, two), writer(two, one))
    assert (fresh(one).amount, fresh(two).amount) == (50_002, 50_002)
    assert len(tries) == 2 if is_sqlite else len(tries) >= 3
    everything_agrees()


def test_counters_and_versions_lose_no_update(stages: Stages, app: Flask) -> None:
    deals = [make_deal(stages["Lead"], str(n)) for n in range(3)]
    targets = [stages[name].id for name in ("Qualified", "Proposal", "Closed Lost")]

    def mover(deal: Deal) -> Callable[[], None]:
        deal_id = deal.id

        def go() -> None:
            for target in targets:
                changes.commit(lambda session: Deal.locked(session, deal_id).move_to(target))  # noqa: B023

        return go

    at_once(app, *map(mover, deals))
    assert {fresh(deal).version for deal in deals} == {4}
    everything_agrees()


def test_a_reader_is_never_kept_waiting_by_a_writer(stages: Stages, app: Flask) -> None:
    deal = make_deal(stages["Lead"])

    def work(session: Session) -> list[Any]:
        Deal.locked(session, deal.id).move_to(stages["Proposal"].id)
        session.flush()
        return at_once(app, lambda: db.session.scalar(select(Stage.name).join(Deal)))

    assert changes.commit(work) == ["Lead"], "as it was before"


# Another try -----------------------------------------------------------------------------------------------------


def test_a_stale_row_is_tried_again_with_fresh_ones(stages: Stages) -> None:
    deal, seen = make_deal(stages["Lead"]), []

    def work(session: Session) -> None:
        loaded = session.get_one(Deal, deal.id)
        seen.append(loaded.version)
        if len(seen) == 1:
            session.execute(text("UPDATE deals SET version = version + 5"))
        loaded.name = "Crane fleet"

    changes.commit(work)
    assert seen == [1, 1], "the first try was rolled back whole"
    assert (fresh(deal).name, fresh(deal).version) == ("Crane fleet", 2)


def test_after_eight_tries_it_is_a_conflict_in_words(stages: Stages) -> None:
    deal, tries = make_deal(stages["Lead"]), []
    sets = db.session.scalar(select(func.count()).select_from(ChangeSet))

    def work(session: Session) -> None:
        loaded = session.get_one(Deal, deal.id)
        tries.append(1)
        session.execute(text("UPDATE deals SET version = version + 5"))
        loaded.name = "Crane fleet"

    with pytest.raises(ConflictError, match="Somebody else"):
        changes.commit(work)
    assert len(tries) == changes.TRIES == 8
    assert db.session.scalar(select(func.count()).select_from(ChangeSet)) == sets


def test_a_lock_that_is_held_too_long_is_asked_for_again(stages: Stages) -> None:
    """SQLite says "database is locked", PostgreSQL ends the statement by its lock time-out."""
    deal, tries = make_deal(stages["Lead"]), []
    is_sqlite = db.engine.dialect.name == "sqlite"
    holder = db.engine.raw_connection()
    holder.cursor().execute("BEGIN IMMEDIATE" if is_sqlite else "SELECT 1 FROM deals FOR UPDATE")

    def let_go() -> None:
        holder.rollback()
        holder.close()

    def work(session: Session) -> None:
        tries.append(1)
        if not is_sqlite:
            session.execute(text("SET LOCAL lock_timeout = '20ms'"))
        Deal.locked(session, deal.id).name = "Crane fleet"

    if is_sqlite:
        db.session.connection().exec_driver_sql("PRAGMA busy_timeout = 20")
        db.session.rollback()
    timer = threading.Timer(0.1, let_go)
    timer.start()
    changes.commit(work)
    timer.join()
    assert fresh(deal).name == "Crane fleet"
    assert len(tries) > 1 or is_sqlite, "SQLite did not even begin"
    db.session.remove()
    db.engine.dispose()
