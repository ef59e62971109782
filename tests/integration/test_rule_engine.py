"""Rules on real records: what they do to deals, entities and activities, in the transaction of the person's change.

The engine's order and bounds are in tests/unit/test_rounds.py; here is what needs a database.
D36, D42, D43: rules read custom fields, act in order, and are compiled once per `rules_version`.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, workflow
from crmweb.errors import FieldError, WorkflowExecutionError
from crmweb.models import (
    Activity,
    Change,
    ChangeSet,
    Deal,
    Entity,
    Notification,
    RuleLook,
    RuleRun,
    RuleVersion,
    Stage,
    StageChange,
    StageTotal,
    User,
    WorkflowRule,
)
from crmweb.queries import timeline
from crmweb.services import WorkflowService
from crmweb.workflow import ordering
from tests.support.cast import Cast, make_cast
from tests.support.factories import make_deal, make_entity, make_note, make_pipeline, make_rule, save

Stages = dict[str, Stage]


def act(kind: str, **settings: Any) -> dict[str, Any]:
    return {"type": kind, "config": settings}


def when(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


NOTE = act("create_activity", subject="Say hello")
WRONG_PIPELINE = (
    "Lead belongs to the pipeline Partners; this deal is in Sales Pipeline. A deal moves within its pipeline."
)


def rule(
    name: str, *actions: dict[str, Any], on: str = "update", of: str = "Deal", **more: Any
) -> WorkflowRule:
    given = {"trigger_event": on, "entity_type": of, "order": None, "actions": list(actions) or [NOTE]}
    return make_rule(name, **{**given, **more})


def change(record: Any, *, by: User | None = None, **values: Any) -> None:
    """A person changes the record's fields."""
    model, record_id = type(record), record.id

    def work(session: Session) -> None:
        found = session.get_one(model, record_id)
        for name, value in values.items():
            setattr(found, name, value)

    changes.commit(work, by=by)


def move(deal: Deal, stage: Stage, *, by: User | None = None, note: str | None = None) -> None:
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stage.id, by=by, note=note), by=by)


def subjects(session: Session, **link: Any) -> list[str]:
    """The subjects of the activities there, oldest first, without the audit notes."""
    query = select(Activity.subject).filter_by(kind=None, **link).order_by(Activity.created_at, Activity.id)
    return list(session.scalars(query))


def runs(session: Session) -> list[tuple[str, str]]:
    query = select(WorkflowRule.name, RuleRun.outcome).join(WorkflowRule, WorkflowRule.id == RuleRun.rule_id)
    return [(name, outcome) for name, outcome in session.execute(query.order_by(RuleRun.at, RuleRun.id))]


def fresh(session: Session, record: Any) -> Any:
    return session.get_one(type(record), record.id, populate_existing=True)


# What sets rules off ---------------------------------------------------------------------------------------------


def test_a_rule_on_creation_meets_every_new_deal_and_no_edit(session: Session, stages: Stages) -> None:
    """D31: create rules run."""
    rule("Greet", on="create")
    deal = make_deal(stages["Lead"])
    change(deal, amount=1)
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


def test_a_rule_on_deletion_sees_the_deal_as_it_was_and_writes_on_its_entity(
    session: Session, stages: Stages, ann: User
) -> None:
    """D31: delete rules run."""
    gone = act("create_activity", subject="{deal.name} was given up at {deal.amount}")
    rule("Mourn", gone, on="delete", conditions=[when("amount", "greater_than", 100)], fires="becomes_true")
    deal = make_deal(stages["Lead"], "Forklift fleet")
    change(deal, deleted_at=clock.now(), by=ann)
    assert subjects(session, entity_id=deal.entity_id) == ["Forklift fleet was given up at 50,000"]
    assert subjects(session, deal_id=deal.id) == []


@pytest.mark.parametrize("trigger", ["create", "update", "delete"])
def test_rules_of_entities_run(session: Session, trigger: str, cast: Cast) -> None:
    tell = act("send_notification", to="admins", message=f"{trigger}d {{entity.name}}")
    rule("Tell", tell, on=trigger, of="Entity")
    entity = make_entity("Acme")
    change(entity, note="Likes blue")
    change(entity, deleted_at=clock.now())
    assert list(session.scalars(select(Notification.subject))) == [f"{trigger}d Acme"]


@pytest.mark.parametrize("trigger", ["create", "update", "delete"])
def test_rules_of_activities_run(session: Session, trigger: str, stages: Stages, cast: Cast) -> None:
    """D30: Activity rules fire."""
    tell = act("send_notification", to="admins", message=f"{trigger}d {{activity.subject}} on {{deal.name}}")
    rule("Tell", tell, on=trigger, of="Activity")
    note = make_note(make_deal(stages["Lead"], "Fleet"), "They called")
    change(note, description="About the price")
    change(note, deleted_at=clock.now())
    assert list(session.scalars(select(Notification.subject))) == [f"{trigger}d They called on Fleet"]


def test_the_notes_of_moves_set_off_nothing(session: Session, stages: Stages) -> None:
    rule("Echo", on="create", of="Activity")
    deal = make_deal(stages["Lead"])
    move(deal, stages["Qualified"])
    assert subjects(session, deal_id=deal.id) == []


