"""The document on workflow rules, row by row and bullet by bullet. How rules work together: `test_rule_engine.py`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, config
from crmweb.errors import FieldError, WorkflowExecutionError
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Entity, Notification, Stage, User, WorkflowRule
from crmweb.services import WorkflowService
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, make_note, save

Stages = dict[str, Stage]
Db = scoped_session[Session]
NOTE = {"action_type": "create_activity", "action_config": {"subject": "Follow-up required"}}


def rule(**fields: Any) -> WorkflowRule:
    """A rule in the document's own words, for updates of deals unless told otherwise."""
    given = {"name": "Follow up", "entity_type": "Deal", "trigger_event": "update", **NOTE, **fields}
    return save(WorkflowRule(**{name: value for name, value in given.items() if value is not ...}))


def refused(**fields: Any) -> FieldError:
    with pytest.raises(FieldError) as wrong:
        rule(**fields)
    db.session.rollback()
    return wrong.value


def notes() -> list[str]:
    found = select(Activity.subject).where(Activity.kind.is_(None)).order_by(Activity.created_at, Activity.id)
    return list(db.session.scalars(found))


# WorkflowRule model ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", ""),
        ("name", ...),
        ("entity_type", "Stage"),
        ("entity_type", ...),
        ("trigger_event", "stage_entered"),
        ("trigger_event", ...),
        ("action_type", "explode"),
        ("action_config", ["subject"]),
        ("action_config", {"subjekt": "Hello"}),
    ],
)
def test_a_field_that_is_missing_or_unknown_is_refused_by_its_name(field: str, wrong: Any) -> None:
    assert refused(**{field: wrong}).field == field


def test_a_rule_needs_an_action() -> None:
    assert refused(action_type=..., action_config=...).field == "actions"


def test_a_condition_is_none_by_default_and_a_rule_is_active() -> None:
    made = rule()
    assert (made.condition_field, made.condition_operator, made.condition_value) == (None, None, None)
    assert made.is_active is True


def test_a_rule_reads_back_as_it_was_written() -> None:
    made = rule(condition_field="amount", condition_operator="greater_than", condition_value=1000)
    db.session.expire(made)
    assert (made.condition_field, made.condition_operator, made.condition_value) == (
        "amount",
        "greater_than",
        1000,
    )
    assert (made.action_type, made.action_config) == ("create_activity", {"subject": "Follow-up required"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Forklift fleet"),
        ("amount", 50_000),
        ("amount", 50_000.0),
        ("amount", Decimal("50000.00")),
        ("amount", "50,000"),
        ("expected_close_date", date(2026, 4, 30)),
        ("expected_close_date", datetime(2026, 4, 30, 12, tzinfo=UTC)),
        ("expected_close_date", "2026-04-30"),
        ("custom_fields.seats", 12),
        ("custom_fields.vip", True),
        ("lost_reason", None),
    ],
)
def test_a_condition_value_is_anything_that_the_field_can_be(field: str, value: Any, stages: Stages) -> None:
    rule(condition_field=field, condition_operator="equals", condition_value=value)
    deal = make_deal(
        stages["Lead"], expected_close_date=date(2026, 4, 30), custom_fields={"seats": 12, "vip": True}
    )
    edit(deal, currency="EUR")
    assert notes() == ["Follow-up required"]


def test_a_record_is_compared_by_its_id_or_by_the_ids_text(stages: Stages) -> None:
    for stage_id in (stages["Proposal"].id, str(stages["Proposal"].id)):
        rule(condition_field="stage", condition_operator="equals", condition_value=stage_id)
    move(make_deal(stages["Lead"]), stages["Proposal"])
    assert notes() == ["Follow-up required"] * 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", {"a": object()}])
def test_a_condition_value_that_cannot_be_kept_is_refused(value: Any) -> None:
    refused(condition_field="name", condition_operator="equals", condition_value=value)


@pytest.mark.parametrize("config", [{"subject": "Hello", "due_in_days": float("nan")}, {"subject": object()}])
def test_an_action_config_that_cannot_be_kept_is_refused(config: dict[str, Any]) -> None:
    refused(action_config=config)


# Condition operators ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "value", "fires"),
    [
        ("equals", "Forklift fleet", True),
        ("equals", "Forklift", False),
        ("not_equals", "Forklift", True),
        ("not_equals", "Forklift fleet", False),
        ("contains", "lift", True),
        ("contains", "crane", False),
    ],
)
def test_operators_on_a_text(operator: str, value: str, fires: bool, stages: Stages) -> None:
    rule(condition_field="name", condition_operator=operator, condition_value=value)
    edit(make_deal(stages["Lead"]), amount=1)
    assert bool(notes()) is fires


@pytest.mark.parametrize(
    ("operator", "value", "fires"),
    [
        ("equals", 50_000, True),
        ("not_equals", 50_000, False),
        ("contains", "500", True),
        ("greater_than", 49_999.99, True),
        ("greater_than", 50_000, False),
        ("less_than", 50_000.001, True),
        ("less_than", 9, False),
    ],
)
def test_operators_on_a_number(operator: str, value: Any, fires: bool, stages: Stages) -> None:
    rule(condition_field="amount", condition_operator=operator, condition_value=value)
    edit(make_deal(stages["Lead"]), name="Crane fleet")
    assert bool(notes()) is fires


def test_without_a_condition_field_the_rule_always_matches(stages: Stages) -> None:
    rule()
    deal = make_deal(stages["Lead"])
    edit(deal, name="Crane fleet")
    edit(deal, amount=1)
    assert len(notes()) == 2


