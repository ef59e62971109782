"""The examples as both documents print them; only the imports and the saving differ.

Where they write `record.save(force_insert=True)`, here stand `db.session.add(record)` and one `changes.commit()`.
"""

from __future__ import annotations

import asyncio

import pytest

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Deal, Entity, Pipeline, Stage, WorkflowRule
from crmweb.services import ActivityService, DealService
from crmweb.signals import CRMLifecycleEvent
from tests.support.factories import make_entity


@pytest.fixture
def entity() -> Entity:
    """The documents use one without making it."""
    return make_entity("Acme")


def test_the_example_of_deals_and_pipelines(entity: Entity) -> None:
    # Create a pipeline
    pipeline = Pipeline(name="Enterprise Sales")
    db.session.add(pipeline)
    changes.commit()

    # Create stages
    prospecting = Stage(
        pipeline=pipeline,
        name="Prospecting",
        order=1,
        probability=10.0,
        status="open",
    )
    db.session.add(prospecting)
    changes.commit()

    negotiation = Stage(
        pipeline=pipeline,
        name="Negotiation",
        order=2,
        probability=50.0,
        status="open",
    )
    db.session.add(negotiation)
    changes.commit()

    closed_won = Stage(
        pipeline=pipeline,
        name="Closed Won",
        order=3,
        probability=100.0,
        status="closed_won",
    )
    db.session.add(closed_won)
    changes.commit()

    # Create a deal
    deal = Deal(
        name="Acme Enterprise License",
        amount=50000.0,
        entity=entity,
        stage=prospecting,
    )
    db.session.add(deal)
    changes.commit()

    # Move deal through stages
    DealService.move_deal_to_stage(
        deal=deal,
        new_stage_id=negotiation._object_id,
        note="Initial meeting went well",
        user_email="sales@example.com",
    )

    assert deal.stage is negotiation
    assert deal.status == "open"
    (note,) = ActivityService.get_timeline("Deal", deal._object_id)
    assert (note.subject, note.description) == (
        "Deal moved: Prospecting → Negotiation",
        "Initial meeting went well",
    )
    assert note.by_label == "sales@example.com"


def example_deal(entity: Entity) -> tuple[Deal, Stage]:
    pipeline = Pipeline(name="Enterprise Sales")
    prospecting, negotiation = (
        Stage(pipeline=pipeline, name=name, order=order)
        for order, name in enumerate(("Prospecting", "Negotiation"))
    )
    deal = Deal(name="Acme Enterprise License", entity=entity, stage=prospecting)
    db.session.add_all([pipeline, prospecting, negotiation, deal])
    changes.commit()
    return deal, negotiation


def test_the_example_of_move_deal_to_stage(entity: Entity) -> None:
    deal, negotiation = example_deal(entity)
    updated_deal = DealService.move_deal_to_stage(
        deal=deal,
        new_stage_id=str(negotiation._object_id),
        note="Moving to negotiation phase",
        user_email="user@example.com",
    )
    assert updated_deal is deal
    assert updated_deal.stage.name == "Negotiation"


def test_the_example_of_amove_deal_to_stage(entity: Entity) -> None:
    deal, negotiation = example_deal(entity)

    async def example() -> Deal:
        # Async version
        updated_deal = await DealService.amove_deal_to_stage(
            deal=deal,
            new_stage_id=str(negotiation._object_id),
            note="Moving to negotiation phase",
            user_email="user@example.com",
        )
        return updated_deal  # noqa: RET504  as the document prints it

    updated_deal = asyncio.run(example())
    assert updated_deal is deal
    assert updated_deal.stage.name == "Negotiation"


def test_the_events_are_subscribed_to_by_their_names(entity: Entity) -> None:
    deal, negotiation = example_deal(entity)
    heard: list[str] = []

    def remember(sender: object, **payload: object) -> None:
        heard.append(" ".join(payload))

    CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.connect(remember)
    try:
        DealService.move_deal_to_stage(deal, negotiation._object_id)
    finally:
        CRMLifecycleEvent.ON_DEAL_STAGE_CHANGE.disconnect(remember)
    assert heard == ["deal user_email old_stage new_stage"]


def test_the_example_of_workflow_rules(entity: Entity) -> None:
    # Auto-create a follow-up note when a deal status changes to closed_won
    db.session.add(
        WorkflowRule(
            name="Won Deal Follow-up",
            entity_type="Deal",
            trigger_event="update",
            condition_field="status",
            condition_operator="equals",
            condition_value="closed_won",
            action_type="create_activity",
            action_config={
                "subject": "Deal won — schedule onboarding",
                "description": "This deal has been closed. Please schedule an onboarding call with the client.",
            },
            is_active=True,
        )
    )

    # Auto-update entity status when name contains "VIP"
    db.session.add(
        WorkflowRule(
            name="VIP Entity Marker",
            entity_type="Entity",
            trigger_event="update",
            condition_field="name",
            condition_operator="contains",
            condition_value="VIP",
            action_type="update_field",
            action_config={
                "field_name": "note",
                "value": "VIP client — priority support",
            },
            is_active=True,
        )
    )
    changes.commit()

    entity.name = "Acme VIP"
    changes.commit()
    assert entity.note == "VIP client — priority support"

    deal, _ = example_deal(entity)
    closed_won = Stage(pipeline=deal.stage.pipeline, name="Closed Won", order=3, status="closed_won")
    db.session.add(closed_won)
    changes.commit()
    DealService.move_deal_to_stage(deal, closed_won._object_id)
    follow_up, moved = ActivityService.get_timeline("Deal", deal._object_id)
    assert moved.subject == "Deal moved: Prospecting → Closed Won"
    assert (follow_up.type, follow_up.subject) == ("note", "Deal won — schedule onboarding")
    assert follow_up.description.startswith("This deal has been closed.")