def test_a_reorder_and_an_empty_save_set_off_nothing(session: Session, stages: Stages) -> None:
    rule("Echo")
    deal, _ = make_deal(stages["Lead"], "One"), make_deal(stages["Lead"], "Two")
    move(deal, stages["Lead"])
    change(deal, amount=Decimal(50_000), name="One")
    assert subjects(session, deal_id=deal.id) == []
    assert session.scalar(select(func.count()).select_from(RuleLook)) == 0


def test_a_field_that_was_changed_and_changed_back_is_no_update(session: Session, stages: Stages) -> None:
    rule("Echo")
    deal = make_deal(stages["Lead"])

    def there_and_back(session: Session) -> None:
        found = Deal.locked(session, deal.id)
        found.amount = Decimal(7)
        session.flush()
        found.amount = Decimal(50_000)

    changes.commit(there_and_back)
    assert subjects(session, deal_id=deal.id) == []


def test_a_move_is_one_update(session: Session, stages: Stages) -> None:
    rule("Chase", conditions=[when("stage", "changed_to", stages["Proposal"].id)])
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    change(deal, amount=1)
    move(deal, stages["Negotiation"])
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


@pytest.mark.parametrize(
    ("conditions", "fires", "notes"),
    [
        ([when("status", "equals", "closed_won")], "every_time", 4),
        ([when("status", "equals", "closed_won")], "becomes_true", 1),
        ([when("status", "changed_to", "closed_won")], "every_time", 1),
    ],
)
def test_one_win_and_three_edits(
    session: Session, stages: Stages, conditions: Any, fires: str, notes: int
) -> None:
    """D32: the documents' rule notes each edit of a won deal; `becomes true` and `changed to` note the win."""
    rule("Won deal follow-up", conditions=conditions, fires=fires)
    deal = make_deal(stages["Negotiation"])
    move(deal, stages["Closed Won"])
    for amount in (1, 2, 3):
        change(deal, amount=amount)
    assert len(subjects(session, deal_id=deal.id)) == notes


# What conditions read --------------------------------------------------------------------------------------------


def test_conditions_read_the_entity_and_the_pipeline_of_a_deal(session: Session, stages: Stages) -> None:
    partners = make_pipeline("Partners")
    conditions = [
        when("entity.name", "contains", "vip"),
        when("pipeline", "equals", stages["Lead"].pipeline_id),
    ]
    rule("VIP", on="create", conditions=conditions)
    vip = make_entity("Acme VIP")
    deals = [
        make_deal(stages["Lead"], "A", entity=vip),
        make_deal(partners["Lead"], "B", entity=vip),
        make_deal(stages["Lead"], "C"),
    ]
    assert [len(subjects(session, deal_id=deal.id)) for deal in deals] == [1, 0, 0]


def test_conditions_read_custom_fields_typed_by_what_they_hold(session: Session, stages: Stages) -> None:
    """D36: custom fields can be addressed. D38: "007" is no 7."""
    rule("Seats", on="create", conditions=[when("custom_fields.seats", "greater_than", "100")])
    rule(
        "Agent",
        act("create_activity", subject="Licensed"),
        on="create",
        conditions=[when("custom_fields.agent", "equals", "007")],
    )
    many = make_deal(stages["Lead"], "A", custom_fields={"seats": 250, "agent": 7})
    few = make_deal(stages["Lead"], "B", custom_fields={"seats": 20, "agent": "007"})
    assert subjects(session, deal_id=many.id) == ["Say hello"]
    assert subjects(session, deal_id=few.id) == ["Licensed"]


def test_a_stage_is_compared_by_id_so_a_new_name_changes_nothing(session: Session, stages: Stages) -> None:
    """D39."""
    rule("Chase", conditions=[when("stage", "equals", stages["Proposal"].id)])
    change(stages["Proposal"], name="Offer")
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


def test_conditions_of_a_moved_owner_see_who_it_was(session: Session, stages: Stages, cast: Cast) -> None:
    rule("Handed over", conditions=[when("assigned_to", "changed_from", cast.priya.id)])
    deal = make_deal(stages["Lead"], owner=cast.priya)
    changes.commit(lambda s: setattr(Deal.locked(s, deal.id), "assigned_to", s.get(User, cast.tom.id)))
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


# What actions do -------------------------------------------------------------------------------------------------


def test_update_field_enters_the_history_as_the_rules_doing(
    session: Session, stages: Stages, ann: User
) -> None:
    rule("Date it", act("update_field", field_name="expected_close_date", value="2026-12-31"))
    deal = make_deal(stages["Lead"])
    change(deal, amount=1, by=ann)
    row = session.scalars(select(Change).filter_by(field="expected_close_date")).one()
    assert (row.old, row.new, row.round) == (None, "2026-12-31", 1)
    assert row.rule_run_id == session.scalars(select(RuleRun.id)).one()
    assert fresh(session, deal).expected_close_date == date(2026, 12, 31)
    assert fresh(session, deal).version == 2


def test_update_field_on_a_deal_reaches_its_entity_and_that_entitys_rules(
    session: Session, stages: Stages
) -> None:
    rule(
        "Customer",
        act("update_field", field_name="entity.status", value="Active"),
        conditions=[when("status", "changed_to", "closed_won")],
    )
    rule("Welcome", of="Entity", conditions=[when("status", "changed_to", "Active")])
    entity = make_entity("Acme", status="Inactive")
    deal = make_deal(stages["Lead"], entity=entity)
    move(deal, stages["Closed Won"])
    assert fresh(session, entity).status == "Active"
    assert subjects(session, entity_id=entity.id) == ["Say hello"]
    assert [look.round for look in session.scalars(select(RuleLook).order_by(RuleLook.round))] == [1, 2]


