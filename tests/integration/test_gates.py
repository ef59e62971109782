"""What a stage asks of whoever brings a deal in, and how many it holds: people, rules, services, arrivals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.errors import (
    ConflictError,
    FieldError,
    MissingFieldsError,
    StageFullError,
    UndoError,
    WorkflowExecutionError,
)
from crmweb.extensions import db
from crmweb.models import Change, ChangeSet, Deal, Stage, User, arranging
from crmweb.models.deal import Asked, Seen
from crmweb.services import DealService
from crmweb.undo import undo
from tests.support.deals import column, edit, fresh, history, move, path
from tests.support.factories import make_deal, make_entity, make_person, make_rule, save
from tests.support.gates import gate, limit
from tests.support.statements import count_statements

Stages = dict[str, Stage]
PERSON = Asked()


@pytest.fixture
def strict(stages: Stages) -> Stage:
    """Negotiation, which asks for an amount and a close date."""
    gate(stages["Negotiation"], required_fields=["amount", "expected_close_date"])
    return stages["Negotiation"]


@pytest.fixture
def full(stages: Stages) -> Stage:
    """Proposal, which holds two deals and has them."""
    for name in ("One", "Two"):
        make_deal(stages["Proposal"], name)
    limit(stages["Proposal"], 2)
    return stages["Proposal"]


def newest() -> UUID:
    """The change set made last."""
    db.session.rollback()
    return db.session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1)).one()


def change_sets() -> int:
    return db.session.scalar(select(func.count()).select_from(ChangeSet)) or 0


# What is missing -------------------------------------------------------------------------------------------------


def test_a_person_is_told_all_that_is_missing_and_nothing_changes(
    stages: Stages, strict: Stage, priya: User
) -> None:
    deal, before = make_deal(stages["Lead"], amount=None), change_sets()
    with pytest.raises(MissingFieldsError, match="an amount and a close date") as refused:
        move(deal, strict, by=priya, asked=PERSON)
    assert set(refused.value.missing) == {"amount", "expected_close_date"}
    assert path(deal) == ["Lead"]
    assert change_sets() == before


def test_what_is_given_and_the_move_are_one_change(stages: Stages, strict: Stage, priya: User) -> None:
    deal = make_deal(stages["Lead"], amount=None)
    before = change_sets()
    move(deal, strict, by=priya, asked=Asked({"amount": 700, "expected_close_date": date(2027, 5, 4)}))
    stored = fresh(deal)
    assert (stored.amount, stored.expected_close_date, stored.version) == (700, date(2027, 5, 4), 2)
    assert change_sets() == before + 1
    assert {field for field, _, _ in history(deal)} >= {"amount", "expected_close_date", "stage_id"}
    assert len(set(db.session.scalars(select(Change.change_set_id).where(Change.record_id == deal.id)))) == 2


def test_what_somebody_else_wrote_meanwhile_stays(stages: Stages, strict: Stage, priya: User) -> None:
    deal = make_deal(stages["Lead"], amount=900, expected_close_date=date(2027, 1, 1))
    move(deal, strict, by=priya, asked=Asked({"amount": 1, "expected_close_date": date(2030, 1, 1)}))
    assert (fresh(deal).amount, fresh(deal).expected_close_date) == (900, date(2027, 1, 1))


def test_custom_fields_and_an_owner_can_be_asked_for(stages: Stages, priya: User) -> None:
    gate(stages["Qualified"], required_fields=["assigned_to", "custom_fields.contract"])
    deal = make_deal(stages["Lead"], custom_fields={"size": 3})
    given = {"assigned_to": priya.id, "custom_fields.contract": "C-7"}
    move(deal, stages["Qualified"], by=priya, asked=Asked(given))
    assert fresh(deal).assigned_to_id == priya.id
    assert fresh(deal).custom_fields == {"size": 3, "contract": "C-7"}


@pytest.mark.parametrize("who", ["unknown", "closed"])
def test_whoever_has_no_account_cannot_be_given_the_deal(stages: Stages, priya: User, who: str) -> None:
    gate(stages["Qualified"], required_fields=["assigned_to"])
    deal, person = make_deal(stages["Lead"]), make_person("Robin", is_active=False)
    given = {"assigned_to": uuid4() if who == "unknown" else person.id}
    with pytest.raises(FieldError, match="Choose somebody else") as refused:
        move(deal, stages["Qualified"], by=priya, asked=Asked(given))
    assert refused.value.field == "assigned_to"
    assert path(deal) == ["Lead"]


def test_a_loss_needs_a_reason_where_the_pipeline_asks(stages: Stages, priya: User) -> None:
    gate(stages["Lead"].pipeline, asks_lost_reason=True)
    deal = make_deal(stages["Lead"])
    with pytest.raises(MissingFieldsError, match="Why was this deal lost") as refused:
        move(deal, stages["Closed Lost"], by=priya, asked=PERSON)
    assert refused.value.missing == {"lost_reason": "Closed Lost needs a reason."}
    move(deal, stages["Closed Lost"], by=priya, asked=PERSON, lost_reason="Price")
    assert fresh(deal).lost_reason == "Price"


def test_a_lost_deal_keeps_its_reason_in_another_lost_stage(stages: Stages, priya: User) -> None:
    pipeline = stages["Lead"].pipeline
    gone = save(Stage(pipeline=pipeline, name="Gone", order=9, status="closed_lost", probability=0))
    gate(pipeline, asks_lost_reason=True)
    deal = make_deal(stages["Lead"])
    move(deal, stages["Closed Lost"], by=priya, asked=PERSON, lost_reason="Price")
    move(deal, gone, by=priya, asked=PERSON)
    assert (path(deal)[-1], fresh(deal).lost_reason) == ("Gone", "Price")


def test_nobody_is_asked_who_only_sorts_a_column(stages: Stages, strict: Stage, priya: User) -> None:
    deal = make_deal(strict, amount=None)
    assert move(deal, strict, by=priya, asked=PERSON).kind == "placed"


def test_a_repeated_key_and_a_conflict_come_before_the_questions(
    stages: Stages, strict: Stage, priya: User, tom: User
) -> None:
    deal = make_deal(stages["Lead"], amount=None)
    move(deal, strict, by=priya, key="k", asked=Asked({"amount": 5, "expected_close_date": date(2027, 1, 1)}))
    move(deal, stages["Lead"], by=tom)
    edit(deal, amount=None)
    again = move(deal, strict, by=priya, key="k", asked=Asked({"amount": 8}))
    assert (again.kind, fresh(deal).amount, path(deal)[-1]) == ("repeated", None, "Lead")
    with pytest.raises(ConflictError):
        move(deal, strict, by=priya, seen=Seen(stages["Qualified"].id, 1), asked=Asked({"amount": 8}))


def test_rules_services_and_code_are_asked_for_nothing(stages: Stages, strict: Stage, priya: User) -> None:
    gate(strict.pipeline, asks_lost_reason=True)
    lost = {"type": "move_to_stage", "config": {"stage_id": str(stages["Closed Lost"].id)}}
    by_rule, by_service = make_deal(stages["Lead"], amount=None), make_deal(stages["Lead"], amount=None)
    DealService.move_deal_to_stage(by_service, strict.id, user_email=priya.email)
    assert path(by_service)[-1] == "Negotiation"
    make_rule(trigger_event="update", actions=[lost])
    move(by_rule, strict)
    assert path(by_rule)[-1] == "Closed Lost"
    assert make_deal(strict, amount=None).stage_id == strict.id


def test_one_undo_takes_back_what_was_given_and_the_move(stages: Stages, strict: Stage, priya: User) -> None:
    deal = make_deal(stages["Lead"], amount=None, owner=priya)
    move(deal, strict, by=priya, asked=Asked({"amount": 700, "expected_close_date": date(2027, 5, 4)}))
    undo(newest(), priya)
    stored = fresh(deal)
    assert (stored.stage_id, stored.amount, stored.expected_close_date) == (stages["Lead"].id, None, None)


def test_an_undo_is_asked_for_nothing_but_finds_a_full_stage_full(
    stages: Stages, full: Stage, priya: User
) -> None:
    one = db.session.scalars(select(Deal).where(Deal.name == "One")).one()
    gate(full, required_fields=["expected_close_date"])
    move(one, stages["Lead"], by=priya, asked=PERSON)
    left = newest()
    other = make_deal(stages["Lead"], "Other", owner=priya)
    move(other, full, by=priya)
    with pytest.raises(UndoError, match=r"Proposal is full: 2 of 2\."):
        undo(left, priya)
    move(other, stages["Lead"], by=priya)
    undo(left, priya)
    assert sorted(column(full)) == ["One", "Two"]


# How many it holds -----------------------------------------------------------------------------------------------


def test_a_full_stage_takes_no_deal_whoever_brings_it(stages: Stages, full: Stage, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(StageFullError, match=r"Proposal is full: 2 of 2\. Move one on first") as refused:
        move(deal, full, by=priya, asked=PERSON)
    assert (refused.value.held, refused.value.most) == (2, 2)
    with pytest.raises(StageFullError):
        DealService.move_deal_to_stage(deal, full.id)
    db.session.rollback()
    with pytest.raises(StageFullError):
        make_deal(full, "Three")
    assert len(column(full)) == 2
    assert path(deal) == ["Lead"]


def test_a_manager_lets_one_in_and_the_next_is_told_how_many_there_are(
    stages: Stages, full: Stage, priya: User, marek: User
) -> None:
    move(make_deal(stages["Lead"]), full, by=marek, asked=Asked(lets_in=True))
    with pytest.raises(StageFullError, match="3 of 2"):
        move(make_deal(stages["Lead"]), full, by=priya, asked=PERSON)


def test_a_full_stage_can_be_sorted_and_left(stages: Stages, full: Stage, priya: User) -> None:
    one = db.session.scalars(select(Deal).where(Deal.name == "One")).one()
    assert move(one, full, by=priya, asked=PERSON).kind == "placed"
    move(one, stages["Lead"], by=priya, asked=PERSON)
    move(one, full, by=priya, asked=PERSON)
    assert len(column(full)) == 2


def test_deals_that_arrive_together_share_the_room_that_is_left(stages: Stages) -> None:
    limit(stages["Proposal"], 2)
    entity = make_entity()
    arriving = [Deal(name=str(n), entity=entity, stage=stages["Proposal"]) for n in range(3)]
    with pytest.raises(StageFullError, match="2 of 2"):
        save(*arriving)
    assert column(stages["Proposal"]) == []


def test_a_deleted_deal_does_not_come_back_into_a_full_stage(
    stages: Stages, full: Stage, marek: User
) -> None:
    one = db.session.scalars(select(Deal).where(Deal.name == "One")).one()

    def bring(is_back: bool) -> Any:
        def work(session: Session) -> None:
            deal = session.get_one(Deal, one.id)
            deal.deleted_at, deal.deleted_by_id = (None, None) if is_back else (deal.created_at, marek.id)

        return changes.commit(work, by=marek)

    bring(False)
    move(make_deal(stages["Lead"]), full, by=marek)
    with pytest.raises(StageFullError):
        bring(True)


@pytest.mark.parametrize("on_failure", ["keep", "undo"])
def test_a_rule_that_finds_no_room_fails_as_any_rule(stages: Stages, full: Stage, on_failure: str) -> None:
    action = {"type": "move_to_stage", "config": {"stage_id": str(full.id)}}
    make_rule(trigger_event="update", actions=[action], on_failure=on_failure)
    deal = make_deal(stages["Lead"])
    if on_failure == "undo":
        with pytest.raises(WorkflowExecutionError, match="Proposal is full: 2 of 2"):
            move(deal, stages["Qualified"])
    else:
        move(deal, stages["Qualified"])
    assert path(deal)[-1] == ("Lead" if on_failure == "undo" else "Qualified")


def test_archiving_a_stage_does_not_overfill_another(stages: Stages, full: Stage, marek: User) -> None:
    make_deal(stages["Qualified"])
    with pytest.raises(StageFullError):
        changes.commit(
            lambda session: arranging.archive_stage(session, stages["Qualified"].id, full.id, marek), by=marek
        )
    assert len(column(stages["Qualified"])) == 1


def test_a_soft_limit_refuses_nobody(stages: Stages, full: Stage, priya: User) -> None:
    limit(full, 2, "soft")
    move(make_deal(stages["Lead"]), full, by=priya, asked=PERSON)
    assert len(column(full)) == 3


def test_of_several_at_the_last_place_exactly_one_gets_in(stages: Stages, app: Flask) -> None:
    deals = [make_deal(stages["Lead" if n % 2 else "Qualified"], str(n)) for n in range(4)]
    make_deal(stages["Proposal"], "There first")
    limit(stages["Proposal"], 2)
    ids, target = [deal.id for deal in deals], stages["Proposal"].id

    def enter(number: int) -> str:
        with app.app_context():
            try:
                changes.commit(lambda session: Deal.locked(session, ids[number]).move_to(target))
            except StageFullError:
                return "full"
            return "in"

    with ThreadPoolExecutor(len(ids)) as threads:
        outcomes = list(threads.map(enter, range(len(ids))))
    assert sorted(outcomes) == ["full", "full", "full", "in"]
    db.session.rollback()
    assert len(column(stages["Proposal"])) == 2


def test_a_move_and_an_arrival_do_not_both_get_the_last_place(stages: Stages, app: Flask) -> None:
    deal, entity = make_deal(stages["Lead"]).id, make_entity().id
    limit(stages["Proposal"], 1)
    target = stages["Proposal"].id

    def enter() -> None:
        changes.commit(lambda session: Deal.locked(session, deal).move_to(target))

    def arrive() -> None:
        changes.commit(
            lambda session: session.add(
                Deal(name="New", entity_id=entity, stage=session.get_one(Stage, target))
            )
        )

    def attempt(work: Any) -> str:
        with app.app_context():
            try:
                work()
            except StageFullError:
                return "full"
            return "in"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(attempt, (enter, arrive))) == ["full", "in"]


def test_only_a_hard_limit_costs_statements(stages: Stages, full: Stage, priya: User) -> None:
    def cost(target: Stage, **how: Any) -> int:
        deal = make_deal(stages["Lead"], amount=5)
        with count_statements() as statements:
            move(deal, target, by=priya, **how)
        return len(statements)

    plain = cost(stages["Negotiation"])
    gate(stages["Negotiation"], required_fields=["amount"], max_deals=50)
    assert cost(stages["Negotiation"], asked=PERSON) == plain
    limit(stages["Negotiation"], 50)
    assert cost(stages["Negotiation"], asked=PERSON) == plain + 2
