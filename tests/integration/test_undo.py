"""Undo: one change set takes back another with all that its rules did, or says in words why not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock, doctor
from crmweb.errors import CRMError, NotFoundError, PermissionDeniedError, UndoError
from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, Entity, Notification, Pipeline, Stage, User, arranging
from crmweb.models.base import Record
from crmweb.queries import notifications
from crmweb.signals import CRMLifecycleEvent
from crmweb.undo import undo
from tests.support.cast import Cast
from tests.support.deals import audit_notes, column, edit, fresh, move, path, steps, totals
from tests.support.factories import make_deal, make_entity, make_note, make_rule, save

Stages = dict[str, Stage]


def newest() -> UUID:
    """The change set made last."""
    db.session.rollback()
    return db.session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1)).one()


def undone_by(change_set_id: UUID) -> UUID | None:
    db.session.rollback()
    return db.session.get_one(ChangeSet, change_set_id, populate_existing=True).undone_by_id


def refusal(change_set_id: UUID, by: User) -> str:
    before = db.session.scalars(select(ChangeSet.id)).all()
    with pytest.raises(UndoError) as refused:
        undo(change_set_id, by)
    assert db.session.scalars(select(ChangeSet.id)).all() == before
    return refused.value.fact


def stored(record: Record) -> Any:
    db.session.rollback()
    return db.session.get_one(type(record), record.id, populate_existing=True)


def everything_agrees() -> None:
    db.session.rollback()
    with db.engine.connect() as connection:
        assert doctor.errors(doctor.examine(connection)) == []


# A move and its rules ----------------------------------------------------------------------------------------------


def test_a_move_is_taken_back_with_what_followed_from_it(stages: Stages, priya: User, noon: datetime) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    with clock.at(noon + timedelta(days=2)):
        move(deal, stages["Closed Lost"], by=priya, lost_reason="Price")
        lost = newest()
    with clock.at(noon + timedelta(days=3)):
        undone = undo(lost, priya)
    deal = fresh(deal)
    assert (deal.stage.name, deal.status, deal.lost_reason, deal.closed_date) == ("Lead", "open", None, None)
    assert deal.stage_entered_at == noon
    assert (undone.back_in, undone.stages) == (["Lead"], {stages["Closed Lost"].id, stages["Lead"].id})
    assert totals(stages["Closed Lost"]) == {}
    assert totals(stages["Lead"]) == {("Priya Nair", "USD"): (1, 50_000)}
    everything_agrees()


def test_an_undo_is_told_like_a_move_as_a_change_set_of_its_own(stages: Stages, priya: User) -> None:
    deal, told = make_deal(stages["Lead"]), []
    move(deal, stages["Proposal"], by=priya)
    moved = newest()
    listener = CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(
        lambda _, old_stage, new_stage, **rest: told.append(
            (old_stage.name, new_stage.name, rest["user_email"])
        )
    )
    try:
        undone = undo(moved, priya)
    finally:
        CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.disconnect(listener)
    assert told == [("Proposal", "Lead", "priya@example.org")]
    first, last = audit_notes(deal)
    assert first.subject == "Deal moved: Lead → Proposal"
    assert (last.subject, last.description, last.author_id) == (
        "Deal moved: Proposal → Lead",
        "Undone",
        priya.id,
    )
    assert (path(deal), steps(deal)[-1].cause) == (["Lead", "Proposal", "Lead"], "undo")
    change_set = db.session.get_one(ChangeSet, undone.change_set_id)
    assert (change_set.cause, change_set.parent_id, change_set.by_user_id) == ("undo", moved, priya.id)
    assert undone_by(moved) == change_set.id


def test_all_that_rules_did_in_the_change_is_taken_back_and_no_rule_runs(stages: Stages, cast: Cast) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    make_rule("Chase", trigger_event="update", actions=[
        {"type": "create_activity", "config": {"type": "task", "subject": "Send the offer"}},
        {"type": "update_field", "config": {"field_name": "amount", "value": "75000"}},
        {"type": "send_notification", "config": {"to": "managers"}},
        {"type": "move_to_stage", "config": {"stage_id": str(stages["Negotiation"].id)}},
    ])  # fmt: skip
    move(deal, stages["Proposal"], by=cast.priya)
    assert (fresh(deal).stage.name, fresh(deal).amount) == ("Negotiation", 75_000)
    undone = undo(newest(), cast.priya)
    assert (fresh(deal).stage.name, fresh(deal).amount, undone.gone) == ("Lead", 50_000, ["task"])
    assert path(deal) == ["Lead", "Proposal", "Negotiation", "Lead"]
    tasks = db.session.scalars(select(Activity).where(Activity.type == "task")).all()
    assert [task.deleted_at is None for task in tasks] == [False]
    assert notifications.unread(db.session(), cast.marek.id) == 0


def test_a_notification_that_was_read_stays(stages: Stages, cast: Cast) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    tell = {"type": "send_notification", "config": {"to": "managers"}}
    make_rule("Tell", trigger_event="update", actions=[tell, {**tell, "config": {"to": "owner"}}])
    move(deal, stages["Proposal"], by=cast.priya)
    moved = newest()
    line = db.session.scalars(select(Notification).where(Notification.user_id == cast.marek.id)).one()
    line.read_at = clock.now()
    changes.commit(cause="bookkeeping")
    undone = undo(moved, cast.priya)
    kept = {line.user_id: line.withdrawn_at is None for line in db.session.scalars(select(Notification))}
    assert kept == {cast.marek.id: True, cast.priya.id: False}
    undo(undone.change_set_id, cast.priya)
    assert notifications.unread(db.session(), cast.priya.id) == 1


def test_the_card_goes_back_above_the_card_that_was_below_it(stages: Stages, priya: User) -> None:
    deals = [make_deal(stages["Lead"], name) for name in "DCBA"]
    move(deals[2], stages["Proposal"], by=priya)
    moved = newest()
    make_deal(stages["Lead"], "New")
    undo(moved, priya)
    assert column(stages["Lead"]) == ["New", "A", "B", "C", "D"]


def test_the_last_card_goes_back_to_the_end_and_a_lone_neighbour_gone_means_the_top(
    stages: Stages, priya: User
) -> None:
    last, middle, _ = deals = [make_deal(stages["Lead"], name) for name in "CBA"]
    move(last, stages["Proposal"], by=priya)
    undo(newest(), priya)
    assert column(stages["Lead"]) == ["A", "B", "C"]
    move(middle, stages["Proposal"], by=priya)
    moved = newest()
    move(deals[0], stages["Qualified"], by=priya)
    undo(moved, priya)
    assert column(stages["Lead"]) == ["B", "A"]


# Other acts --------------------------------------------------------------------------------------------------------


def test_an_edit_is_taken_back(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya, custom_fields={"seats": 1})
    edit(deal, by=priya, amount=70_000, custom_fields={"seats": 1.0}, assigned_to_id=None)
    undo(newest(), priya)
    deal = fresh(deal)
    assert (deal.amount, repr(deal.custom_fields["seats"]), deal.assigned_to_id) == (50_000, "1", priya.id)
    assert totals(stages["Lead"]) == {("Priya Nair", "USD"): (1, 50_000)}


def test_a_new_deal_is_taken_back_and_a_deleted_one_comes_back(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya, entity=make_entity(), by=priya)
    gone = undo(newest(), priya)
    assert (stored(deal).deleted_at is None, gone.gone, totals(stages["Lead"])) == (False, ["deal"], {})
    back = undo(gone.change_set_id, priya)
    assert (stored(deal).deleted_at, stored(deal).deleted_by_id, back.back) == (None, None, ["deal"])
    assert totals(stages["Lead"]) == {("Priya Nair", "USD"): (1, 50_000)}
    assert path(deal) == ["Lead"]
    everything_agrees()


def test_a_note_of_ones_own_is_taken_back_and_comes_back_when_its_deletion_is_undone(
    stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Lead"])
    note = make_note(deal, by=priya)
    written, note_id = newest(), note.id
    changes.commit(lambda session: Activity.locked(session, note_id).delete(priya), by=priya)
    undo(newest(), priya)
    assert stored(note).deleted_at is None
    undo(written, priya)
    assert stored(note).deleted_at is not None


def test_an_archived_stages_deals_are_not_taken_back_with_it(stages: Stages, marek: User) -> None:
    lead, proposal = stages["Lead"].id, stages["Proposal"].id
    make_deal(stages["Lead"])
    changes.commit(lambda session: arranging.archive_stage(session, lead, proposal, marek), by=marek)
    assert "Only changes of deals, contacts and activities" in refusal(newest(), marek)


# An undo of an undo ------------------------------------------------------------------------------------------------


def test_an_undone_undo_is_the_move_again_and_all_can_go_on_so(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    make_rule("Chase", trigger_event="update")
    move(deal, stages["Proposal"], by=priya)
    moved = newest()
    undone = undo(moved, priya).change_set_id
    redone = undo(undone, priya).change_set_id
    assert (fresh(deal).stage.name, undone_by(moved), undone_by(undone)) == ("Proposal", None, redone)
    notes = select(Activity.deleted_at).where(Activity.rule_name == "Chase")
    assert db.session.scalars(notes).all() == [None]
    assert "Already undone by Priya Nair" in refusal(undone, priya)
    again = undo(moved, priya).change_set_id
    assert (fresh(deal).stage.name, undone_by(moved)) == ("Lead", again)
    assert "moved the deal “Forklift fleet” to Lead" in refusal(redone, priya)


def test_undoing_the_redo_leaves_the_first_undo_in_force(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    move(deal, stages["Proposal"], by=priya)
    moved = newest()
    undone = undo(moved, priya).change_set_id
    redone = undo(undone, priya).change_set_id
    undo(redone, priya)
    assert (fresh(deal).stage.name, undone_by(moved), undone_by(undone)) == ("Lead", undone, None)
    undo(undone, priya)
    assert fresh(deal).stage.name == "Proposal"


def test_later_changes_that_were_undone_are_in_nobodys_way(stages: Stages, priya: User) -> None:
    deal, sets = make_deal(stages["Lead"], owner=priya), []
    for amount in (60_000, 70_000, 80_000):
        edit(deal, by=priya, amount=amount)
        sets.append(newest())
    for change_set in reversed(sets):
        undo(change_set, priya)
    assert fresh(deal).amount == 50_000


# Refusals ----------------------------------------------------------------------------------------------------------


def test_a_later_change_of_a_field_is_named_with_person_and_time(
    stages: Stages, cast: Cast, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    edit(deal, by=cast.priya, amount=60_000, name="Forklifts")
    edited = newest()
    with clock.at(noon + timedelta(minutes=5)):
        edit(deal, by=cast.marek, amount=65_000)
    with clock.at(noon + timedelta(minutes=9)):
        edit(deal, by=cast.tom, currency="EUR")
    with pytest.raises(UndoError) as refused:
        undo(edited, cast.priya)
    assert refused.value.fact == "Cannot undo: Marek Nowak changed the amount"
    assert refused.value.at == datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
    assert str(refused.value) == "Cannot undo: Marek Nowak changed the amount on 2026-03-02 at 12:05 UTC."
    assert (fresh(deal).amount, fresh(deal).name) == (65_000, "Forklifts")


def test_a_value_that_somebody_changed_and_changed_back_was_touched_all_the_same(
    stages: Stages, cast: Cast
) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    edit(deal, by=cast.priya, amount=60_000)
    edited = newest()
    for amount in (70_000, 60_000):
        edit(deal, by=cast.marek, amount=amount)
    assert refusal(edited, cast.priya) == "Cannot undo: Marek Nowak changed the amount"


def test_other_fields_changed_since_stay_changed(stages: Stages, cast: Cast) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    move(deal, stages["Proposal"], by=cast.priya)
    moved = newest()
    edit(deal, by=cast.marek, amount=65_000)
    undo(moved, cast.priya)
    assert (fresh(deal).stage.name, fresh(deal).amount) == ("Lead", 65_000)


def later_move(deal: Deal, stages: Stages, by: User) -> None:
    move(deal, stages["Negotiation"], by=by)


def later_deletion(deal: Deal, stages: Stages, by: User) -> None:
    deal_id = deal.id
    changes.commit(lambda session: Deal.locked(session, deal_id).delete(by), by=by)


def later_rule(deal: Deal, stages: Stages, by: User) -> None:
    move_on = {"type": "move_to_stage", "config": {"stage_id": str(stages["Negotiation"].id)}}
    make_rule("Hurry", trigger_event="update", actions=[move_on])
    edit(deal, by=by, amount=1)


def tick_off(deal: Deal, stages: Stages, by: User) -> None:
    task = db.session.scalars(select(Activity.id).where(Activity.type == "task")).one()

    def work(session: Session) -> None:
        Activity.locked(session, task).completed_at = clock.now()

    changes.commit(work, by=by)


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (later_move, "Marek Nowak moved the deal “Forklift fleet” to Negotiation"),
        (later_deletion, "Marek Nowak deleted the deal “Forklift fleet”"),
        (later_rule, "the rule “Hurry” moved the deal “Forklift fleet” to Negotiation"),
        (tick_off, "Marek Nowak ticked off the task “Send the offer”"),
    ],
)
def test_a_later_act_in_the_way_is_named(
    stages: Stages, cast: Cast, later: Callable[[Deal, Stages, User], None], words: str
) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    add_task = {"type": "create_activity", "config": {"type": "task", "subject": "Send the offer"}}
    entered = [{"field": "stage", "operator": "changed_to", "value": str(stages["Proposal"].id)}]
    make_rule("Chase", trigger_event="update", actions=[add_task], conditions=entered)
    move(deal, stages["Proposal"], by=cast.priya)
    moved = newest()
    later(deal, stages, cast.marek)
    assert refusal(moved, cast.priya) == f"Cannot undo: {words}"


def test_a_place_that_takes_no_deals_is_named(stages: Stages, pipeline: Pipeline, marek: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=marek)
    moved, lead = newest(), stages["Lead"].id
    changes.commit(lambda session: arranging.archive_stage(session, lead, None, marek), by=marek)
    assert refusal(moved, marek) == "Cannot undo. The stage Lead is archived and takes no deals."
    deal_id, proposal = deal.id, stages["Proposal"].id
    changes.commit(lambda session: Deal.locked(session, deal_id).delete(marek), by=marek)
    deleted = newest()
    changes.commit(lambda session: arranging.archive_stage(session, proposal, None, marek), by=marek)
    assert refusal(deleted, marek) == "Cannot undo. The stage Proposal is archived and takes no deals."


def test_a_full_stage_takes_no_deal_back(stages: Stages, marek: User) -> None:
    lead = stages["Lead"]
    moved_deal, deleted_deal = make_deal(lead, "Moved"), make_deal(lead, "Deleted")
    move(moved_deal, stages["Proposal"], by=marek)
    moved, deal_id = newest(), deleted_deal.id
    changes.commit(lambda session: Deal.locked(session, deal_id).delete(marek), by=marek)
    deleted = newest()
    lead = stored(lead)
    lead.max_deals, lead.limit_mode = 1, "hard"
    changes.commit(by=marek)
    make_deal(lead, "In between")
    for change_set in (moved, deleted):
        assert refusal(change_set, marek).startswith("Cannot undo. Lead is full: 1 of 1.")


def test_a_deal_does_not_come_back_without_its_contact(stages: Stages, marek: User) -> None:
    deal = make_deal(stages["Lead"])
    deal_id, entity_id = deal.id, deal.entity_id
    changes.commit(lambda session: Deal.locked(session, deal_id).delete(marek), by=marek)
    deleted = newest()
    changes.commit(lambda session: Entity.locked(session, entity_id).delete(marek), by=marek)
    assert "This company or person is not there any more" in refusal(deleted, marek)


def test_a_note_does_not_come_back_without_its_deal(stages: Stages, marek: User) -> None:
    deal = make_deal(stages["Lead"])
    note, deal_id = make_note(deal, by=marek).id, deal.id
    changes.commit(lambda session: Activity.locked(session, note).delete(marek), by=marek)
    deleted = newest()
    changes.commit(lambda session: Deal.locked(session, deal_id).delete(marek), by=marek)
    assert refusal(deleted, marek) == "Cannot undo: the deal “Forklift fleet” is deleted."


def test_a_new_deal_to_which_others_added_something_is_not_taken_back(stages: Stages, cast: Cast) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya, entity=make_entity(), by=cast.priya)
    made = newest()
    make_note(deal, by=cast.tom)
    assert "has other entries by now" in refusal(made, cast.priya)


def test_a_new_contact_with_deals_is_not_taken_back(stages: Stages, marek: User) -> None:
    entity = save(Entity(name="Acme"), by=marek)
    made = newest()
    make_deal(stages["Lead"], entity=entity)
    assert "Acme has 1 deal" in refusal(made, marek)


def test_what_never_was_cannot_be_undone(stages: Stages, priya: User) -> None:
    with pytest.raises(NotFoundError):
        undo(uuid4(), priya)


# Rights ------------------------------------------------------------------------------------------------------------


def test_a_rep_undoes_changes_of_own_and_unassigned_deals_and_a_manager_all(
    stages: Stages, cast: Cast
) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    move(deal, stages["Proposal"], by=cast.marek)
    moved = newest()
    with pytest.raises(PermissionDeniedError):
        undo(moved, cast.tom)
    undone = undo(moved, cast.priya)
    undo(undone.change_set_id, cast.ann)
    edit(deal, by=cast.marek, assigned_to_id=cast.tom.id)
    given = newest()
    for rep in (cast.priya, cast.tom):  # it is not Priya's now, and would not be Tom's afterwards
        with pytest.raises(PermissionDeniedError):
            undo(given, rep)
    undo(given, cast.marek)
    assert fresh(deal).assigned_to_id == cast.priya.id


def test_what_somebody_else_wrote_on_ones_deal_is_not_ones_own_to_take_back(
    stages: Stages, cast: Cast
) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    make_note(deal, by=cast.tom)
    written = newest()
    with pytest.raises(PermissionDeniedError):
        undo(written, cast.priya)
    undo(written, cast.tom)


def test_a_rep_takes_back_a_new_unassigned_deal_only_of_ones_own_making(stages: Stages, cast: Cast) -> None:
    make_deal(stages["Lead"], entity=make_entity(), by=cast.priya)
    made = newest()
    with pytest.raises(PermissionDeniedError):
        undo(made, cast.tom)
    undo(made, cast.priya)


# At the same time --------------------------------------------------------------------------------------------------


def at_once(app: Flask, *works: Callable[[], Any]) -> list[Any]:
    def run(work: Callable[[], Any]) -> Any:
        with app.app_context():
            try:
                return work()
            except CRMError as refused:
                return refused

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


def test_asked_twice_at_once_it_is_undone_once(app: Flask, stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    for _ in range(5):
        move(deal, stages["Proposal"], by=priya)
        moved, by = newest(), changes.Actor.of(priya)
        db.session.rollback()
        answers = at_once(app, lambda: undo(moved, by), lambda: undo(moved, by), lambda: undo(moved, by))  # noqa: B023
        refused = [answer for answer in answers if isinstance(answer, UndoError)]
        assert [answer.fact for answer in refused] == ["Already undone by Priya Nair"] * 2
        assert fresh(deal).stage.name == "Lead"
    everything_agrees()


def test_an_undo_and_an_edit_at_once_are_one_after_the_other(app: Flask, stages: Stages, cast: Cast) -> None:
    deal = make_deal(stages["Lead"], owner=cast.priya)
    for number in range(8):
        before = 1_000 + number
        edit(deal, by=cast.marek, amount=before)
        edit(deal, by=cast.priya, amount=60_000)
        edited, by = newest(), changes.Actor.of(cast.priya)
        deal_id = deal.id
        db.session.rollback()

        def change(deal_id: UUID = deal_id, by: Any = by) -> None:
            def work(session: Session) -> None:
                Deal.locked(session, deal_id).amount = 70_000

            changes.commit(work, by=by)

        undone, _ = at_once(app, lambda: undo(edited, by), change)  # noqa: B023
        if isinstance(undone, UndoError):
            assert undone.fact == "Cannot undo: Priya Nair changed the amount"
        assert fresh(deal).amount == 70_000  # whoever came second, the edit was made on what it saw
    everything_agrees()