def test_update_field_writes_custom_fields_people_and_filled_texts(
    session: Session, stages: Stages, cast: Cast
) -> None:
    rule(
        "Prepare",
        act("update_field", field_name="custom_fields.region", value="South"),
        act("update_field", field_name="assigned_to", value=str(cast.tom.id)),
        act("update_field", field_name="entity.note", value="Deal {deal.name} of {deal.assigned_to}"),
    )
    deal = make_deal(stages["Lead"], "Fleet", custom_fields={"seats": 5})
    change(deal, amount=1)
    assert fresh(session, deal).custom_fields == {"seats": 5, "region": "South"}
    assert fresh(session, deal).assigned_to_id == cast.tom.id
    assert fresh(session, deal).entity.note == "Deal Fleet of Tom Reyes"
    assert session.scalars(select(RuleRun.effects)).one()[1]["new"] == "Tom Reyes"


def test_writing_the_same_value_leaves_no_run_and_no_history(session: Session, stages: Stages) -> None:
    rule("Same", act("update_field", field_name="name", value="Fleet"))
    deal = make_deal(stages["Lead"], "Fleet")
    change(deal, amount=1)
    assert runs(session) == []
    assert session.scalars(select(RuleLook.looks)).one()[0][2] is True


@pytest.mark.parametrize(("field", "value"), [("amount", "10.0005"), ("currency", "eur")])
def test_a_value_that_the_record_rounds_or_writes_in_capitals_is_the_same_the_next_time(
    session: Session, stages: Stages, field: str, value: str
) -> None:
    rule("Same", act("update_field", field_name=field, value=value))
    deal = make_deal(stages["Lead"])
    change(deal, name="First")
    assert session.scalars(select(RuleRun.effects)).one()[0]["new"] in ("10", "EUR")
    change(deal, name="Second")
    assert len(runs(session)) == 1


def test_a_custom_field_takes_a_filled_text_and_a_text_names_any_custom_field(
    session: Session, stages: Stages
) -> None:
    rule(
        "Fill",
        act(
            "update_field", field_name="custom_fields.about", value="{deal.name}: {deal.custom_fields.größe}"
        ),
    )
    deal = make_deal(stages["Lead"], "Fleet", custom_fields={"größe": -0.5})
    change(deal, amount=1)
    assert fresh(session, deal).custom_fields == {"größe": -0.5, "about": "Fleet: -0.5"}


@pytest.mark.parametrize("of", ["Deal", "Entity"])
def test_what_was_just_made_without_custom_fields_can_be_given_one(
    session: Session, stages: Stages, of: str
) -> None:
    rule("Mark", act("update_field", field_name="custom_fields.source", value="Web"), on="create", of=of)
    made = make_deal(stages["Lead"]) if of == "Deal" else make_entity()
    assert fresh(session, made).custom_fields == {"source": "Web"}
    assert runs(session) == [("Mark", "acted")]


def test_yes_in_the_place_of_1_is_an_update(session: Session, stages: Stages) -> None:
    rule("Changed", conditions=[when("custom_fields.vip", "changed")])
    deal = make_deal(stages["Lead"], custom_fields={"vip": 1})
    change(deal, custom_fields={"vip": True})
    assert runs(session) == [("Changed", "acted")]


def test_a_task_is_due_in_days_and_inherits_the_owner(
    session: Session, stages: Stages, priya: User, noon: Any
) -> None:
    rule(
        "Plan", act("create_activity", type="task", subject="Call {entity.name}", due_in_days=5), on="create"
    )
    deal = make_deal(stages["Lead"], owner=priya, entity=make_entity("Acme"))
    task = session.scalars(select(Activity).filter_by(deal_id=deal.id)).one()
    assert (task.type, task.subject, task.assigned_to_id) == ("task", "Call Acme", priya.id)
    assert task.due_at == noon + timedelta(days=5)
    assert (task.rule_name, task.by_label) == ("Plan", "Rule “Plan”")


def test_what_a_rule_makes_is_signed_with_the_rule_and_who_set_it_off(
    session: Session, stages: Stages, ann: User
) -> None:
    rule("Plan")
    deal = make_deal(stages["Lead"])
    change(deal, amount=1, by=ann)
    note = session.scalars(select(Activity).filter_by(deal_id=deal.id)).one()
    assert note.by_label == "Rule “Plan”, after Ann Berg’s change"
    assert note.author_id is None


def test_an_activity_on_an_activity_goes_to_its_deal_else_its_entity(
    session: Session, stages: Stages
) -> None:
    rule("Answer", on="create", of="Activity", conditions=[when("subject", "contains", "?")])
    deal, entity = make_deal(stages["Lead"]), make_entity("Acme")
    make_note(deal, "A question?")
    save(Activity(type="note", subject="Another?", entity=entity))
    assert subjects(session, deal_id=deal.id) == ["A question?", "Say hello"]
    assert subjects(session, entity_id=entity.id) == ["Another?", "Say hello"]


def test_an_empty_placeholder_does_not_break_a_subject(session: Session, stages: Stages) -> None:
    rule("Reason", act("create_activity", subject="{deal.lost_reason}"), on="create")
    deal = make_deal(stages["Lead"])
    assert subjects(session, deal_id=deal.id) == ["Reason"]


