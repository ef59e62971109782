"""Traps of the documents' own implementation that concern moves and events: D16 to D27. Each test names its own.

D28 and D29 (timelines) are in `test_services.py`, D30 to D44 (rules) in `test_rule_engine.py`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.errors import (
    ConflictError,
    InvalidStageTransitionError,
    PermissionDeniedError,
    WorkflowExecutionError,
)
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Entity, Stage, StageChange, User
from crmweb.models.deal import Seen
from crmweb.services import ActivityService, DealService
from crmweb.signals import CRMLifecycleEvent
from tests.support.deals import audit_notes, fresh, move, path, steps
from tests.support.factories import make_deal, make_pipeline, make_rule

Stages = dict[str, Stage]


def test_a_stage_of_another_pipeline_is_refused(stages: Stages) -> None:
    """D16: nobody looked whether the stage belonged to the deal's pipeline."""
    deal = make_deal(stages["Lead"])
    with pytest.raises(InvalidStageTransitionError, match="belongs to the pipeline"):
        DealService.move_deal_to_stage(deal, make_pipeline("Partners")["Lead"].id)
    assert fresh(deal).stage is stages["Lead"]


def test_the_documented_errors_are_raised(stages: Stages, priya: User, tom: User) -> None:
    """D17: two of the documented errors were never raised, and an unknown stage was some other error."""
    deal = make_deal(stages["Lead"], owner=priya)
    with pytest.raises(InvalidStageTransitionError):
        DealService.move_deal_to_stage(deal, uuid4())
    with pytest.raises(PermissionDeniedError):
        DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=tom.email)


@pytest.mark.parametrize(("role", "may"), [("rep", False), ("manager", True), ("admin", True)])
def test_rights_are_checked(role: str, may: bool, stages: Stages, priya: User, tom: User) -> None:
    """D18: there was no check of rights at all."""
    deal = make_deal(stages["Lead"], owner=priya)
    tom.role = role
    changes.commit()
    if may:
        assert DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=tom.email) is deal
    else:
        with pytest.raises(PermissionDeniedError):
            DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=tom.email)
    assert path(deal) == ["Lead", "Proposal"] if may else ["Lead"]


def test_a_move_into_the_same_stage_writes_and_tells_nothing(stages: Stages) -> None:
    """D19: it wrote a note "Lost → Lost" and told the loss again."""
    deal, heard = make_deal(stages["Closed Lost"]), []

    def remember(sender: Any, **_: Any) -> None:
        heard.append(sender)

    for signal in (CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE, CRMLifecycleEvent.ON_DEAL_LOST):
        signal.connect(remember)
    try:
        DealService.move_deal_to_stage(deal, stages["Closed Lost"].id)
    finally:
        for signal in (CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE, CRMLifecycleEvent.ON_DEAL_LOST):
            signal.disconnect(remember)
    assert (audit_notes(deal), path(deal), heard) == ([], ["Closed Lost"], [])


def test_a_stale_second_writer_does_not_undo_the_first(
    stages: Stages, priya: User, tom: User, app: Flask
) -> None:
    """D20: there was no check of versions."""
    deal = make_deal(stages["Lead"])
    seen = Seen(deal.stage_id, deal.version)
    move(deal, stages["Proposal"], by=tom, seen=seen)
    with pytest.raises(ConflictError, match="Tom Reyes moved this deal to Proposal"):
        move(deal, stages["Qualified"], by=priya, seen=seen)
    stale = fresh(deal)
    with app.app_context():
        changes.commit(lambda session: setattr(session.get(Deal, deal.id), "amount", 1))
    stale.amount = 2
    with pytest.raises(ConflictError):
        changes.commit()


def test_the_note_says_who_moved_the_deal(stages: Stages, priya: User) -> None:
    """D21: the mover was not recorded."""
    deal = make_deal(stages["Lead"], owner=priya)
    DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=priya.email)
    DealService.move_deal_to_stage(deal, stages["Lead"].id, user_email="sales@example.com")
    newest, oldest = ActivityService.get_timeline("Deal", deal.id)
    assert (newest.author_id, newest.by_label) == (None, "sales@example.com")
    assert oldest.author is priya


def test_the_time_in_each_stage_can_be_computed(stages: Stages, noon: datetime) -> None:
    """D22: the stages stood in a text only."""
    deal = make_deal(stages["Lead"])
    for days, name in ((2, "Proposal"), (5, "Closed Won")):
        with clock.at(noon + timedelta(days=days)):
            move(deal, stages[name])
    spent = {step.from_stage_id: step.seconds_in_from for step in steps(deal) if step.from_stage_id}
    assert spent == {stages["Lead"].id: 2 * 86400, stages["Proposal"].id: 3 * 86400}


