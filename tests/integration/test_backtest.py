"""What a rule would have done is what it really did when it was on, deal by deal and change by change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, ticks
from crmweb.models import Activity, Base, ChangeSet, Deal, Entity, RuleLook, Stage, User, WorkflowRule
from crmweb.models.types import new_id
from crmweb.undo import undo
from crmweb.workflow import backtest, due
from tests.support.deals import edit, fresh
from tests.support.factories import make_deal, make_entity, make_note, make_rule
from tests.support.lives import Life, act, when

Stages = dict[str, Stage]
AGES_AGO = datetime.fromisoformat("2020-01-01T00:00:00+00:00")


def would_have(session: Session, rule: WorkflowRule) -> set[tuple[UUID, UUID]]:
    """(record, change set) of all that the rule would have done."""
    session.rollback()
    rule = session.get_one(WorkflowRule, rule.id)
    found: set[tuple[UUID, UUID]] = set()
    after = None
    while True:
        page = backtest.page(session, rule, AGES_AGO, after)
        found |= {(firing.record, firing.change_set) for firing in page.firings}
        if (after := page.after) is None:
            return found


def really_did(session: Session, rule: WorkflowRule) -> set[tuple[UUID, UUID]]:
    looks = session.scalars(select(RuleLook))
    return {
        (look.record_id, look.change_set_id)
        for look in looks
        for line in look.looks
        if line[0] == str(rule.id) and line[2]
    }


# Random lives ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_backtest_equals_what_the_rule_did_when_it_was_on(
    session: Session, stages: Stages, seed: int
) -> None:
    life = Life(session, stages, seed)
    rules = [life.rule(number) for number in range(1, 6)]
    earlier = set(session.scalars(select(ChangeSet.id)))
    for _ in range(30):
        life.act()
    for rule in rules:
        found = {(record, made) for record, made in would_have(session, rule) if made not in earlier}
        assert found == really_did(session, rule), rule.definition()


# Plainly ---------------------------------------------------------------------------------------------------------


def test_a_draft_is_tested_on_what_happened_before_there_was_such_a_rule(
    session: Session, stages: Stages, priya: User, noon: datetime
) -> None:
    small, big = (
        make_deal(stages["Lead"], "Small", amount=500),
        make_deal(stages["Lead"], "Big", amount=90_000),
    )
    for deal in (small, big):
        with clock.at(noon + timedelta(days=3)):
            changes.commit(
                lambda session, key=deal.id: Deal.locked(session, key).move_to(stages["Proposal"].id)
            )
    draft = WorkflowRule(
        name="Draft", entity_type="Deal", trigger_event="stage_changed", trigger_config={"to": stages["Proposal"].id},
        conditions=[when("amount", "greater_than", 10_000)], actions=[act("create_activity", subject="Call")],
    )  # fmt: skip
    session.rollback()
    found = backtest.page(session, draft, noon - timedelta(days=90))
    assert [(firing.record, firing.at) for firing in found.firings] == [(big.id, noon + timedelta(days=3))]
    assert (found.looked, found.after) == (2, None)
    assert not backtest.page(session, draft, noon + timedelta(days=4)).firings


def test_what_the_deal_was_then_counts_not_what_it_is_now(session: Session, stages: Stages) -> None:
    deal = make_deal(stages["Lead"], amount=90_000)
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stages["Proposal"].id))
    changes.commit(lambda session: setattr(Deal.locked(session, deal.id), "amount", 1))
    rule = make_rule(
        "Big",
        trigger_event="stage_changed",
        conditions=[when("amount", "greater_than", 10_000)],
        is_active=False,
    )
    assert len(would_have(session, rule)) == 1


def test_a_backtest_reads_a_page_at_a_time_and_changes_nothing(
    session: Session, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest, "PAGE", 2)
    for number in range(5):
        make_deal(stages["Lead"], f"Deal {number}")
    rule = make_rule("New", trigger_event="create", is_active=False)
    session.rollback()
    before = contents(session)
    assert len(would_have(session, rule)) == 5
    assert backtest.size(session, rule, AGES_AGO) == 5
    assert contents(session) == before


def contents(session: Session) -> dict[str, list[Any]]:
    tables = Base.metadata.sorted_tables
    return {table.name: sorted(map(str, session.execute(select(table)).all())) for table in tables}


def test_no_rule_runs_in_an_undo(session: Session, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])

    def work(session: Session) -> None:
        Deal.locked(session, deal.id).amount = 1

    changes.commit(work, cause="undo", parent=new_id())
    rule = make_rule("Any", trigger_event="update", is_active=False)
    assert would_have(session, rule) == set()
    assert session.scalars(select(ChangeSet).where(ChangeSet.cause == "undo")).all()


# What records went through ---------------------------------------------------------------------------------------

NOTE = act("create_activity", subject="Noted")


def expect_equal(session: Session, *rules: WorkflowRule) -> None:
    """What each rule would have done is what it did, and that was something."""
    assert any(really_did(session, rule) for rule in rules)
    for rule in rules:
        assert would_have(session, rule) == really_did(session, rule), rule.definition()


def test_long_texts_are_read(session: Session, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    seen = make_rule(
        "R", trigger_event="update", conditions=[when("entity.note", "contains", "x")], actions=[NOTE]
    )
    entity_id = deal.entity_id
    changes.commit(lambda session: setattr(Entity.locked(session, entity_id), "note", "x" * 3000))
    edit(deal, amount=3)
    expect_equal(session, seen)


def test_as_many_rounds_as_are_set(session: Session, stages: Stages) -> None:
    config.use(config.read({}, rule_rounds=9))
    deal = make_deal(stages["Lead"], custom_fields={"step": 0})
    rules = [
        make_rule(
            f"Step {step}", trigger_event="update", order=9 - step,
            conditions=[when("custom_fields.step", "equals", step)],
            actions=[act("update_field", field_name="custom_fields.step", value=step + 1)],
        )
        for step in range(7)
    ]  # fmt: skip
    edit(deal, amount=3)
    assert fresh(deal).custom_fields == {"step": 7}
    expect_equal(session, *rules)


@pytest.mark.parametrize("in_one_flush", [True, False])
def test_a_deal_that_is_edited_and_deleted_at_once_goes_as_it_was_then(
    session: Session, stages: Stages, ann: User, in_one_flush: bool
) -> None:
    deal = make_deal(stages["Lead"], amount=100)
    big, gone = when("amount", "greater_than", 500), "Gone"
    rules = [
        make_rule("Big", trigger_event="update", conditions=[big], actions=[NOTE]),
        make_rule(gone, trigger_event="delete", order=2, conditions=[big], actions=[NOTE]),
    ]

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal.id)
        locked.amount = 900
        if not in_one_flush:
            session.flush()
        locked.delete(ann)

    edit(deal, name="Fleet 2")
    changes.commit(work, by=ann)
    expect_equal(session, *rules)


def test_a_deal_that_was_deleted_and_came_back_is_known_from_before(
    session: Session, stages: Stages, ann: User
) -> None:
    deal = make_deal(stages["Lead"])
    rules = [
        make_rule("Young", trigger_event="update", conditions=[when("version", "less_than", 4)], actions=[NOTE]),
        make_rule(
            "Made", order=2, trigger_event="update", conditions=[when("created_at", "is_not_empty")], actions=[NOTE]
        ),
    ]  # fmt: skip
    for amount in range(4):
        edit(deal, amount=amount)
    changes.commit(lambda session: Deal.locked(session, deal.id).delete(ann), by=ann)
    last = session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc())).first()
    assert last is not None
    undo(last, ann)
    edit(deal, amount=9)
    expect_equal(session, *rules)


def test_the_later_change_is_the_one_that_came_later_whatever_the_clock_said(
    session: Session, stages: Stages, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"], amount=1)
    rule = make_rule(
        "R", trigger_event="update", conditions=[when("amount", "changed_to", 7)], actions=[NOTE]
    )
    for hours, amount in ((3, 5), (2, 7), (1, 5)):
        with clock.at(noon + timedelta(hours=hours)):
            edit(deal, amount=amount)
    expect_equal(session, rule)


def test_deals_of_one_contact_that_change_together_are_told_in_the_order_of_the_engine(
    session: Session, stages: Stages
) -> None:
    entity = make_entity()
    first, second = (make_deal(stages["Lead"], name, entity=entity) for name in ("First", "Second"))
    rules = [
        make_rule(
            f"Is {status}", order=order, trigger_event="update", conditions=[when("entity.status", "equals", status)],
            actions=[NOTE],
        )
        for order, status in enumerate(("Active", "Inactive"), 1)
    ]  # fmt: skip
    off = act("update_field", field_name="entity.status", value="Inactive")
    make_rule(
        "Off", order=3, trigger_event="update", conditions=[when("name", "contains", "off")], actions=[off]
    )
    alive = [when("status", "equals", "Active")]
    rules.append(
        make_rule("Own", entity_type="Entity", trigger_event="update", conditions=alive, actions=[NOTE])
    )

    def work(session: Session, *named: tuple[UUID, str]) -> None:
        for deal_id, name in named:
            Deal.locked(session, deal_id).name = name
            session.flush()
        Entity.locked(session, entity.id).note = named[0][1]

    changes.commit(lambda session: work(session, (first.id, "one"), (second.id, "two off")))
    changes.commit(lambda session: setattr(Entity.locked(session, entity.id), "status", "Active"))
    changes.commit(lambda session: work(session, (first.id, "one off"), (second.id, "two")))
    expect_equal(session, *rules)


def test_a_rule_meets_nothing_that_came_of_its_own_doing_however_far(
    session: Session, stages: Stages, ann: User
) -> None:
    rules = [
        make_rule(name, entity_type="Activity", order=order, actions=[NOTE])
        for order, name in enumerate(("One", "Two"), 1)
    ]
    make_note(make_deal(stages["Lead"]), by=ann)
    expect_equal(session, *rules)


def test_when_the_next_step_was_due_is_told_from_the_tasks(
    session: Session, stages: Stages, ann: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"])
    task = act("create_activity", type="task", subject="Call", due_in_days=3)
    idle = [when("next_due_at", "is_empty")]
    rule = make_rule("Plan", trigger_event="update", conditions=idle, actions=[task])
    edit(deal, amount=1)
    edit(deal, amount=2)
    made = session.scalars(select(Activity.id).where(Activity.type == "task")).one()
    changes.commit(lambda session: setattr(Activity.locked(session, made), "completed_at", noon), by=ann)
    edit(deal, amount=3)
    assert len(really_did(session, rule)) == 2
    expect_equal(session, rule)


# Rules of time ---------------------------------------------------------------------------------------------------


DAYS = 40


def really_met(session: Session, rule: WorkflowRule) -> set[tuple[UUID, int]]:
    """(deal, day on which the rule met it and acted), when it was on."""
    session.rollback()
    return {
        (look.record_id, (look.at - NOON).days)
        for look in session.scalars(select(RuleLook))
        for line in look.looks
        if line[0] == str(rule.id) and line[2]
    }


NOON = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize(
    ("trigger", "config", "conditions"),
    [
        ("days_in_stage", {"days": 5}, []),
        ("days_in_stage", {"days": 3}, [when("amount", "greater_than", 600)]),
        ("no_activity", {"days": 4}, []),
        ("date_reached", {"days": 2, "field": "expected_close_date", "side": "before"}, []),
        ("date_reached", {"days": 1, "field": "closed_date", "side": "after"}, []),
    ],
)
def test_a_rule_of_time_is_told_on_the_days_on_which_it_met_somebody(
    session: Session, stages: Stages, noon: datetime, seed: int, trigger: str, config: Any, conditions: Any
) -> None:
    with clock.at(noon - timedelta(minutes=1)):
        rule = make_rule("Timely", trigger_event=trigger, trigger_config=config, conditions=conditions)
    life = Life(session, stages, seed)
    for day in range(DAYS):
        with clock.at(noon + timedelta(days=day, minutes=-30)):
            ticks.tick(100)
        with clock.at(noon + timedelta(days=day)):
            if life.dice.random() < 0.6:
                life.act()
            if life.dice.random() < 0.3:
                date_them(life, noon.date() + timedelta(days=day))
    with clock.at(noon + timedelta(days=DAYS, minutes=-30)):
        ticks.tick(100)
        session.rollback()
        page = backtest.page(session, session.get_one(WorkflowRule, rule.id), noon - timedelta(minutes=1))
    found = {(firing.record, (firing.at - NOON).days) for firing in page.firings}
    assert found == {(record, day) for record, day in really_met(session, rule)}


def date_them(life: Life, today: Any) -> None:
    """One deal gets a close date, or sleeps for a while."""
    deal_id, days = life.dice.choice(life.deals).id, life.dice.randrange(1, 9)
    field = life.dice.choice(("expected_close_date", "snoozed_until"))
    by = life.people[0]
    changes.commit(
        lambda session: setattr(Deal.locked(session, deal_id), field, today + timedelta(days=days)), by=by
    )


def days_of(session: Session, rule: WorkflowRule, since: datetime) -> list[int]:
    """On which days the rule would have met somebody, by now."""
    session.rollback()
    page = backtest.page(session, session.get_one(WorkflowRule, rule.id), since)
    return sorted((firing.at - NOON).days for firing in page.firings)


def days_met(days: int) -> list[int]:
    """On which days rules of time met somebody; the worker looks at noon."""
    found = []
    for day in range(days):
        with clock.at(NOON + timedelta(days=day, minutes=1)):
            found += [day] * ticks.tick(100)
    return found


def test_a_sign_of_life_counts_although_it_came_before_the_rule_or_was_deleted(
    session: Session, stages: Stages, ann: User, noon: datetime
) -> None:
    quiet, noted = make_deal(stages["Lead"], "Quiet"), make_deal(stages["Lead"], "Noted")
    with clock.at(noon - timedelta(days=50)):
        made = make_deal(stages["Lead"], "Old")
    with clock.at(noon - timedelta(days=3)):
        edit(made, by=ann, amount=7)
    rule = make_rule("Remind", trigger_event="no_activity", trigger_config={"days": 5})
    with clock.at(noon + timedelta(hours=1)):
        edit(quiet, by=ann, amount=7)
    with clock.at(noon + timedelta(days=3)):
        note = make_note(noted, by=ann)
        changes.commit(lambda session: Activity.locked(session, note.id).delete(ann), by=ann)
    with clock.at(noon + timedelta(days=12)):
        # A day begins at midnight, the worker of this test comes at noon.
        assert [day + 1 for day in days_of(session, rule, noon)] == days_met(12) == [2, 5, 8]


def test_a_task_that_is_planned_for_a_day_that_is_over_is_no_occasion(
    session: Session, stages: Stages, noon: datetime
) -> None:
    before = {"field": "due_at", "side": "before", "days": 2}
    tell = act("send_notification", message="Soon")
    rule = make_rule(
        "Soon", entity_type="Activity", trigger_event="date_reached", trigger_config=before, actions=[tell]
    )
    with clock.at(noon + timedelta(days=20)):
        deal = make_deal(stages["Lead"])
        make_note(deal, type="task", due_at=noon + timedelta(days=10))
        make_note(deal, type="task", due_at=noon + timedelta(days=21))
        assert ticks.tick(10) == 1
    with clock.at(noon + timedelta(days=30)):
        assert days_of(session, rule, noon) == [20]


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_dates_at_the_ends_of_the_calendar_break_nothing(
    session: Session, stages: Stages, noon: datetime, zone: str, side: str
) -> None:
    config.use(config.read({}, timezone=zone))
    counts = {"field": "expected_close_date", "side": side, "days": 400}
    rule = make_rule("Far", trigger_event="date_reached", trigger_config=counts)
    for day in (date.min, date.max):
        make_deal(stages["Lead"], f"{day}", expected_close_date=day)
    with clock.at(noon + timedelta(days=3)):
        assert ticks.tick(10) == 0
        assert days_of(session, rule, noon) == []


@pytest.mark.parametrize("hours", [0, 5])
def test_rules_that_time_sets_off_on_the_same_day_are_told_in_their_order_whenever_the_worker_came(
    session: Session, stages: Stages, noon: datetime, hours: int
) -> None:
    midnight = noon + timedelta(hours=12)
    on = act("move_to_stage", stage_id=str(stages["Qualified"].id))
    rules = [
        make_rule(
            name, order=order, trigger_event="days_in_stage",
            trigger_config={"days": 2, "stage": str(stages["Lead"].id)},
            actions=[doing],
        )
        for order, (name, doing) in enumerate((("Note", NOTE), ("On", on), ("Too late", NOTE)), 1)
    ]  # fmt: skip
    make_deal(stages["Lead"])
    with clock.at(midnight + timedelta(days=1, hours=hours)):
        assert ticks.tick(10) == 2
        assert [len(days_of(session, rule, noon)) for rule in rules] == [1, 1, 0]


def test_a_task_is_no_occasion_while_its_deal_is_deleted(
    session: Session, stages: Stages, ann: User, noon: datetime
) -> None:
    tell, overdue = act("send_notification", message="Late"), {"field": "due_at", "days": 2}
    rule = make_rule(
        "Late", entity_type="Activity", trigger_event="date_reached", trigger_config=overdue, actions=[tell]
    )
    deal = make_deal(stages["Lead"])
    make_note(deal, type="task", due_at=noon)
    with clock.at(noon + timedelta(days=1)):
        changes.commit(lambda session: Deal.locked(session, deal.id).delete(ann), by=ann)
    with clock.at(noon + timedelta(days=3)):
        assert due.qualifying(session, session.get_one(WorkflowRule, rule.id)).number == 0
        assert days_of(session, rule, noon) == []
    with clock.at(noon + timedelta(days=5)):
        undo(session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc())).first() or deal.id, ann)
        assert ticks.tick(10) == 1
        assert days_of(session, rule, noon) == [5]