@pytest.mark.parametrize(
    ("given", "owned", "heard"),
    [
        ({}, True, ["Priya Nair"]),
        ({}, False, ["Ann Berg"]),
        ({"to": "owner"}, True, ["Priya Nair"]),
        ({"to": "owner"}, False, []),
        ({"to": "managers"}, True, ["Marek Nowak"]),
        ({"to": "admins"}, True, ["Ann Berg"]),
        ({"to": "Tom Reyes"}, True, ["Tom Reyes"]),
    ],
)
def test_who_is_notified(
    session: Session, stages: Stages, cast: Cast, given: dict[str, str], owned: bool, heard: list[str]
) -> None:
    ids = {person.name: str(person.id) for person in cast}
    to = {name: ids.get(value, value) for name, value in given.items()}
    rule("Tell", act("send_notification", **to), on="create")
    deal = make_deal(stages["Lead"], "Fleet", owner=cast.priya if owned else None)
    rows = session.execute(
        select(User.name, Notification.subject, Notification.deal_id).join(
            User, User.id == Notification.user_id
        )
    )
    assert [tuple(row) for row in rows] == [(name, "Tell: Fleet", deal.id) for name in heard]


def test_people_who_left_hear_nothing(session: Session, stages: Stages, cast: Cast) -> None:
    rule("Tell", act("send_notification"), on="create")
    change(cast.priya, is_active=False)
    make_deal(stages["Lead"], owner=cast.priya)
    heard = session.scalars(select(User.name).join(Notification, Notification.user_id == User.id))
    assert list(heard) == ["Ann Berg"]


def test_move_to_stage_takes_the_same_road_as_a_person(session: Session, stages: Stages, ann: User) -> None:
    """D24: status, closing, audit note, history and totals follow."""
    rule(
        "Big ones",
        act("move_to_stage", stage_id=str(stages["Closed Won"].id)),
        conditions=[when("stage", "changed_to", stages["Negotiation"].id)],
    )
    rule("Party", conditions=[when("status", "changed_to", "closed_won")])
    deal = make_deal(stages["Lead"])
    move(deal, stages["Negotiation"], by=ann)

    found = fresh(session, deal)
    assert (found.stage.name, found.status, found.version) == ("Closed Won", "closed_won", 2)
    assert found.closed_date is not None
    steps = session.execute(
        select(StageChange.cause, StageChange.by_id, StageChange.by_label, StageChange.step)
        .where(StageChange.from_stage_id.is_not(None))
        .order_by(StageChange.step)
    )
    assert [tuple(step) for step in steps] == [
        ("person", ann.id, None, 0),
        ("rule", ann.id, "Rule “Big ones”, after Ann Berg’s change", 1),
    ]
    audit = session.scalars(select(Activity.subject).filter_by(kind="audit").order_by(Activity.id))
    assert list(audit) == ["Deal moved: Lead → Negotiation", "Deal moved: Negotiation → Closed Won"]
    assert subjects(session, deal_id=deal.id) == ["Say hello"]
    totals = session.execute(
        select(Stage.name, StageTotal.deal_count).join(Stage).where(StageTotal.deal_count > 0)
    )
    assert [tuple(total) for total in totals] == [("Closed Won", 1)]


def test_two_rules_that_move_a_deal_to_and_fro_stop_after_one_round(session: Session, stages: Stages) -> None:
    for here, there in (("Qualified", "Proposal"), ("Proposal", "Qualified")):
        rule(
            f"From {here}",
            act("move_to_stage", stage_id=str(stages[there].id)),
            conditions=[when("stage", "equals", stages[here].id)],
        )
    deal = make_deal(stages["Lead"])
    move(deal, stages["Qualified"])
    assert fresh(session, deal).stage.name == "Qualified"
    assert runs(session) == [
        ("From Qualified", "acted"),
        ("From Proposal", "acted"),
        ("From Qualified", "cut"),
    ]


# When an action fails --------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(stages: Stages) -> Stage:
    """A stage of another pipeline: moving a deal there fails."""
    return make_pipeline("Partners")["Lead"]


def failing(elsewhere: Stage, name: str = "Broken", **more: Any) -> WorkflowRule:
    """First it dates the deal, then it fails."""
    return rule(
        name,
        act("update_field", field_name="expected_close_date", value="2026-12-31"),
        act("move_to_stage", stage_id=str(elsewhere.id)),
        **more,
    )


def test_a_failing_rule_costs_nobody_a_move(
    session: Session, stages: Stages, elsewhere: Stage, ann: User
) -> None:
    """D41: the move stands, the rule's half-done work does not, and the next rule runs."""
    broken = failing(elsewhere)
    rule("Next")
    deal = make_deal(stages["Lead"])
    move(deal, stages["Qualified"], by=ann, note="They liked it")

    found = fresh(session, deal)
    assert (found.stage.name, found.expected_close_date, found.version) == ("Qualified", None, 2)
    assert subjects(session, deal_id=deal.id) == ["Say hello"]
    assert runs(session) == [("Broken", "failed"), ("Next", "acted")]
    run = session.scalars(select(RuleRun).filter_by(outcome="failed")).one()
    assert run.error == f"The rule “Broken” could not move the deal: {WRONG_PIPELINE}"
    assert run.change_set_id is not None
    assert fresh(session, broken).failures == 1
    assert not list(session.scalars(select(Change).filter_by(field="expected_close_date")))
    counts = dict(
        session.execute(
            select(Stage.name, StageTotal.deal_count).join(Stage).where(StageTotal.deal_count != 0)
        ).all()
    )
    assert counts == {"Qualified": 1}