# update_field ----------------------------------------------------------------------------------------------------


def test_update_field_sets_the_field_and_saves_it() -> None:
    rule(
        entity_type="Entity",
        action_type="update_field",
        action_config={"field_name": "status", "value": "Inactive"},
    )
    entity = make_entity()
    entity.name = "Southwind"
    changes.commit()
    assert entity.status == "Inactive"
    assert db.session.get_one(Entity, entity.id, populate_existing=True).status == "Inactive"


def test_the_documents_own_config_is_fine() -> None:
    made = rule(
        entity_type="Entity",
        action_type="update_field",
        action_config={"field_name": "status", "value": "Active"},
    )
    assert made.action_config == {"field_name": "status", "value": "Active"}


# create_activity -------------------------------------------------------------------------------------------------


def test_create_activity_links_a_note_to_the_record_and_inherits_its_owner(
    stages: Stages, priya: User
) -> None:
    text = {"subject": "Follow-up required", "description": "Automatically created by workflow rule"}
    rule(action_config=text)
    rule(entity_type="Entity", action_config={**text, "subject": "On the entity"})
    deal = make_deal(stages["Lead"], owner=priya)
    edit(deal, amount=1)
    entity = deal.entity
    entity.name = "Southwind"
    changes.commit()
    on_deal, on_entity = db.session.scalars(select(Activity).order_by(Activity.id))
    assert (on_deal.type, on_deal.related_to_type, on_deal.related_to_id) == ("note", "Deal", deal.id)
    assert (on_deal.subject, on_deal.description) == tuple(text.values())
    assert on_deal.assigned_to_id == priya.id
    assert (on_entity.related_to_type, on_entity.related_to_id) == ("Entity", entity.id)
    assert on_entity.assigned_to_id is None


# send_notification -----------------------------------------------------------------------------------------------


def test_send_notification_is_no_placeholder_any_more(stages: Stages, priya: User, ann: User) -> None:
    """The document's no-op takes an empty config; here that tells the owner, else the admins."""
    rule(action_type="send_notification", action_config={})
    edit(make_deal(stages["Lead"], owner=priya), amount=1)
    edit(make_deal(stages["Lead"], "Nobody's"), amount=1)
    told = db.session.execute(
        select(Notification.user_id, Notification.subject).order_by(Notification.id)
    ).all()
    assert told == [(priya.id, "Follow up: Forklift fleet"), (ann.id, "Follow up: Nobody's")]


# How rules are triggered -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("entity_type", ["Entity", "Deal", "Activity"])
@pytest.mark.parametrize("trigger", ["create", "update", "delete"])
def test_every_trigger_of_every_entity_type_fires(
    entity_type: str, trigger: str, stages: Stages, ann: User
) -> None:
    deal, entity = make_deal(stages["Lead"]), make_entity()
    note = make_note(deal)
    rule(entity_type=entity_type, trigger_event=trigger, action_type="send_notification", action_config={})
    record: Any = {"Deal": deal, "Entity": entity, "Activity": note}[entity_type]
    if trigger == "create":
        {
            "Deal": lambda: save(Deal(name="New", entity=entity, stage=stages["Lead"])),
            "Entity": make_entity,
            "Activity": lambda: make_note(deal),
        }[entity_type]()
    else:
        if trigger == "delete":
            record.deleted_at = note.created_at
        elif entity_type == "Activity":
            record.subject = "Renamed"
        else:
            record.name = "Renamed"
        changes.commit()
    assert db.session.scalar(select(func.count()).select_from(Notification)) == 1


def test_a_rule_of_another_trigger_or_type_does_not_fire(stages: Stages) -> None:
    for other in ({"trigger_event": "create"}, {"trigger_event": "delete"}, {"entity_type": "Activity"}):
        rule(**other)
    edit(make_deal(stages["Lead"]), amount=1)
    assert notes() == ["Follow-up required"], "that of the creation alone"


def test_a_rule_that_is_not_active_does_not_fire(stages: Stages) -> None:
    rule(is_active=False)
    edit(make_deal(stages["Lead"]), amount=1)
    assert notes() == []


def test_rules_are_executed_by_the_service_of_the_documents_name(stages: Stages) -> None:
    rule()
    deal = make_deal(stages["Lead"])
    WorkflowService.execute_rules("Deal", "update", deal)
    changes.commit()
    assert notes() == ["Follow-up required"]


def test_a_failing_action_raises_workflow_execution_error(stages: Stages, tom: User) -> None:
    rule(action_type="update_field", action_config={"field_name": "assigned_to", "value": str(tom.id)})
    tom.is_active = False
    changes.commit()
    deal = make_deal(stages["Lead"])
    with pytest.raises(WorkflowExecutionError) as failed:
        WorkflowService.execute_rules("Deal", "update", deal)
    assert failed.value.rule_name == "Follow up"
    assert "Follow up" in failed.value.message
    assert fresh(deal).assigned_to is None


# Configuration ---------------------------------------------------------------------------------------------------


def test_the_most_rules_for_an_entity_type_are_a_setting() -> None:
    assert config.Settings().max_workflow_rules_per_entity == 100
    config.use(config.read({"CRMWEB_MAX_WORKFLOW_RULES_PER_ENTITY": "2"}))
    rule(name="First"), rule(name="Second")
    assert "CRMWEB_MAX_WORKFLOW_RULES_PER_ENTITY" in refused(name="Third").message
    assert rule(entity_type="Entity").id
