"""What a rule would have done is what it really did when it was on, deal by deal and change by change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock, ticks
from crmweb.models import Base, ChangeSet, Deal, RuleLook, Stage, User, WorkflowRule
from crmweb.models.types import new_id
from crmweb.workflow import backtest
from tests.support.factories import make_deal, make_rule
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