def test_the_deal_in_hand_says_what_the_database_says_after_a_rule_failed(
    session: Session, stages: Stages, elsewhere: Stage
) -> None:
    """D40: nothing of a failed rule lingers in memory."""
    failing(elsewhere)
    deal = make_deal(stages["Lead"])
    deal.amount = Decimal(1)
    changes.commit()
    assert deal.expected_close_date is None
    assert deal.amount == 1


def test_a_rule_that_may_undo_the_change_undoes_all_of_it(
    session: Session, stages: Stages, elsewhere: Stage, ann: User
) -> None:
    rule("First")
    broken = failing(elsewhere, on_failure="undo")
    deal = make_deal(stages["Lead"])
    with pytest.raises(WorkflowExecutionError, match="Broken") as failure:
        move(deal, stages["Qualified"], by=ann)
    assert failure.value.status == 422
    assert (failure.value.rule_id, failure.value.action) == (broken.id, "move_to_stage")
    found = fresh(session, deal)
    assert (found.stage.name, found.version) == ("Lead", 1)
    assert not list(session.scalars(select(Activity)))
    run = session.scalars(select(RuleRun)).one()
    assert (run.outcome, run.change_set_id, run.rule_id) == ("failed", None, broken.id)
    assert fresh(session, broken).failures == 1


def test_an_undone_creation_leaves_nothing_but_the_failed_run(
    session: Session, stages: Stages, elsewhere: Stage
) -> None:
    failing(elsewhere, on_failure="undo", on="create")
    with pytest.raises(WorkflowExecutionError):
        make_deal(stages["Lead"])
    assert session.scalars(select(Deal)).all() == []
    assert runs(session) == [("Broken", "failed")]


@pytest.mark.parametrize("on_failure", ["keep", "undo"])
def test_five_failures_in_a_row_pause_a_rule_and_tell_the_admins(
    session: Session, stages: Stages, elsewhere: Stage, ann: User, on_failure: str
) -> None:
    broken = failing(elsewhere, on_failure=on_failure)
    deal = make_deal(stages["Lead"])
    for amount in range(1, 8):
        try:
            change(deal, amount=amount)
        except WorkflowExecutionError:
            assert on_failure == "undo"
    assert fresh(session, broken).failures == 5
    assert fresh(session, broken).paused_at is not None
    assert not broken.is_running
    assert runs(session) == [("Broken", "failed")] * 5
    line = session.scalars(select(Notification)).one()
    assert (line.user_id, line.kind, line.rule_id) == (ann.id, "warning", broken.id)
    assert line.subject == "Paused after 5 failures in a row: Broken"
    assert fresh(session, deal).amount == 7


def test_failures_at_the_same_time_are_all_counted_and_the_admins_told_once(
    app: Flask, session: Session, stages: Stages, elsewhere: Stage, ann: User
) -> None:
    broken = failing(elsewhere)
    deals = [make_deal(stages["Lead"], f"Deal {number}").id for number in range(12)]
    session.rollback()

    def edit(deal_id: UUID) -> None:
        with app.app_context():
            changes.commit(lambda session: setattr(Deal.locked(session, deal_id), "amount", 1))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(edit, deals))
    assert fresh(session, broken).failures == config.settings.rule_failures
    assert len(session.scalars(select(Notification).where(Notification.kind == "warning")).all()) == 1


def test_people_who_write_the_last_rules_at_the_same_time_stay_within_the_limit(
    app: Flask, session: Session
) -> None:
    config.use(config.read({}, max_workflow_rules_per_entity=3))
    session.rollback()

    def write(number: int) -> str:
        given = {"entity_type": "Deal", "trigger_event": "update", "actions": [NOTE]}
        with app.app_context():
            try:
                changes.commit(lambda session: session.add(WorkflowRule(name=f"Rule {number}", **given)))
            except FieldError as refused:
                return refused.field
        return ""

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(write, range(6))) == ["", "", "", *["entity_type"] * 3]
    orders = session.scalars(select(WorkflowRule.order).order_by(WorkflowRule.order)).all()
    assert orders == [1, 2, 3]


def test_a_success_in_between_begins_the_count_anew(
    session: Session, stages: Stages, elsewhere: Stage
) -> None:
    broken = failing(elsewhere, conditions=[when("amount", "less_than", 100)])
    change(broken, actions=[*broken.actions])
    deal = make_deal(stages["Lead"])
    partner = make_deal(elsewhere, "Partner")
    for amount in (1, 2, 3, 4):
        change(deal, amount=amount)
    assert fresh(session, broken).failures == 4
    change(partner, amount=5)
    assert fresh(session, broken).failures == 0
    change(deal, amount=6)
    assert fresh(session, broken).paused_at is None


def test_a_rule_that_is_paused_in_a_large_change_is_still_from_there_on(
    session: Session, stages: Stages, elsewhere: Stage
) -> None:
    failing(elsewhere, on="create")
    deals = [Deal(name=f"D{n}", entity=Entity(name=f"E{n}"), stage=stages["Lead"]) for n in range(8)]
    save(deals[0], *deals[1:])
    assert runs(session) == [("Broken", "failed")] * 5


