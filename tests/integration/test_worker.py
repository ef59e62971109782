"""The worker removes what nobody can need any more, and nothing else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from crmweb import changes, clock, config, doctor, worker
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Change,
    Deal,
    Entity,
    MoveKey,
    Notification,
    PasswordLink,
    RuleLook,
    RuleRun,
    Session,
    Stage,
    StageChange,
    Throttle,
    User,
)
from tests.support.factories import make_deal, make_entity, make_note, make_rule
from tests.support.outside import Terminal
from tests.support.statements import count_statements, plans

CHECKOUT = Path(__file__).parents[2]


def number_of(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def mark_deleted(model: Any, *ids: Any) -> None:
    def work(session: Any) -> None:
        for id_ in ids:
            session.get_one(model, id_).deleted_at = clock.now()

    changes.commit(work)


def days_later(noon: datetime, days: float) -> Any:
    return clock.at(noon + timedelta(days=days))


def errors() -> list[Any]:
    with db.engine.connect() as connection:
        return doctor.errors(doctor.examine(connection))


@pytest.fixture
def deals(noon: datetime, stages: dict[str, Stage], ann: User) -> list[Deal]:
    """Two moved deals with notes, keys and notifications."""
    make_rule(actions=[{"type": "send_notification", "config": {"to": "admins"}}])
    made = [make_deal(stages["Lead"], name, by=ann) for name in ("Forklift fleet", "Crane hire")]
    for deal in made:
        goal = stages["Closed Won"].id
        changes.commit(lambda session: Deal.locked(session, deal.id).move_to(goal, key="k"))  # noqa: B023
        make_note(deal)
    return made


def test_a_deleted_deal_is_purged_after_30_days_with_all_that_hangs_on_it(
    noon: datetime, deals: list[Deal]
) -> None:
    gone, kept = deals
    mark_deleted(Deal, gone.id)
    history = number_of(Change)
    with days_later(noon, 29.9):
        assert worker.once()["Deals purged"] == 0
    with days_later(noon, 30.1):
        assert worker.once()["Deals purged"] == 1
    assert list(db.session.scalars(select(Deal.id))) == [kept.id]
    for model in (Activity, StageChange, Notification):
        assert set(db.session.scalars(select(model.deal_id))) == {kept.id}, model
    assert number_of(Change) == history, "the history stays"
    assert errors() == []


def test_how_long_deleted_records_are_kept_is_a_setting(noon: datetime, deals: list[Deal]) -> None:
    mark_deleted(Deal, deals[0].id)
    config.use(config.read({}, purge_days=3))
    with days_later(noon, 3.1):
        assert worker.once()["Deals purged"] == 1


def test_the_log_of_rules_forgets_who_looked_but_not_what_was_done(noon: datetime, deals: list[Deal]) -> None:
    done, looked = number_of(RuleRun), number_of(RuleLook)
    assert done
    assert looked
    with days_later(noon, 364):
        assert worker.once()["Looks of rules forgotten"] == 0
    with days_later(noon, 366):
        assert worker.once()["Looks of rules forgotten"] == looked
    assert number_of(RuleLook) == 0
    assert number_of(RuleRun) == done


def test_a_contact_goes_after_its_deals(noon: datetime, deals: list[Deal]) -> None:
    gone, kept = deals
    mark_deleted(Deal, gone.id)
    mark_deleted(Entity, gone.entity_id)
    with days_later(noon, 31):
        assert worker.once() | {"Deals purged": 1, "Contacts purged": 1} == worker_result(1, 1)
    assert list(db.session.scalars(select(Entity.id))) == [kept.entity_id]


def worker_result(deals: int, contacts: int) -> dict[str, int]:
    names = [task.name for task in worker.TASKS]
    return {
        **dict.fromkeys(names, 0),
        "Deals purged": deals,
        "Contacts purged": contacts,
        "Keys of moves forgotten": 1,
    }


def test_a_contact_that_a_deleted_deal_still_names_waits(noon: datetime, deals: list[Deal]) -> None:
    with days_later(noon, 20):
        mark_deleted(Deal, deals[0].id)
    mark_deleted(Entity, deals[0].entity_id)  # dated before its deal, which the pages do not allow
    with days_later(noon, 31):
        assert worker.once()["Contacts purged"] == 0
    with days_later(noon, 51):
        assert worker.once()["Contacts purged"] == 1


def test_deleted_activities_are_purged_audit_notes_of_living_deals_are_not(
    noon: datetime, deals: list[Deal]
) -> None:
    note = make_note(deals[0], "A slip of the pen")
    mark_deleted(Activity, note.id)
    notes = number_of(Activity)
    with days_later(noon, 31):
        assert worker.once()["Activities purged"] == 1
    assert number_of(Activity) == notes - 1
    assert errors() == []


def test_keys_of_moves_are_kept_for_7_days(noon: datetime, deals: list[Deal]) -> None:
    with days_later(noon, 6.9):
        assert worker.once()["Keys of moves forgotten"] == 0
    with days_later(noon, 7.1):
        assert worker.once()["Keys of moves forgotten"] == 2
    assert number_of(MoveKey) == 0


def keep(*records: Any) -> None:
    db.session.add_all(records)
    changes.commit(cause="bookkeeping")


def test_sign_ins_links_and_counters_whose_time_is_over_are_forgotten(noon: datetime, ann: User) -> None:
    def signed_in(seen: float, ends: float, token: str) -> Session:
        at = noon + timedelta(days=seen)
        return Session(token_hash=token, user_id=ann.id, seen_at=at, expires_at=noon + timedelta(days=ends))

    def link(ends: float, token: str, used: datetime | None = None) -> PasswordLink:
        return PasswordLink(
            token_hash=token, user_id=ann.id, expires_at=noon + timedelta(days=ends), used_at=used
        )

    keep(
        signed_in(-1, 30, "in use"), signed_in(-15, 30, "idle too long"), signed_in(-1, -0.1, "expired"),
        link(7, "open"), link(7, "used", noon), link(-1, "expired"),
        Throttle(key="fresh", failures=3, since=noon), Throttle(key="old", failures=3, since=noon - timedelta(days=1)),
    )  # fmt: skip
    done = worker.once()
    assert list(db.session.scalars(select(Session.token_hash))) == ["in use"]
    assert list(db.session.scalars(select(PasswordLink.token_hash))) == ["open"]
    assert list(db.session.scalars(select(Throttle.key))) == ["fresh"]
    assert (done["Sign-ins forgotten"], done["One-time links forgotten"]) == (2, 2)


def test_much_is_done_in_pieces(
    noon: datetime, stages: dict[str, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "PIECE", 2)
    entity = make_entity()
    deals = [make_deal(stages["Lead"], f"Deal {number}", entity=entity) for number in range(5)]
    mark_deleted(Deal, *(deal.id for deal in deals))
    monkeypatch.setattr(worker, "STEP", 1)
    with days_later(noon, 31), count_statements() as statements:
        assert worker.once()["Deals purged"] == 5
    deleted = [statement for statement in statements.sent if statement.startswith("DELETE FROM deals")]
    assert len(deleted) == 5, "each step is a transaction of its own"


def test_what_is_over_is_looked_for_before_anything_is_locked(noon: datetime, deals: list[Deal]) -> None:
    mark_deleted(Deal, deals[0].id)
    with days_later(noon, 31), count_statements() as statements:
        worker.once()
    assert statements.writing
    for task in worker.TASKS[2:]:
        with count_statements() as statements:
            assert task.piece() == 0
        assert statements.sent, task.name
        assert not statements.writing, task.name


def test_what_is_over_is_found_by_indexes(noon: datetime, deals: list[Deal]) -> None:
    for name in ("Deals", "Contacts", "Activities", "Looks of rules", "Failures of rules"):
        task = next(task for task in worker.TASKS if task.name.startswith(name))
        assert not re.search(r"SCAN |Seq Scan", plan := plans(task.piece)), plan


def test_under_the_lock_only_the_piece_is_read_and_not_all_that_is_over(
    noon: datetime, deals: list[Deal], database: str
) -> None:
    """SQLite gladly went through all old looks in order to find the 500 that were named to it."""
    mark_deleted(Deal, deals[0].id)
    for name, index in (("Looks of rules", "ix_rule_looks_type"), ("Deals purged", "ix_deals_deleted")):
        task = next(task for task in worker.TASKS if task.name.startswith(name))
        with days_later(noon, 366):
            plan = plans(task.piece)
        assert database == "postgresql" or plan.count(index) == 1, plan


def test_two_workers_do_the_work_once(noon: datetime, app: Flask, deals: list[Deal]) -> None:
    mark_deleted(Deal, *(deal.id for deal in deals))
    done: list[int] = []

    def work() -> None:
        with app.app_context(), days_later(noon, 31):
            done.append(worker.once()["Deals purged"])

    apart(work, work)
    assert sum(done) == 2
    assert number_of(Deal) == 0
    assert errors() == []


def apart(*work: Callable[[], None]) -> None:
    db.session.remove()
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_task_that_fails_keeps_no_other_from_its_turn(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    stop, done = threading.Event(), []

    def fail() -> int:
        raise RuntimeError("the disk is full")

    def last() -> int:
        done.append("last")
        stop.set()
        return 0

    tasks = (worker.Task("First", fail, worker.HOUR), worker.Task("Last", last, worker.HOUR))
    monkeypatch.setattr(worker, "TASKS", tasks)
    worker.run(stop)
    assert done == ["last"]
    assert "The task “First” failed" in caplog.text


def test_a_task_with_much_to_do_lets_the_others_have_their_turn_and_goes_on_at_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, done = threading.Event(), []

    def much() -> int:
        done.append("much")
        return worker.PIECE

    def little() -> int:
        done.append("little")
        if len(done) >= 4:
            stop.set()
        return 0

    monkeypatch.setattr(worker, "TURN", 0.0)
    tasks = (worker.Task("Much", much, worker.HOUR), worker.Task("Little", little, timedelta(0)))
    monkeypatch.setattr(worker, "TASKS", tasks)
    worker.run(stop)
    assert done == ["much", "little", "much", "little"]


def test_the_command_says_what_it_did(noon: datetime, deals: list[Deal], runner: Terminal) -> None:
    mark_deleted(Deal, deals[0].id)
    with days_later(noon, 31):
        assert "Deals purged: 1\n" in runner.run("worker", "--once")


def test_it_ends_in_order_when_it_is_asked_to(settings: config.Settings) -> None:
    environment = {**os.environ, "DATABASE_URL": settings.database_url, "CRMWEB_INSTANCE": settings.instance}
    command = [sys.executable, "-m", "flask", "--app", "crmweb", "worker"]
    with subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "looking for work" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
