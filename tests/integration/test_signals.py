"""Lifecycle signals: sent once, after the COMMIT, to subscribers that can break nothing."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes
from crmweb.errors import WorkflowExecutionError
from crmweb.extensions import db
from crmweb.models import Deal, Entity, Stage, User
from crmweb.models.deal import Place
from crmweb.services import DealService
from crmweb.signals import CRMLifecycleEvent, LifecycleSignal
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, make_rule

Stages = dict[str, Stage]
SIGNALS: dict[str, LifecycleSignal] = {
    "moved": CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE,
    "won": CRMLifecycleEvent.ON_DEAL_WON,
    "lost": CRMLifecycleEvent.ON_DEAL_LOST,
}


@pytest.fixture(autouse=True)
def unsubscribe() -> Iterator[None]:
    """No subscriber outlives its test."""
    yield
    for signal in SIGNALS.values():
        for receiver in list(signal.receivers.values()):
            signal.disconnect(receiver)


@pytest.fixture
def heard() -> list[tuple[str, Any, dict[str, Any]]]:
    """What was sent: which signal, its sender, its payload."""
    log: list[tuple[str, Any, dict[str, Any]]] = []

    def listener(name: str) -> Any:
        def remember(sender: Any, **payload: Any) -> None:
            log.append((name, sender, payload))

        return remember

    for name, signal in SIGNALS.items():
        signal.connect(listener(name))
    return log


def names(heard: list[tuple[str, Any, dict[str, Any]]]) -> list[str]:
    return [name for name, _, _ in heard]


Heard = list[tuple[str, Any, dict[str, Any]]]


# What is sent ----------------------------------------------------------------------------------------------------


def test_a_stage_change_tells_deal_both_stages_and_the_address(
    stages: Stages, priya: User, heard: Heard
) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    move(deal, stages["Proposal"], by=priya)
    ((name, sender, payload),) = heard
    assert (name, sender) == ("moved", DealService)
    assert list(payload) == ["deal", "user_email", "old_stage", "new_stage"]
    assert (payload["deal"], payload["user_email"]) == (fresh(deal), "priya@example.org")
    assert isinstance(payload["old_stage"], Stage)
    assert (payload["old_stage"].name, payload["new_stage"].name) == ("Lead", "Proposal")


def test_winning_tells_after_the_stage_change(stages: Stages, priya: User, heard: Heard) -> None:
    move(make_deal(stages["Lead"]), stages["Closed Won"], by=priya)
    assert names(heard) == ["moved", "won"]
    assert list(heard[1][2]) == ["deal", "user_email"]


def test_losing_tells_after_the_stage_change(stages: Stages, heard: Heard) -> None:
    move(make_deal(stages["Lead"]), stages["Closed Lost"])
    assert names(heard) == ["moved", "lost"]
    assert heard[1][2]["user_email"] is None


def test_an_unknown_address_is_told_as_it_was_given(stages: Stages, heard: Heard) -> None:
    DealService.move_deal_to_stage(
        make_deal(stages["Lead"]), stages["Proposal"].id, user_email="sales@example.com"
    )
    assert heard[0][2]["user_email"] == "sales@example.com"


def test_a_creation_a_reorder_and_an_edit_tell_nothing(stages: Stages, heard: Heard) -> None:
    deal = make_deal(stages["Closed Won"])
    move(deal, stages["Closed Won"], place=Place(position=1))
    edit(deal, name="Crane fleet")
    assert heard == []


def test_a_move_by_a_rule_tells_too(stages: Stages, heard: Heard) -> None:
    make_rule(
        trigger_event="update", conditions=[{"field": "status", "operator": "equals", "value": "closed_won"}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Lead"].id)}}],
    )  # fmt: skip
    move(make_deal(stages["Proposal"]), stages["Closed Won"])
    assert names(heard) == ["moved", "won", "moved"]


def test_the_deal_arrives_loaded(stages: Stages, priya: User) -> None:
    deal, shown = make_deal(stages["Lead"], owner=priya), []

    def show(sender: Any, deal: Deal, **_: Any) -> None:
        db.session.expunge_all()
        shown.append(
            (deal.stage.name, deal.stage.pipeline.name, deal.entity.name, deal.assigned_to.name, deal.version)
        )

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(show)
    move(deal, stages["Proposal"])
    assert shown == [("Proposal", "Sales Pipeline", "Forklift fleet Ltd", "Priya Nair", 2)]


# When it is sent -------------------------------------------------------------------------------------------------


def test_it_is_sent_after_the_commit(stages: Stages, app: Flask) -> None:
    deal, seen = make_deal(stages["Lead"]), []

    def look(sender: Any, **_: Any) -> None:
        with app.app_context():  # another session, as another process would have
            seen.append(db.session.scalar(select(Stage.name).join(Deal, Deal.stage_id == Stage.id)))

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(look)
    move(deal, stages["Proposal"])
    assert seen == ["Proposal"]


def test_nothing_is_sent_for_what_was_rolled_back(stages: Stages, heard: Heard) -> None:
    deal_id, proposal = make_deal(stages["Lead"]).id, stages["Proposal"].id

    def fail(session: Session) -> None:
        Deal.locked(session, deal_id).move_to(proposal)
        session.flush()
        raise LookupError

    with pytest.raises(LookupError):
        changes.commit(fail)
    move(make_deal(stages["Lead"]), stages["Qualified"])
    assert [payload["new_stage"].name for _, _, payload in heard] == ["Qualified"]


def test_nothing_is_sent_when_a_rule_undid_the_move(stages: Stages, heard: Heard, tom: User) -> None:
    make_rule(
        trigger_event="update", on_failure="undo",
        actions=[{"type": "update_field", "config": {"field_name": "assigned_to", "value": str(tom.id)}}],
    )  # fmt: skip
    tom.is_active = False
    changes.commit()
    with pytest.raises(WorkflowExecutionError):
        move(make_deal(stages["Lead"]), stages["Closed Won"])
    assert heard == []


def test_work_that_was_tried_again_tells_once(stages: Stages, heard: Heard) -> None:
    deal_id, proposal, tries = make_deal(stages["Lead"]).id, stages["Proposal"].id, []

    def stale_once(session: Session) -> None:
        Deal.locked(session, deal_id).move_to(proposal)
        session.flush()
        tries.append(len(tries))
        if len(tries) == 1:
            session.execute(text("UPDATE deals SET version = version + 1"))
            session.get_one(Deal, deal_id).name = "Stale"

    changes.commit(stale_once)
    assert tries == [0, 1]
    assert names(heard) == ["moved"]


# Subscribers -----------------------------------------------------------------------------------------------------


def test_a_subscriber_that_nothing_else_holds_is_kept(stages: Stages) -> None:
    heard = []

    def subscribe() -> None:
        CRMLifecycleEvent.ON_DEAL_WON.connect(lambda sender, **_: heard.append("won"))

    subscribe()
    gc.collect()
    move(make_deal(stages["Lead"]), stages["Closed Won"])
    assert heard == ["won"]


def test_a_failing_subscriber_is_logged_by_name_and_breaks_nothing(
    stages: Stages, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def webhook(sender: Any, **_: Any) -> None:
        raise ConnectionError("webhook down")

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(webhook)
    deal = make_deal(stages["Lead"])
    with caplog.at_level(logging.ERROR):
        assert move(deal, stages["Closed Won"]).kind == "moved"
    assert fresh(deal).stage.name == "Closed Won"
    assert sorted(names(heard)) == ["moved", "won"], "the others hear all the same"
    assert "webhook" in caplog.text
    assert "webhook down" in caplog.text


def test_a_subscriber_that_breaks_its_session_breaks_nothing(
    stages: Stages, session: scoped_session[Session]
) -> None:
    def ask_nonsense(sender: Any, **_: Any) -> None:
        db.session.execute(text("SELECT * FROM nowhere"))

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(ask_nonsense)
    deal = make_deal(stages["Lead"])
    assert DealService.move_deal_to_stage(deal, stages["Proposal"].id).stage.name == "Proposal"
    assert session.scalar(select(Deal.version)) == 2


def test_what_a_subscriber_leaves_unsaved_is_dropped(
    stages: Stages, session: scoped_session[Session]
) -> None:
    def rename(sender: Any, deal: Deal, **_: Any) -> None:
        deal.name = "Renamed behind the door"
        db.session.add(Entity(name="Left over"))

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(rename)
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    move(deal, stages["Lead"])
    assert fresh(deal).name == "Forklift fleet"


def test_a_subscriber_may_change_things_by_the_door(stages: Stages) -> None:
    entity = make_entity()
    entity_id = entity.id

    def thank(sender: Any, **_: Any) -> None:
        changes.commit(lambda session: setattr(session.get_one(Entity, entity_id), "note", "Thanked"))

    CRMLifecycleEvent.ON_DEAL_WON.connect(thank)
    move(make_deal(stages["Lead"]), stages["Closed Won"])
    assert db.session.get_one(Entity, entity_id, populate_existing=True).note == "Thanked"