# Rules as records ------------------------------------------------------------------------------------------------


def test_what_a_rule_meant_is_kept_when_it_is_edited(session: Session, stages: Stages) -> None:
    chase = rule("Chase", conditions=[when("amount", "greater_than", 100)])
    change(chase, conditions=[when("amount", "greater_than", 900)])
    change(chase, is_active=False)
    versions = session.scalars(select(RuleVersion).filter_by(rule_id=chase.id).order_by(RuleVersion.version))
    assert [(kept.version, kept.definition["conditions"][0]["value"]) for kept in versions] == [
        (1, 100),
        (2, 900),
    ]
    assert fresh(session, chase).version == 2


def test_the_log_names_the_version_that_looked(session: Session, stages: Stages) -> None:
    chase = rule("Chase", conditions=[when("amount", "greater_than", 100_000), when("stage", "is_empty")])
    deal = make_deal(stages["Lead"])
    change(deal, name="Fleet")
    change(chase, name="Chase big ones")
    change(deal, amount=200_000)
    looks = session.scalars(select(RuleLook).order_by(RuleLook.at, RuleLook.change_set_id))
    assert [look.looks for look in looks] == [
        [[str(chase.id), 1, False, 0, "50000"]],
        [[str(chase.id), 2, False, 1, "Lead", [[1, "200000"], [0, "Lead"]]]],
    ]


def test_rules_act_in_the_order_they_have_and_new_ones_come_last(session: Session, stages: Stages) -> None:
    """D42."""
    first, second, third = rule("First"), rule("Second"), rule("Third")
    assert (first.order, second.order, third.order) == (1, 2, 3)
    change(first, order=4)
    change(make_deal(stages["Lead"]), amount=1)
    assert runs(session) == [("Second", "acted"), ("Third", "acted"), ("First", "acted")]


def test_rules_that_are_off_paused_or_archived_do_not_look(session: Session, stages: Stages) -> None:
    rule("Off", is_active=False)
    rule("Paused", paused_at=clock.now())
    rule("Archived", archived_at=clock.now())
    change(make_deal(stages["Lead"]), amount=1)
    assert session.scalar(select(func.count()).select_from(RuleLook)) == 0


def test_a_hundred_rules_per_type_and_not_one_more(session: Session) -> None:
    """D44: the limit is enforced, and archiving makes room."""
    most = config.settings.max_workflow_rules_per_entity
    kept = [
        WorkflowRule(name=f"R{n}", entity_type="Deal", trigger_event="update", actions=[NOTE])
        for n in range(most)
    ]
    save(kept[0], *kept[1:])
    assert [found.order for found in kept] == list(range(1, most + 1))
    with pytest.raises(FieldError, match="There are 100 rules for Deal already"):
        rule("One too many")
    rule("Of another type", of="Entity")
    change(kept[0], archived_at=clock.now())
    rule("In its place")
    with pytest.raises(FieldError, match="Archive one first"):
        change(kept[0], archived_at=None)


def test_the_limit_is_a_setting(session: Session, settings: config.Settings) -> None:
    config.use(config.read({}, max_workflow_rules_per_entity=1))
    rule("Only one")
    with pytest.raises(FieldError, match="There are 1 rules"):
        rule("Another")


def test_no_road_leads_past_the_limit(session: Session, settings: config.Settings) -> None:
    config.use(config.read({}, max_workflow_rules_per_entity=2))
    archived, other = [rule("One"), rule("Two")], rule("Other", of="Entity")
    with pytest.raises(FieldError, match="There are 2 rules for Deal"):
        change(other, entity_type="Deal")
    for one in archived:
        change(one, archived_at=clock.now())
    rule("Three")

    def restore_both(session: Session) -> None:
        for one in archived:
            ordering.restore(session, session.get_one(WorkflowRule, one.id))

    with pytest.raises(FieldError, match="There are 2 rules for Deal"):
        changes.commit(restore_both)


def set_(field_name: str, value: Any, **more: Any) -> dict[str, Any]:
    return act("update_field", field_name=field_name, value=value, **more)


