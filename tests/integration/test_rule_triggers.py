"""What sets rules off beside plain events: a move from or to a stage, and time; and who gets a record in turn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, signals, ticks, worker
from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    ChangeSet,
    Deal,
    Entity,
    RuleLook,
    RuleOccasion,
    RuleRun,
    Stage,
    User,
    WorkflowRule,
)
from crmweb.workflow import due, ordering
from tests.support.deals import fresh
from tests.support.factories import make_deal, make_entity, make_note, make_person, make_rule, save
from tests.support.statements import count_statements, plans

CHECKOUT = Path(__file__).parents[2]
Stages = dict[str, Stage]
BAD = {"field": "name", "operator": "equals", "value": "Bad"}
NOTE = {"type": "create_activity", "config": {"subject": "Say hello"}}


def rule(name: str, on: str, *actions: dict[str, Any], of: str = "Deal", **settings: Any) -> WorkflowRule:
    more = {
        key: settings.pop(key) for key in ("conditions", "match", "on_failure", "order") if key in settings
    }
    return make_rule(
        name, entity_type=of, trigger_event=on, trigger_config=settings, actions=list(actions) or [NOTE],
        **{"order": None, **more},
    )  # fmt: skip


def move(deal: Deal, stage: Stage, by: User | None = None) -> None:
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stage.id, by=by), by=by)


def change(record: Any, **values: Any) -> None:
    model, record_id = type(record), record.id

    def work(session: Session) -> None:
        for name, value in values.items():
            setattr(session.get_one(model, record_id), name, value)

    changes.commit(work)


def acted(session: Session) -> list[str]:
    """What rules noted, oldest first."""
    notes = select(Activity.subject).where(Activity.rule_name.is_not(None))
    return list(session.scalars(notes.order_by(Activity.created_at, Activity.id)))


def met(session: Session) -> int:
    """How many occasions rules of time have taken."""
    return session.scalar(select(func.count()).select_from(RuleOccasion)) or 0


@contextmanager
def days_later(days: float) -> Iterator[None]:
    with clock.at(clock.now() + timedelta(days=days)):
        yield


def tick(days: float) -> int:
    """What rules of time meet so many days from now."""
    with days_later(days):
        return ticks.tick(500)


# A move ----------------------------------------------------------------------------------------------------------


def test_a_move_to_a_stage_sets_off_the_rules_for_it_and_no_other_edit_does(
    session: Session, stages: Stages
) -> None:
    rule("Offer", "stage_changed", to=stages["Proposal"].id)
    deal = make_deal(stages["Lead"])
    change(deal, amount=1)
    move(deal, stages["Qualified"])
    assert acted(session) == []
    move(deal, stages["Proposal"])
    change(deal, amount=2)
    assert acted(session) == ["Say hello"]


def test_to_be_made_is_no_move_whatever_other_rules_do_to_a_new_deal(
    session: Session, stages: Stages, priya: User
) -> None:
    rule("Share", "create", assign(to=str(priya.id)))
    rule("Offer", "stage_changed", to=stages["Proposal"].id)
    make_deal(stages["Proposal"])
    assert acted(session) == []
    on = {"type": "move_to_stage", "config": {"stage_id": str(stages["Proposal"].id)}}
    rule("On", "create", on)
    make_deal(stages["Lead"])
    assert acted(session) == ["Deal moved: Lead → Proposal", "Say hello"]


@pytest.mark.parametrize(
    ("asked", "notes"),
    [({}, 2), ({"from": "Lead"}, 1), ({"from": "Qualified", "to": "Lead"}, 1), ({"from": "Proposal"}, 0)],
)
def test_a_move_can_be_asked_for_by_where_from_and_where_to(
    session: Session, stages: Stages, asked: dict[str, str], notes: int
) -> None:
    rule("Moved", "stage_changed", **{key: stages[name].id for key, name in asked.items()})
    deal = make_deal(stages["Lead"])
    move(deal, stages["Qualified"])
    move(deal, stages["Lead"])
    assert len(acted(session)) == notes


def test_a_rule_for_other_moves_does_not_even_look(session: Session, stages: Stages) -> None:
    rule("Offer", "stage_changed", to=stages["Proposal"].id)
    move(make_deal(stages["Lead"]), stages["Qualified"])
    assert session.scalar(select(func.count()).select_from(RuleLook)) == 0


# Days ------------------------------------------------------------------------------------------------------------


def test_days_in_a_stage_are_met_once_on_the_day_and_again_after_coming_back(
    session: Session, stages: Stages, noon: datetime
) -> None:
    rule("Stuck", "days_in_stage", days=10, stage=stages["Lead"].id)
    deal = make_deal(stages["Lead"])
    assert (tick(9), tick(10), tick(10), tick(30)) == (0, 1, 0, 0)
    with days_later(40):
        move(deal, stages["Proposal"])
        move(deal, stages["Lead"])
    assert (tick(49), tick(50)) == (0, 1)
    assert len(acted(session)) == 2
    assert doctor_is_content(session)


def doctor_is_content(session: Session) -> bool:
    """Each meeting is a change set by time, with its run."""
    sets = session.scalars(select(ChangeSet).where(ChangeSet.cause == "time")).all()
    runs = session.scalars(select(RuleRun.change_set_id)).all()
    return {made.id for made in sets} == set(runs)


def test_a_day_begins_at_the_companys_midnight(stages: Stages, noon: datetime) -> None:
    rule("Stuck", "days_in_stage", days=1)
    with clock.at(datetime.fromisoformat("2026-03-02T23:30:00+00:00")):
        make_deal(stages["Lead"])
    with clock.at(datetime.fromisoformat("2026-03-02T23:59:59+00:00")):
        assert ticks.tick(10) == 0
    with clock.at(datetime.fromisoformat("2026-03-03T00:00:01+00:00")):
        assert ticks.tick(10) == 1


def test_quiet_days_count_from_the_last_thing_that_a_person_did(
    session: Session, stages: Stages, priya: User, noon: datetime
) -> None:
    rule("Remind", "no_activity", days=7)
    deal = make_deal(stages["Lead"], by=priya)
    make_deal(stages["Closed Won"], "Won", by=priya)
    with days_later(5):
        make_note(deal, by=priya)
    assert (tick(7), tick(11), tick(12), tick(12)) == (0, 0, 1, 0)


def test_a_sleeping_deal_is_not_quiet_until_it_wakes(
    session: Session, stages: Stages, noon: datetime
) -> None:
    rule("Remind", "no_activity", days=7)
    make_deal(stages["Lead"], snoozed_until=noon.date() + timedelta(days=20))
    assert (tick(10), tick(19), tick(20)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("side", "days", "on"),
    [("before", 3, (0, 7, 0)), ("after", 3, (0, 13, 0)), ("before", 0, (0, 10, 0)), ("after", 0, (0, 10, 0))],
)
def test_a_date_is_met_so_many_days_before_or_after_it(
    stages: Stages, noon: datetime, side: str, days: int, on: tuple[int, int, int]
) -> None:
    rule("Close", "date_reached", field="expected_close_date", days=days, side=side)
    make_deal(stages["Lead"], expected_close_date=noon.date() + timedelta(days=10))
    day = on[1]
    assert (tick(day - 1), tick(day), tick(day + 1)) == (0, 1, 0)


def test_a_date_that_is_moved_is_another_occasion_and_one_that_is_past_needs_no_reminder(
    stages: Stages, noon: datetime
) -> None:
    rule("Close", "date_reached", field="expected_close_date", days=3, side="before")
    deal = make_deal(stages["Lead"], expected_close_date=noon.date() + timedelta(days=10))
    assert tick(8) == 1
    change(deal, expected_close_date=noon.date() + timedelta(days=20))
    assert (tick(16), tick(17)) == (0, 1)
    change(deal, expected_close_date=noon.date() + timedelta(days=30))
    assert tick(31) == 0


def test_a_tasks_due_date_and_a_closing_day_are_dates_too(
    session: Session, stages: Stages, priya: User, noon: datetime
) -> None:
    rule("Nudge", "date_reached", of="Activity", field="due_at", days=1, side="after")
    rule("Ask again", "date_reached", field="closed_date", days=90, side="after")
    deal = make_deal(stages["Closed Lost"])
    open_task = Activity(type="task", subject="Call", deal=deal, due_at=noon + timedelta(days=2))
    done = Activity(
        type="task", subject="Done", deal=deal, due_at=noon + timedelta(days=2), completed_at=noon
    )
    save(open_task, done)
    assert (tick(2), tick(3), tick(3)) == (0, 1, 0)
    assert (tick(89), tick(90)) == (0, 1)


def test_conditions_are_asked_on_the_day_and_not_again(
    session: Session, stages: Stages, noon: datetime
) -> None:
    big = {"field": "amount", "operator": "greater_than", "value": 100_000}
    rule("Stuck", "days_in_stage", days=10, conditions=[big])
    deal = make_deal(stages["Lead"])
    assert tick(10) == 1
    change(deal, amount=200_000)
    assert tick(11) == 0
    assert acted(session) == []
    assert session.scalars(select(RuleLook.looks)).one()[0][2:5] == [False, 0, "50000"]


def test_what_a_rule_of_time_does_sets_off_other_rules(
    session: Session, stages: Stages, noon: datetime
) -> None:
    rule(
        "Stuck",
        "days_in_stage",
        {"type": "update_field", "config": {"field_name": "amount", "value": "1"}},
        days=2,
    )
    rule("Small", "update", conditions=[{"field": "amount", "operator": "changed_to", "value": 1}])
    make_deal(stages["Lead"])
    assert tick(2) == 1
    assert acted(session) == ["Say hello"]


def test_switching_on_counts_only_later_days_unless_the_past_is_asked_for(
    session: Session, stages: Stages, noon: datetime
) -> None:
    make_deal(stages["Lead"])
    with days_later(10):
        stuck = rule("Stuck", "days_in_stage", days=5)
        assert due.qualifying(session, stuck) == (1, True)
        assert due.qualifying(session, stuck, most=1) == (1, False)
        make_deal(stages["Lead"], "Younger")
    assert (tick(11), tick(15)) == (0, 1)
    with days_later(20):
        switched(stuck, on=False)
        switched(stuck, on=True, counts_past=True)
        assert ticks.tick(10) == 1


def switched(rule: WorkflowRule, **how: bool) -> None:
    changes.commit(lambda session: ordering.switch(ordering.locked(session, rule.id), **how))


def test_another_number_of_days_begins_to_count_anew(stages: Stages, noon: datetime) -> None:
    stuck = rule("Stuck", "days_in_stage", days=30)
    make_deal(stages["Lead"])
    with days_later(10):
        change(stuck, trigger_config={"days": 3})
        assert ticks.tick(10) == 0


def test_after_a_long_sleep_everything_is_met_once(session: Session, stages: Stages, noon: datetime) -> None:
    rule("Remind", "no_activity", days=1)
    for number in range(3):
        make_deal(stages["Lead"], f"Deal {number}")
    assert tick(100) == 3
    assert len(acted(session)) == 3


def test_a_failing_rule_of_time_fails_once_for_each_record_and_is_paused_after_five(
    session: Session, stages: Stages, noon: datetime
) -> None:
    elsewhere = {"type": "move_to_stage", "config": {"stage_id": str(stages["Closed Won"].id)}}
    broken = rule("Broken", "days_in_stage", elsewhere, days=1, on_failure="undo")
    change(stages["Closed Won"], is_archived=True)
    for number in range(7):
        make_deal(stages["Lead"], f"Deal {number}")
    assert tick(1) == 5
    assert session.get_one(WorkflowRule, broken.id, populate_existing=True).paused_at
    assert session.scalar(select(func.count()).select_from(RuleOccasion)) == 5


@pytest.mark.parametrize(
    ("on", "given", "index"),
    [
        ("days_in_stage", {"days": 5}, "ix_deals_quiet"),
        ("no_activity", {"days": 5}, "ix_deals_quiet"),
        ("date_reached", {"days": 5, "field": "expected_close_date"}, "ix_deals_close"),
    ],
)
def test_what_is_due_is_read_along_an_index(
    session: Session, stages: Stages, database: str, on: str, given: dict[str, Any], index: str
) -> None:
    asked: list[tuple[str, Any]] = []
    timely = rule("Timely", on, **given)

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    due.due(session, timely, 10)
    event.remove(db.engine, "before_cursor_execute", note)
    connection = session.connection()
    if database == "postgresql":  # a handful of rows is read whole unless that is forbidden
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN"
    plan = str(connection.exec_driver_sql(f"{explain} {asked[-1][0]}", asked[-1][1]).all())
    # In a table without rows all indexes are alike to PostgreSQL.
    assert index in plan if database == "sqlite" else "Seq Scan on deals" not in plan


def test_whom_a_rule_has_met_is_not_gone_through_again_until_an_hour_is_over(
    session: Session, stages: Stages, noon: datetime, database: str
) -> None:
    rule("Stuck", "days_in_stage", days=5)
    deals = [make_deal(stages["Lead"], f"Deal {number}") for number in range(3)]
    assert tick(5) == 3
    for minutes, index in ((1, "ix_deals_updated"), (61, "ix_deals_quiet")):
        plan = plans(lambda: tick(5 + minutes / 1440))  # noqa: B023
        assert database == "postgresql" or index in plan, plan
    with days_later(5 + 62 / 1440):
        earlier = update(Deal).where(Deal.id == deals[0].id).values(stage_entered_at=noon - timedelta(days=1))
        changes.commit(lambda session: bool(session.execute(earlier)), cause="bookkeeping")
        assert ticks.tick(10) == 1, "what changes is looked at at once"


def test_whoever_asks_for_one_round_of_work_gets_a_whole_one(
    session: Session, stages: Stages, noon: datetime
) -> None:
    rule("Stuck", "days_in_stage", days=5)
    deal = make_deal(stages["Lead"])
    assert tick(4) == 0
    with days_later(4):
        earlier = {"stage_entered_at": noon - timedelta(days=2), "updated_at": Deal.updated_at}
        unseen = update(Deal).where(Deal.id == deal.id).values(earlier)
        changes.commit(lambda session: bool(session.execute(unseen)), cause="bookkeeping")
        assert ticks.tick(10) == 0
        assert worker.once()["Rules that time set off"] == 1


def test_many_are_met_piece_by_piece_each_once(
    session: Session, stages: Stages, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "READ_AHEAD", 4)
    rule("Stuck", "days_in_stage", days=5)
    for number in range(10):
        make_deal(stages["Lead"], f"Deal {number}")
    with days_later(5):
        with count_statements() as statements:
            assert [ticks.tick(3) for _ in range(4)] == [3, 3, 3, 1]
        assert ticks.tick(3) == 0
    looked = [
        sent for sent in statements.sent if "counted_from FROM deals" in sent and "deals.id =" not in sent
    ]
    assert len(looked) <= 4, "those that were read ahead are not looked for again"
    assert len(acted(session)) == 10


def test_whom_a_fault_kept_from_being_met_is_looked_for_again(
    session: Session, stages: Stages, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule("Stuck", "days_in_stage", days=5)
    for number in range(3):
        make_deal(stages["Lead"], f"Deal {number}")

    def fail(*_: object) -> bool:
        raise OSError("the disk is full")

    with monkeypatch.context() as faulty:
        faulty.setattr(ticks, "_meet", fail)
        with pytest.raises(OSError, match="full"):
            tick(5)
    assert tick(5) == 3


def test_two_workers_meet_nobody_twice(session: Session, settings: config.Settings, stages: Stages) -> None:
    with clock.at(clock.now() - timedelta(days=30)):
        rule("Remind", "no_activity", days=7)
        for number in range(20):
            make_deal(stages["Lead"], f"Deal {number}")
    session.rollback()
    environment = {**os.environ, "DATABASE_URL": settings.database_url, "CRMWEB_INSTANCE": settings.instance}
    command = [sys.executable, "-m", "flask", "--app", "crmweb", "worker", "--once"]
    workers = [
        subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE) for _ in range(2)
    ]
    for process in workers:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(acted(session)) == 20


def test_a_rule_that_undoes_what_time_did_keeps_nobody_else_waiting(
    session: Session, stages: Stages, noon: datetime
) -> None:
    slow = {"type": "update_field", "config": {"field_name": "lost_reason", "value": "Slow"}}
    rule("Time", "days_in_stage", slow, days=2)
    elsewhere = {"type": "move_to_stage", "config": {"stage_id": str(stages["Closed Won"].id)}}
    undoer = rule("Undoer", "update", elsewhere, conditions=[BAD], on_failure="undo")
    rule("Remind", "days_in_stage", days=2)
    bad, good = make_deal(stages["Lead"], "Bad"), make_deal(stages["Lead"], "Good")
    change(stages["Closed Won"], is_archived=True)
    assert [tick(3), tick(3)] == [4, 0]
    assert [fresh(deal).lost_reason for deal in (bad, good)] == [None, "Slow"]
    assert (acted(session), met(session)) == (["Say hello"] * 2, 4)
    assert session.get_one(WorkflowRule, undoer.id, populate_existing=True).failures == 1


def test_a_rule_that_is_edited_while_the_worker_goes_through_its_records_meets_no_more(
    session: Session, stages: Stages, noon: datetime
) -> None:
    reminder = rule("Remind", "days_in_stage", days=2)
    for number in range(3):
        make_deal(stages["Lead"], f"Deal {number}")

    def edit(_: Any, **__: Any) -> None:
        signals.CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.disconnect(edit)
        change(reminder, trigger_event="update", trigger_config={})

    change(reminder, actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Qualified"].id)}}])
    signals.CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(edit)
    assert tick(3) == 1
    assert met(session) == 1


def test_a_rule_that_is_set_active_counts_from_then_on(stages: Stages, noon: datetime) -> None:
    sleeping = rule("Stuck", "days_in_stage", days=3)
    change(sleeping, is_active=False)
    make_deal(stages["Lead"])
    with days_later(10):
        change(sleeping, is_active=True)
        assert ticks.tick(10) == 0


# What cannot be saved --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "given", "field"),
    [
        ("days_in_stage", {}, "days"),
        ("days_in_stage", {"days": "soon"}, "days"),
        ("days_in_stage", {"days": -1}, "days"),
        ("no_activity", {"days": 99_999}, "days"),
        ("no_activity", {"days": 5, "stage": "x"}, "trigger_config"),
        ("stage_changed", {"to": "x"}, "to"),
        ("stage_changed", {"days": 5}, "trigger_config"),
        ("date_reached", {"days": 5, "field": "created_at"}, "field"),
        ("date_reached", {"days": 5, "field": "expected_close_date", "side": "around"}, "side"),
    ],
)
def test_a_trigger_that_makes_no_sense_is_refused_by_its_field(
    session: Session, on: str, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(FieldError) as refused:
        rule("Wrong", on, **given)
    session.rollback()
    assert refused.value.field == field


def test_moves_and_days_are_for_deals_alone(session: Session) -> None:
    with pytest.raises(FieldError, match="Only for Deal"):
        rule("Wrong", "no_activity", of="Entity", days=4)
    session.rollback()


# In turn ---------------------------------------------------------------------------------------------------------


def assign(**settings: Any) -> dict[str, Any]:
    return {"type": "assign", "config": settings}


def owners(session: Session) -> list[str]:
    names = select(User.name).join(Deal, Deal.assigned_to_id == User.id).order_by(Deal.created_at, Deal.id)
    return list(session.scalars(names))


def test_new_deals_go_round_the_people_named_and_inactive_ones_are_passed_over(
    session: Session, stages: Stages, noon: datetime
) -> None:
    ann, ben, cy = make_person("Ann"), make_person("Ben"), make_person("Cy")
    people = [str(person.id) for person in (cy, ann, ben)]
    rule("Share", "create", assign(way="in_turn", people=people))
    for number in range(4):
        make_deal(stages["Lead"], f"Deal {number}")
    change(ann, is_active=False)
    for number in range(3):
        make_deal(stages["Lead"], f"Later {number}")
    assert owners(session) == ["Cy", "Ann", "Ben", "Cy", "Ben", "Cy", "Ben"]


@pytest.mark.parametrize("is_named", [True, False])
def test_when_the_last_one_leaves_it_is_the_turn_of_whoever_comes_behind(
    session: Session, stages: Stages, noon: datetime, is_named: bool
) -> None:
    people = [make_person(name) for name in ("Ann", "Ben", "Cy")]
    named = {"people": [str(person.id) for person in people]} if is_named else {}
    rule("Share", "create", assign(way="in_turn", **named))
    for number in range(2):
        make_deal(stages["Lead"], f"Deal {number}")
    change(people[1], is_active=False)
    for number in range(2):
        make_deal(stages["Lead"], f"Later {number}")
    assert owners(session) == ["Ann", "Ben", "Cy", "Ann"]


def test_deals_that_come_at_the_same_time_go_round_exactly(
    app: Flask, session: Session, stages: Stages
) -> None:
    people = [make_person(name) for name in ("Ann", "Ben", "Cy")]
    rule("Share", "create", assign(way="in_turn", people=[str(person.id) for person in people]))
    entity_id, stage_id = make_entity().id, stages["Lead"].id

    def make(number: int) -> None:
        def work(session: Session) -> None:
            entity, stage = session.get_one(Entity, entity_id), session.get_one(Stage, stage_id)
            session.add(Deal(name=f"Deal {number}", entity=entity, stage=stage))

        with app.app_context():
            changes.commit(work)

    session.rollback()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(make, range(24)))
    assert Counter(owners(session)) == {"Ann": 8, "Ben": 8, "Cy": 8}


def test_several_deals_in_one_change_go_round_as_well(session: Session, stages: Stages) -> None:
    people = [make_person(name) for name in ("Ann", "Ben")]
    rule("Share", "create", assign(way="in_turn", people=[str(person.id) for person in people]))
    entity = make_deal(stages["Lead"], "First").entity
    save(*(Deal(name=f"Deal {number}", entity=entity, stage=stages["Lead"]) for number in range(3)))
    assert sorted(owners(session)) == ["Ann", "Ann", "Ben", "Ben"]


def test_a_record_is_given_to_one_person_and_the_log_says_who_had_it(
    session: Session, stages: Stages
) -> None:
    ann, ben = make_person("Ann"), make_person("Ben")
    rule("Ben closes", "stage_changed", assign(to=str(ben.id)), to=stages["Negotiation"].id)
    move(make_deal(stages["Lead"], owner=ann), stages["Negotiation"])
    assert owners(session) == ["Ben"]
    effect = session.scalars(select(RuleRun.effects)).one()[0]
    assert (effect["name"], effect["old"]) == ("Ben", "Ann")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "to"),
        ({"to": "nobody"}, "to"),
        ({"way": "by lot"}, "way"),
        ({"way": "in_turn", "people": ["x"]}, "people"),
        ({"way": "in_turn", "people": "x"}, "people"),
    ],
)
def test_an_assignment_that_makes_no_sense_is_refused_by_its_field(
    session: Session, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(FieldError) as refused:
        rule("Wrong", "create", assign(**given))
    session.rollback()
    assert refused.value.field == field
