"""The documents' services: thin fronts of the domain's own methods, with the same checks."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, clock, config
from crmweb.errors import (
    FieldError,
    InvalidStageTransitionError,
    NotFoundError,
    PermissionDeniedError,
    UnsavedChangesError,
    WorkflowExecutionError,
)
from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, RuleLook, RuleRun, Stage, User
from crmweb.services import ActivityService, DealService, WorkflowService
from tests.support.deals import audit_notes, column, fresh, move, path
from tests.support.factories import make_deal, make_entity, make_note, make_person, make_rule, save

Stages = dict[str, Stage]
Db = scoped_session[Session]


# DealService.move_deal_to_stage ------------------------------------------------------------------------------------


def test_the_stage_is_named_by_its_id_or_by_the_ids_text(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    DealService.move_deal_to_stage(deal, stages["Qualified"].id)
    DealService.move_deal_to_stage(deal, str(stages["Proposal"].id))
    assert path(deal) == ["Lead", "Qualified", "Proposal"]


def test_the_callers_deal_comes_back_refreshed_with_all_that_it_shows(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    assert DealService.move_deal_to_stage(deal, stages["Closed Won"].id) is deal
    db.session.expunge_all()
    shown = (
        deal.stage.name,
        deal.stage.pipeline.name,
        deal.status,
        deal.version,
        deal.entity.name,
        deal.assigned_to,
    )
    assert shown == ("Closed Won", "Sales Pipeline", "closed_won", 2, "Forklift fleet Ltd", priya)


def test_a_deal_of_another_session_comes_back_as_a_fresh_one(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    db.session.expunge_all()
    moved = DealService.move_deal_to_stage(deal, stages["Proposal"].id)
    assert moved is not deal
    assert moved.stage.name == "Proposal"


def test_the_address_of_a_person_makes_them_the_author(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email="  Priya@Example.ORG ")
    (note,) = audit_notes(deal)
    assert (note.author_id, note.by_label) == (priya.id, None)


def test_the_rights_of_the_person_are_checked(stages: Stages, priya: User, tom: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    with pytest.raises(PermissionDeniedError):
        DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=tom.email)
    assert fresh(deal).stage.name == "Lead"


def test_the_address_of_a_closed_account_is_refused(stages: Stages) -> None:
    gone = make_person("Gone", role="manager", is_active=False)
    deal = make_deal(stages["Lead"])
    with pytest.raises(PermissionDeniedError, match="account"):
        DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=gone.email)


def test_an_unknown_address_is_kept_as_a_label(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email="sales@example.com")
    (note,) = audit_notes(deal)
    assert (note.author_id, note.by_label) == (None, "sales@example.com")


@pytest.mark.parametrize("address", ["x" * 400 + "@example.com", "nul\x00@example.com"])
def test_an_address_that_cannot_be_kept_is_refused_in_words(address: str, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(FieldError) as refused:
        DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=address)
    assert refused.value.field == "user_email"


@pytest.mark.parametrize("address", [None, "", "   "])
def test_without_an_address_the_system_moves_and_no_rights_are_checked(
    address: str | None, stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    DealService.move_deal_to_stage(deal, stages["Proposal"].id, user_email=address)
    (note,) = audit_notes(deal)
    assert (note.author_id, note.by_label) == (None, "System")


def test_it_commits(stages: Stages, session: Db) -> None:
    deal = make_deal(stages["Lead"])
    DealService.move_deal_to_stage(deal, stages["Proposal"].id)
    session.rollback()
    assert fresh(deal).stage.name == "Proposal"


def test_its_refusals_are_those_of_the_move(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(InvalidStageTransitionError):
        DealService.move_deal_to_stage(deal, uuid4())
    with pytest.raises(FieldError):
        DealService.move_deal_to_stage(deal, "proposal")
    missing = Deal(name="Never saved", entity=deal.entity, stage=stages["Lead"])
    with pytest.raises(NotFoundError):
        DealService.move_deal_to_stage(missing, stages["Proposal"].id)


def test_it_refuses_to_lose_unsaved_changes(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    deal.name = "Crane fleet"
    with pytest.raises(UnsavedChangesError):
        DealService.move_deal_to_stage(deal, stages["Proposal"].id)
    assert deal.name == "Crane fleet"


# DealService.amove_deal_to_stage -----------------------------------------------------------------------------------


def test_the_async_service_does_the_same_in_a_thread_of_its_own(
    stages: Stages, priya: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    moved = asyncio.run(
        DealService.amove_deal_to_stage(deal, str(stages["Closed Won"].id), "Signed", priya.email)
    )
    assert moved is deal
    assert (deal.stage.name, deal.status, deal.closed_date) == ("Closed Won", "closed_won", noon)
    (note,) = audit_notes(deal)
    assert (note.description, note.author_id) == ("Signed", priya.id)


def test_many_async_moves_at_once_lose_nothing(stages: Stages) -> None:
    deals = [make_deal(stages["Lead"], f"Deal {number}") for number in range(6)]
    target = stages["Proposal"].id

    async def all_at_once() -> None:
        await asyncio.gather(*(DealService.amove_deal_to_stage(deal, target) for deal in deals))

    asyncio.run(all_at_once())
    assert sorted(column(stages["Proposal"])) == sorted(deal.name for deal in deals)
    assert column(stages["Lead"]) == []


def test_the_async_service_refuses_to_lose_unsaved_changes(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    deal.name = "Crane fleet"
    with pytest.raises(UnsavedChangesError):
        asyncio.run(DealService.amove_deal_to_stage(deal, stages["Proposal"].id))
    assert deal.name == "Crane fleet"


def test_the_async_service_refuses_to_wait_for_its_own_caller(stages: Stages) -> None:
    """Inside a change of the same thread it would wait for the write lock for ever."""
    deal = make_deal(stages["Lead"])

    def work(session: Session) -> None:
        asyncio.run(DealService.amove_deal_to_stage(deal, stages["Proposal"].id))

    with pytest.raises(UnsavedChangesError):
        changes.commit(work)


def test_the_async_service_needs_a_committed_deal(stages: Stages) -> None:
    missing = Deal(name="Never saved", entity=make_entity(), stage=stages["Lead"])
    with pytest.raises(NotFoundError):
        asyncio.run(DealService.amove_deal_to_stage(missing, stages["Proposal"].id))


def test_the_async_service_takes_a_deal_of_no_session(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    db.session.expunge_all()
    moved = asyncio.run(DealService.amove_deal_to_stage(deal, stages["Proposal"].id))
    assert moved.stage.name == "Proposal"


# WorkflowService.execute_rules -------------------------------------------------------------------------------------


def update_rule(name: str = "Note it", **fields: object) -> None:
    make_rule(name, trigger_event="update", **fields)


def test_rules_are_carried_out_at_once_without_a_commit(stages: Stages, session: Db) -> None:
    deal = make_deal(stages["Lead"])
    update_rule()
    WorkflowService.execute_rules("Deal", "update", deal)
    assert session.scalar(select(func.count()).select_from(Activity)) == 1
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Activity)) == 0


def test_a_failing_action_raises(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    leaver = make_person("Leaver")
    update_rule(
        actions=[{"type": "update_field", "config": {"field_name": "assigned_to", "value": str(leaver.id)}}]
    )
    leaver.is_active = False
    changes.commit()
    with pytest.raises(WorkflowExecutionError) as failed:
        WorkflowService.execute_rules("Deal", "update", deal)
    assert (failed.value.rule_name, failed.value.action) == ("Note it", "update_field")


def test_its_firings_count_for_once_per_record(stages: Stages, session: Db) -> None:
    deal = make_deal(stages["Lead"])
    update_rule()
    WorkflowService.execute_rules("Deal", "update", deal)
    WorkflowService.execute_rules("Deal", "update", deal)
    deal.name = "Crane fleet"
    changes.commit()
    assert session.scalar(select(func.count()).select_from(Activity)) == 1
    assert session.scalar(select(func.count()).select_from(RuleRun).where(RuleRun.outcome == "acted")) == 1
    assert session.scalar(select(func.count()).select_from(RuleLook)) >= 1


def test_it_joins_the_change_set_that_is_begun(stages: Stages, session: Db, ann: User) -> None:
    deal = make_deal(stages["Lead"])
    update_rule(actions=[{"type": "update_field", "config": {"field_name": "name", "value": "Renamed"}}])
    sets = session.scalar(select(func.count()).select_from(ChangeSet)) or 0
    deal.amount = 70_000
    WorkflowService.execute_rules("Deal", "update", deal)
    changes.commit(by=ann)
    assert session.scalar(select(func.count()).select_from(ChangeSet)) == sets + 1
    assert (fresh(deal).name, fresh(deal).amount) == ("Renamed", 70_000)


def test_what_names_no_record_is_refused(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    for entity_type, trigger in (("Entity", "update"), ("Contract", "update"), ("Deal", "explode")):
        with pytest.raises(FieldError):
            WorkflowService.execute_rules(entity_type, trigger, deal)
    with pytest.raises(FieldError):
        WorkflowService.execute_rules("Stage", "update", stages["Lead"])


# ActivityService.get_timeline --------------------------------------------------------------------------------------


def test_a_timeline_is_newest_first(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    for hour, subject in enumerate(("First", "Second", "Third")):
        with clock.at(noon + timedelta(hours=hour)):
            make_note(deal, subject)
    assert [entry.subject for entry in ActivityService.get_timeline("Deal", deal.id)] == [
        "Third",
        "Second",
        "First",
    ]


def test_a_timeline_has_every_type_of_activity(stages: Stages) -> None:
    """D28: the documents' own implementation asked for the base class only and found nothing."""
    deal = make_deal(stages["Lead"])
    for kind in ("note", "task", "call", "email", "event"):
        make_note(deal, f"A {kind}", type=kind)
    move(deal, stages["Proposal"])
    found = ActivityService.get_timeline("Deal", str(deal.id))
    assert sorted(entry.type for entry in found) == ["call", "email", "event", "note", "note", "task"]