def note(**settings: Any) -> dict[str, Any]:
    return act("create_activity", **settings)


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"conditions": [when("naem", "equals", "x")]}, "condition_field", "no field “naem”"),
        ({"conditions": [when("_object_id", "equals", "x")]}, "condition_field", "no field"),
        ({"conditions": [when("password_hash", "equals", "x")]}, "condition_field", "no field"),
        ({"conditions": [when("entity.custom_fields.a.b", "equals", "x")]}, "condition_field", ""),
        ({"condition_field": "amount"}, "condition_operator", "How is Amount compared"),
        ({"conditions": [when("amount", "resembles", 5)]}, "condition_operator", "resembles"),
        ({"conditions": [when("amount", "greater_than", "a lot")]}, "condition_value", "not a number"),
        ({"conditions": [when("stage", "greater_than", "x")]}, "condition_operator", "makes no sense"),
        ({"conditions": [when("stage", "equals", "Proposal")]}, "condition_value", "not an id"),
        ({"conditions": [when("amount", "greater_than", "")]}, "condition_value", "missing"),
        ({"conditions": [when("name", "contains", "a\x00")]}, "conditions", "cannot be stored"),
        ({"conditions": [when("amount", "equals", 5)] * 21}, "actions", "At most 20"),
        ({"conditions": "amount > 5"}, "conditions", "list"),
        ({"conditions": [], "fires": "becomes_true"}, "fires", "always true"),
        ({"actions": []}, "actions", "at least one"),
        ({"actions": [act("call_python", code="1/0")]}, "action_type", "call_python"),
        ({"actions": [{"type": ["update_field"], "config": {}}]}, "action_type", "not one of"),
        ({"actions": [set_("status", "open")]}, "field_name", "move to stage"),
        ({"actions": [set_("version", 7)]}, "field_name", "not change it"),
        ({"actions": [set_("created_at", "2026-01-01")]}, "field_name", "not change it"),
        ({"actions": [act("update_field", value="x")]}, "field_name", "Choose the field"),
        ({"actions": [set_("name", " ")]}, "value", "cannot be empty"),
        ({"actions": [set_("amount", "-5")]}, "amount", "Zero or more"),
        (
            {"entity_type": "Activity", "actions": [set_("due_at", "9999-12-31T23:59Z")]},
            "due_at",
            "the year 2 to 9998",
        ),
        ({"actions": [set_("currency", "banana")]}, "currency", "banana"),
        ({"actions": [set_("name", "{deal.nmae}")]}, "value", "placeholder"),
        ({"actions": [set_("name", "x", force=True)]}, "action_config", "force"),
        ({"actions": [note()]}, "subject", "missing"),
        ({"actions": [note(subject="Hi {deal.password}")]}, "subject", "{deal.password}"),
        ({"actions": [note(subject="Hi", type="call")]}, "type", "a note or a task"),
        ({"actions": [note(subject="Hi", type="task", due_in_days="0.5")]}, "due_in_days", "Whole days"),
        ({"actions": [note(subject="Hi", type="task", due_in_days="²")]}, "due_in_days", "Whole days"),
        ({"actions": [note(subject="Hi", due_in_days=3)]}, "due_in_days", "never due"),
        ({"actions": [act("send_notification", to="everybody")]}, "to", ""),
        ({"actions": [act("move_to_stage")]}, "stage_id", "Choose the stage"),
        ({"actions": [act("move_to_stage", stage_id="Proposal")]}, "stage_id", ""),
        (
            {"entity_type": "Entity", "actions": [act("move_to_stage", stage_id="x")]},
            "action_type",
            "Only a deal",
        ),
        ({"trigger_event": "delete", "actions": [set_("name", "x")]}, "action_type", "deleted"),
        ({"trigger_event": "delete", "entity_type": "Entity"}, "action_type", "deleted contact"),
    ],
)
def test_a_rule_that_makes_no_sense_cannot_be_saved(
    session: Session, fields: dict[str, Any], field: str, words: str
) -> None:
    """D33, D34, D35, D37, D40: what could only misfire later is refused at once, in words."""
    with pytest.raises(FieldError) as refused:
        save(
            WorkflowRule(
                **{"name": "R", "entity_type": "Deal", "trigger_event": "update", "actions": [NOTE], **fields}
            )
        )
    assert refused.value.field == field
    assert words in refused.value.message
    session.rollback()
    assert session.scalars(select(WorkflowRule)).all() == []


def test_values_given_in_python_are_kept_as_plain_text(session: Session, stages: Stages) -> None:
    rule(
        "Typed",
        conditions=[
            when("amount", "greater_than", Decimal("99.5")),
            when("expected_close_date", "greater_than", date(2026, 1, 1)),
            when("stage", "one_of", (stages["Lead"], stages["Proposal"].id)),
        ],
    )
    deal = make_deal(stages["Lead"], expected_close_date=date(2026, 5, 1))
    change(deal, amount=100)
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


def test_every_process_meets_a_changed_rule_at_once(
    session: Session, stages: Stages, settings: config.Settings
) -> None:
    deal = make_deal(stages["Lead"])
    rule("Late", is_active=False)
    change(deal, amount=1)
    given = {"database_url": settings.database_url, "instance": settings.instance, "secret_key": "x"}
    switch_on = f"""
from crmweb import changes, config, create_app
from crmweb.extensions import db
from crmweb.models import WorkflowRule
with create_app(config.read({{}}, **{given!r})).app_context():
    db.session.query(WorkflowRule).one().is_active = True
    changes.commit()
"""
    subprocess.run([sys.executable, "-c", switch_on], check=True, timeout=60)
    change(deal, amount=2)
    assert subjects(session, deal_id=deal.id) == ["Say hello"]


def test_rules_of_a_change_that_is_undone_are_met_by_nobody(
    session: Session, stages: Stages, elsewhere: Stage
) -> None:
    """A new rule and a deal in one change: if the change comes to nothing, so does the rule."""
    deal = make_deal(stages["Lead"])
    version = workflow.rules_of(session)
    session.rollback()

    def work(session: Session) -> None:
        move_away = [act("move_to_stage", stage_id=str(elsewhere.id))]
        broken = WorkflowRule(
            name="B", entity_type="Deal", trigger_event="update", actions=move_away, on_failure="undo"
        )
        session.add(broken)
        session.get_one(Deal, deal.id).amount = Decimal(1)

    with pytest.raises(WorkflowExecutionError):
        changes.commit(work)
    assert workflow.rules_of(session) == version
    change(deal, amount=2)
    assert fresh(session, deal).amount == 2


