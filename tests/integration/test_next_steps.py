"""A deal knows its next step, whatever road its tasks come and go by; and when a person last did something about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from crmweb import changes, clock, doctor
from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Pipeline, Stage, User
from crmweb.models.user import Actor
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, make_note, make_rule, save
from tests.support.statements import count_statements

MONDAY = datetime(2026, 3, 2, 17, tzinfo=UTC)
FRIDAY = MONDAY + timedelta(days=4)
Stages = dict[str, Stage]


@pytest.fixture
def deal(stages: Stages, priya: User) -> Deal:
    return make_deal(stages["Lead"], owner=priya)


def make_task(
    deal: Deal, due: datetime | None = MONDAY, *, by: User | None = None, **fields: Any
) -> Activity:
    return save(Activity(**{"type": "task", "subject": "Call", "deal": deal, "due_at": due, **fields}), by=by)


def change(activity: Activity, *, by: User | None = None, **fields: Any) -> None:
    """Change an activity as the pages do."""
    activity_id, deal_id = activity.id, activity.deal_id

    def work(session: Session) -> None:
        if deal_id:
            Deal.locked(session, deal_id)
        locked = Activity.locked(session, activity_id)
        for name, value in fields.items():
            setattr(locked, name, value)

    changes.commit(work, by=by)


def due(deal: Deal) -> datetime | None:
    with db.engine.connect() as connection:
        assert doctor.errors(doctor.examine(connection)) == []
    return fresh(deal).next_due_at


# When the next step is due -------------------------------------------------------------------------------------------


def test_the_next_step_is_the_earliest_open_task(deal: Deal) -> None:
    assert due(deal) is None
    later = make_task(deal, FRIDAY)
    assert due(deal) == FRIDAY
    sooner = make_task(deal, MONDAY)
    assert due(deal) == MONDAY
    change(sooner, completed_at=clock.now())
    assert due(deal) == FRIDAY
    change(sooner, completed_at=None)
    assert due(deal) == MONDAY
    change(sooner, due_at=FRIDAY + timedelta(days=1))
    assert due(deal) == FRIDAY
    change(later, deleted_at=clock.now())
    assert due(deal) == FRIDAY + timedelta(days=1)


def test_a_task_without_a_day_and_what_is_no_task_leave_it_open(deal: Deal) -> None:
    make_task(deal, None)
    make_note(deal, type="call", due_at=MONDAY)
    assert due(deal) is None


def test_a_task_that_goes_to_another_deal_takes_its_day_along(deal: Deal, stages: Stages) -> None:
    other, task = make_deal(stages["Proposal"], "Crane hire"), make_task(deal)
    other_id = other.id
    change(task, deal_id=other_id)
    assert (due(deal), due(other)) == (None, MONDAY)


@pytest.mark.parametrize("year", [1, 9999])
def test_nothing_is_due_where_the_calendar_ends(deal: Deal, year: int) -> None:
    """In another zone it would be a day that there is not, and no page could show the deal."""
    with pytest.raises(FieldError, match="Due at is a time from the year 2 to 9998"):
        make_note(deal, type="task", due_at=datetime(year, 1, 1, tzinfo=UTC))


def test_what_becomes_a_task_or_stops_being_one_counts(deal: Deal) -> None:
    note = make_note(deal, due_at=MONDAY)
    change(note, type="task")
    assert due(deal) == MONDAY
    change(note, type="note")
    assert due(deal) is None


def test_a_rules_task_counts_and_one_that_was_rolled_back_does_not(
    deal: Deal, stages: Stages, priya: User
) -> None:
    task = {"type": "create_activity", "config": {"type": "task", "subject": "Call", "due_in_days": 3}}
    unset = {"type": "update_field", "config": {"field_name": "name", "value": "{deal.lost_reason}"}}
    make_rule("Fails", trigger_event="update", order=1, actions=[task, unset], on_failure="keep")
    move(deal, stages["Qualified"], by=priya)
    assert due(deal) is None
    make_rule("Acts", trigger_event="update", order=2, actions=[task])
    move(deal, stages["Proposal"], by=priya)
    found = due(deal)
    assert found is not None
    assert found > clock.now() + timedelta(days=2)


def test_a_companys_task_is_no_deals_next_step(deal: Deal) -> None:
    save(Activity(type="task", subject="Call", entity=make_entity(), due_at=MONDAY))
    assert due(deal) is None


@pytest.mark.parametrize(
    "act",
    [
        lambda task: change(task, subject="Write"),
        lambda task: change(task, due_at=FRIDAY),
        lambda task: change(task, completed_at=clock.now()),
        lambda task: change(task, deleted_at=clock.now()),
        lambda task: make_task(db.session.get_one(Deal, task.deal_id), FRIDAY),
    ],
    ids=["another subject", "another day", "done", "deleted", "one more"],
)
def test_whoever_looks_at_the_board_hears_of_another_next_step(
    deal: Deal, stages: Stages, pipeline: Pipeline, act: Callable[[Activity], Any]
) -> None:
    task = make_task(deal)

    def versions() -> tuple[int, int, int, int]:
        db.session.expire_all()
        return (stages["Lead"].version, stages["Proposal"].version, pipeline.board_version, deal.version)

    lead, proposal, board, version = versions()
    act(task)
    assert versions() == (lead + 1, proposal, board + 1, version), "the deal itself did not change"


def test_to_keep_it_costs_one_statement_however_many_tasks(deal: Deal, stages: Stages) -> None:
    others = [make_deal(stages["Proposal"], f"Deal {number}") for number in range(5)]
    make_task(deal)
    counts = []
    for some in ([deal], others):
        tasks = [Activity(type="task", subject="Call", deal=one, due_at=MONDAY) for one in some]
        with count_statements() as statements:
            save(*tasks)
        counts.append(sum("next_due_at" in statement for statement in statements.writing))
    assert counts == [1, 1]


# When a person last did something about it ---------------------------------------------------------------------------


@pytest.fixture
def quiet(stages: Stages, noon: datetime) -> Deal:
    """A deal that nobody touched yet, with a task."""
    deal = make_deal(stages["Lead"])
    make_task(deal)
    return deal


def after(quiet: Deal, noon: datetime, act: Callable[[], Any]) -> datetime | None:
    """When a person last did something, after `act` was done an hour later."""
    with clock.at(noon + timedelta(hours=1)):
        act()
    return fresh(quiet).last_human_activity_at


@pytest.mark.parametrize("kind", ["note", "call", "email", "event"])
def test_what_a_person_says_or_writes_is_a_sign_of_life(
    quiet: Deal, noon: datetime, priya: User, kind: str
) -> None:
    assert after(quiet, noon, lambda: make_note(quiet, type=kind, by=priya)) == noon + timedelta(hours=1)


def test_a_persons_move_edit_and_completed_task_are_signs_of_life(
    quiet: Deal, stages: Stages, noon: datetime, priya: User
) -> None:
    assert after(quiet, noon, lambda: move(quiet, stages["Proposal"], by=priya)) == noon + timedelta(hours=1)
    assert after(quiet, noon, lambda: edit(quiet, by=priya, amount=7)) == noon + timedelta(hours=1)
    task = make_task(quiet)
    later = noon + timedelta(hours=5)
    assert after(quiet, later, lambda: change(task, by=priya, completed_at=later)) == later + timedelta(
        hours=1
    )


def test_to_plan_to_reorder_and_to_snooze_are_none(
    quiet: Deal, stages: Stages, noon: datetime, priya: User
) -> None:
    task = make_task(quiet)
    assert after(quiet, noon, lambda: make_task(quiet, by=priya)) is None
    assert after(quiet, noon, lambda: change(task, by=priya, due_at=FRIDAY, subject="Write")) is None
    assert after(quiet, noon, lambda: change(task, by=priya, deleted_at=clock.now())) is None
    assert after(quiet, noon, lambda: move(quiet, stages["Lead"], by=priya)) is None
    asleep = {"snoozed_until": date(2026, 4, 1), "snooze_reason": "On leave"}
    assert after(quiet, noon, lambda: edit(quiet, by=priya, **asleep)) is None
    assert after(quiet, noon, lambda: edit(quiet, by=priya, snoozed_until=None, amount=7)) is not None


def test_neither_rules_nor_the_system_nor_imports_give_signs_of_life(
    quiet: Deal, noon: datetime, priya: User
) -> None:
    by, task = Actor.of(priya), make_task(quiet)
    task_id, deal_id = task.id, quiet.id

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal_id)
        locked.amount = (locked.amount or 0) + 1
        session.add(Activity(type="note", subject="Told", deal_id=deal_id))
        session.get_one(Activity, task_id).completed_at = clock.now()

    for cause in ("import", "seed", "time", "undo", "rule"):
        assert after(quiet, noon, lambda cause=cause: changes.commit(work, by=by, cause=cause)) is None, cause
    assert after(quiet, noon, lambda: changes.commit(work)) is None
    note = {"type": "create_activity", "config": {"subject": "Told"}}
    make_rule(entity_type="Activity", actions=[note])
    assert after(quiet, noon, lambda: make_task(quiet, by=priya)) is None