def test_an_entitys_timeline_has_its_deals_activities(stages: Stages) -> None:
    entity = make_entity()
    one, two = (make_deal(stages["Lead"], name, entity=entity) for name in ("One", "Two"))
    save(Activity(type="call", subject="With the entity", entity=entity))
    make_note(one, "With one")
    make_note(two, "With two")
    make_note(make_deal(stages["Lead"], "Somebody else's"), "Elsewhere")
    subjects = {entry.subject for entry in ActivityService.get_timeline("Entity", entity.id)}
    assert subjects == {"With the entity", "With one", "With two"}


def test_a_timeline_stops_at_its_limit_in_the_database(stages: Stages, settings: config.Settings) -> None:
    """D29: the documents' own implementation loaded everything and cut in Python; its setting was never read."""
    deal = make_deal(stages["Lead"])
    save(*[Activity(type="note", subject=f"Note {number}", deal=deal) for number in range(6)])
    assert len(ActivityService.get_timeline("Deal", deal.id, limit=4)) == 4
    assert len(ActivityService.get_timeline("Deal", deal.id)) == 6
    config.use(config.read({}, activity_timeline_limit=3))
    assert len(ActivityService.get_timeline("Deal", deal.id)) == 3
    assert config.Settings().activity_timeline_limit == 100


def test_a_limit_below_one_is_refused_in_words(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    for limit in (0, -1):
        with pytest.raises(FieldError, match="at least 1"):
            ActivityService.get_timeline("Deal", deal.id, limit=limit)


def test_deleted_activities_and_those_of_deleted_deals_are_left_out(stages: Stages) -> None:
    entity = make_entity()
    deal = make_deal(stages["Lead"], entity=entity)
    note = make_note(deal)
    note.deleted_at = clock.now()
    changes.commit()
    assert ActivityService.get_timeline("Deal", deal.id) == []
    make_note(deal, "Of a deal that goes")
    deal.deleted_at = clock.now()
    changes.commit()
    assert ActivityService.get_timeline("Entity", entity.id) == []


def test_other_records_have_no_timeline(stages: Stages) -> None:
    with pytest.raises(FieldError, match="no timeline"):
        ActivityService.get_timeline("Stage", stages["Lead"].id)
    with pytest.raises(FieldError, match="is not an id"):
        ActivityService.get_timeline("Deal", "seven")