def test_the_moves_note_comes_before_what_rules_do_about_it(stages: Stages, noon: datetime) -> None:
    """D23: the note was written last, so rules' notes stood before the move that they reacted to."""
    make_rule(
        trigger_event="update", actions=[{"type": "create_activity", "config": {"subject": "Send the offer"}}]
    )
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    assert [entry.subject for entry in ActivityService.get_timeline("Deal", deal.id)] == [
        "Send the offer",
        "Deal moved: Lead → Proposal",
    ], "newest first"


def test_there_is_one_road_for_every_stage_change(stages: Stages) -> None:
    """D24: setting the stage and saving, or a rule that did, wrote no note and told nothing."""
    deal = make_deal(stages["Lead"])
    with pytest.raises(InvalidStageTransitionError, match="move_to"):
        deal.stage = stages["Proposal"]
    with pytest.raises(InvalidStageTransitionError, match="move_to"):
        deal.stage_id = stages["Proposal"].id
    make_rule(
        trigger_event="update",
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Proposal"].id)}}],
    )
    deal.name = "Crane fleet"
    changes.commit()
    assert path(deal) == ["Lead", "Proposal"]
    assert [note.subject for note in audit_notes(deal)] == ["Deal moved: Lead → Proposal"]


def test_a_subscriber_that_fails_does_not_block_the_win(stages: Stages) -> None:
    """D25: events were told inside the transaction: "webhook down" undid the win."""

    def webhook(sender: Any, **_: Any) -> None:
        raise ConnectionError("webhook down")

    CRMLifecycleEvent.ON_DEAL_WON.connect(webhook)
    deal = make_deal(stages["Lead"])
    try:
        DealService.move_deal_to_stage(deal, stages["Closed Won"].id)
    finally:
        CRMLifecycleEvent.ON_DEAL_WON.disconnect(webhook)
    db.session.rollback()
    assert fresh(deal).status == "closed_won"


def test_nothing_is_told_of_a_move_that_was_rolled_back(stages: Stages, tom: User) -> None:
    """D25: a call could go out for a move that never happened."""
    heard = []

    def remember(sender: Any, **_: Any) -> None:
        heard.append(sender)

    make_rule(
        trigger_event="update", on_failure="undo",
        actions=[{"type": "update_field", "config": {"field_name": "assigned_to", "value": str(tom.id)}}],
    )  # fmt: skip
    tom.is_active = False
    changes.commit()
    deal = make_deal(stages["Lead"])
    CRMLifecycleEvent.ON_DEAL_WON.connect(remember)
    try:
        with pytest.raises(WorkflowExecutionError):
            DealService.move_deal_to_stage(deal, stages["Closed Won"].id)
    finally:
        CRMLifecycleEvent.ON_DEAL_WON.disconnect(remember)
    assert (heard, fresh(deal).stage.name) == ([], "Lead")


def test_an_event_carries_the_stages_themselves(stages: Stages) -> None:
    """D26: it carried names, which break when a stage is renamed."""
    heard: list[dict[str, Any]] = []

    def remember(sender: Any, **payload: Any) -> None:
        heard.append(payload)

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(remember)
    try:
        DealService.move_deal_to_stage(make_deal(stages["Lead"]), stages["Proposal"].id)
    finally:
        CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.disconnect(remember)
    assert (heard[0]["old_stage"].id, heard[0]["new_stage"].id) == (stages["Lead"].id, stages["Proposal"].id)


def test_winning_and_losing_are_told_to_real_subscribers_and_nothing_else_is_promised(stages: Stages) -> None:
    """D27: the only subscriber was an empty method, and two events were never told."""
    told = {name for name in vars(CRMLifecycleEvent) if name.startswith("ON_")}
    assert told == {"ON_DEAL_STAGE_CHANGE", "ON_DEAL_WON", "ON_DEAL_LOST"}
    thanked: list[str] = []

    def thank(sender: Any, deal: Deal, **_: Any) -> None:
        entity_id = deal.entity_id
        changes.commit(lambda session: setattr(session.get_one(Entity, entity_id), "note", "Thanked"))
        thanked.append(deal.name)

    CRMLifecycleEvent.ON_DEAL_WON.connect(thank)
    deal = make_deal(stages["Lead"])
    try:
        move(deal, stages["Closed Won"])
    finally:
        CRMLifecycleEvent.ON_DEAL_WON.disconnect(thank)
    assert thanked == ["Forklift fleet"]
    assert db.session.get_one(Entity, deal.entity_id, populate_existing=True).note == "Thanked"


def test_sync_and_async_are_one_road(stages: Stages) -> None:
    """Every operation was written twice; here the second is the first in a thread."""
    deal = make_deal(stages["Lead"])

    def work(session: Session) -> None:
        Deal.locked(session, deal.id).move_to(stages["Proposal"].id)

    changes.commit(work)
    for model in (Activity, StageChange):
        assert db.session.scalar(select(func.count()).select_from(model)) == (1 if model is Activity else 2)