def test_asking_for_rules_twice_in_one_change_keeps_one_log(session: Session, stages: Stages) -> None:
    rule("Greet", conditions=[when("amount", "greater_than", 1)])
    rule("Never", conditions=[when("amount", "less_than", 1)])
    one, two = make_deal(stages["Lead"], "One"), make_deal(stages["Lead"], "Two")
    for deal in (one, two, one):
        WorkflowService.execute_rules("Deal", "update", deal)
    changes.commit()
    assert subjects(session, deal_id=one.id) == subjects(session, deal_id=two.id) == ["Say hello"]
    assert [len(look.looks) for look in session.scalars(select(RuleLook).order_by(RuleLook.record_id))] == [
        4,
        2,
    ]


def test_what_rules_did_on_request_has_a_change_set_too(session: Session, stages: Stages, ann: User) -> None:
    rule("Tell", act("send_notification"))
    rule("Never", conditions=[when("amount", "is_empty")])
    deal = make_deal(stages["Lead"])
    WorkflowService.execute_rules("Deal", "update", deal)
    changes.commit(by=ann)
    looked = session.scalars(select(RuleLook.change_set_id)).one()
    assert session.get_one(ChangeSet, looked).by_user_id == ann.id
    assert session.scalars(select(RuleRun.change_set_id)).one() == looked


# Which rule did what stands on the timeline ----------------------------------------------------------------------


def signs(session: Session, deal: Deal) -> list[tuple[str, str | None, str, str | None]]:
    """The deal's timeline without what people changed, oldest first: type, rule, what, after whom."""
    items = [item for item in timeline.of_deal(session, deal.id) if item.type != "edit"]
    return [(item.type, item.rule_name, item.subject, item.after) for item in reversed(items)]


def test_the_timeline_says_which_rule_did_what_after_whom_and_behind_the_move_that_set_it_off(
    session: Session, stages: Stages, elsewhere: Stage, cast: Cast
) -> None:
    """D23: the move's note precedes what rules do."""
    rule("Chase", act("create_activity", type="task", subject="Call them"))
    rule("Date", act("update_field", field_name="expected_close_date", value="2026-12-31"), NOTE)
    rule("Tell", act("send_notification", to="admins", message="Look"))
    failing(elsewhere)
    deal = make_deal(stages["Lead"])
    move(deal, stages["Qualified"], by=cast.priya)
    after = "after Priya Nair’s change"
    assert signs(session, deal) == [
        ("audit", None, "Deal moved: Lead → Qualified", None),
        ("task", "Chase", "Call them", after),
        ("note", "Date", "Say hello", after),
        ("rule", "Date", "set Close date to “2026-12-31”", after),
        ("rule", "Tell", "notified Ann Berg: “Look”", after),
        (
            "rule",
            "Broken",
            f"could not move the deal: {WRONG_PIPELINE}",
            after,
        ),
    ]


def test_the_timeline_says_where_rules_that_set_off_each_other_were_stopped(
    session: Session, stages: Stages
) -> None:
    rule(
        "Low",
        act("update_field", field_name="amount", value=1),
        conditions=[when("amount", "greater_than", 1)],
    )
    rule(
        "High", act("update_field", field_name="amount", value=9), conditions=[when("amount", "less_than", 9)]
    )
    deal = make_deal(stages["Lead"], amount=5)
    change(deal, amount=6)
    assert [(name, what) for _, name, what, _ in signs(session, deal)] == [
        ("Low", "changed Amount from “6” to “1”"),
        ("High", "changed Amount from “1” to “9”"),
        ("Low", "was stopped. It already ran for this record in this change. “High” changed it last."),
    ]


def test_an_entry_of_a_rule_knows_its_rule(session: Session, stages: Stages) -> None:
    greet = rule("Greet", NOTE, act("update_field", field_name="amount", value=5), on="create")
    deal = make_deal(stages["Lead"])
    assert [item.rule_id for item in timeline.of_deal(session, deal.id)] == [greet.id, greet.id]


def test_an_entitys_timeline_has_its_own_and_its_deals_signs(
    session: Session, stages: Stages, ann: User
) -> None:
    rule("Mark", act("update_field", field_name="note", value="VIP"), of="Entity", on="create")
    rule("Price", act("update_field", field_name="amount", value=5), on="create")
    rule("Plan", act("update_field", field_name="due_at", value="2026-12-31"), of="Activity", on="create")
    deal = make_deal(stages["Lead"], "Fleet", by=ann)
    make_note(deal, "They called")
    items = [
        (item.rule_name, item.subject, item.deal_name)
        for item in timeline.of_entity(session, deal.entity_id)
        if item.rule_id
    ]
    assert items == [
        ("Plan", "set Due to “2026-12-31 00:00”", None),
        ("Mark", "set Note to “VIP”", None),
        ("Price", "changed Amount from “50,000” to “5”", "Fleet"),
    ]


def test_the_timeline_of_a_busy_rule_is_read_page_by_page_without_loss(
    session: Session, stages: Stages
) -> None:
    rule("Count", act("send_notification", to="admins"), NOTE)
    make_cast()
    deal = make_deal(stages["Lead"])
    for amount in range(6):
        change(deal, amount=amount)
    whole = [item.id for item in timeline.of_deal(session, deal.id)]
    assert len(whole) == 18
    paged, before = [], None
    while page := timeline.of_deal(session, deal.id, 5, before):
        paged += [item.id for item in page[:5]]
        before = paged[-1]
    assert paged == whole
