"""What a record may not do while others depend on it, whatever road the change comes by."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from crmweb import changes, clock
from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.models import Deal, Entity, Stage, User
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, save

Stages = dict[str, Stage]


def refused(field: str) -> str:
    """The words with which the pending change is refused."""
    with pytest.raises(FieldError) as wrong:
        changes.commit()
    assert wrong.value.field == field
    return wrong.value.message


def test_an_entity_with_deals_cannot_be_deleted(stages: Stages, ann: User) -> None:
    deal = make_deal(stages["Lead"])
    entity = deal.entity
    entity.delete(ann)
    assert "1 deal" in refused("entity")
    edit(deal, deleted_at=clock.now())
    entity.delete(ann)
    changes.commit()
    assert db.session.get_one(Entity, entity.id, populate_existing=True).deleted_at is not None


def test_an_entity_and_its_deals_may_go_in_one_change(stages: Stages, ann: User) -> None:
    deal = make_deal(stages["Lead"])
    deal.entity.delete(ann)
    deal.delete(ann)
    changes.commit(by=ann)
    assert fresh(deal).deleted_at is not None


@pytest.mark.parametrize("by", ["entity", "entity_id"])
def test_a_deal_cannot_be_made_with_an_entity_that_is_gone(by: str, stages: Stages, ann: User) -> None:
    gone = make_entity("Gone")
    gone.delete(ann)
    changes.commit()
    given: Any = gone if by == "entity" else gone.id
    db.session.add(Deal(name="Forklift", stage=stages["Lead"], **{by: given}))
    assert "not there any more" in refused("entity")
    deal = make_deal(stages["Lead"])
    setattr(deal, by, given)
    assert "not there any more" in refused("entity")


def test_a_deal_cannot_come_back_to_an_entity_that_is_gone(stages: Stages, ann: User) -> None:
    deal = make_deal(stages["Lead"])
    deal.delete(ann)
    deal.entity.delete(ann)
    changes.commit()
    deal.deleted_at = None
    assert "not there any more" in refused("entity")


def test_a_deal_cannot_be_made_with_an_entity_that_never_was(stages: Stages) -> None:
    db.session.add(Deal(name="Forklift", stage=stages["Lead"], entity_id=uuid4()))
    assert "not there any more" in refused("entity")


def test_a_deal_may_be_edited_after_its_entity_came_and_went(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    edit(deal, name="Crane fleet")
    assert fresh(deal).name == "Crane fleet"


@pytest.mark.parametrize("status", ["closed_won", "closed_lost"])
def test_a_stage_with_deals_does_not_change_between_open_won_and_lost(status: str, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    stages["Lead"].status = status
    assert "1 deal" in refused("status")
    move(deal, stages["Proposal"])
    stages["Lead"].status = status
    changes.commit()
    assert (fresh(deal).status, db.session.get_one(Stage, stages["Lead"].id, populate_existing=True).status) == (
        "open", status,
    )  # fmt: skip


def test_a_stage_with_deals_is_not_archived_from_under_them(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    stages["Lead"].is_archived = True
    assert "1 deal" in refused("is_archived")
    edit(deal, deleted_at=clock.now())
    stages["Lead"].is_archived = True
    changes.commit()


def test_a_stage_with_deals_may_change_everything_else(stages: Stages) -> None:
    make_deal(stages["Lead"])
    stages["Lead"].name, stages["Lead"].probability, stages["Lead"].color = "Fresh", 5, "teal"
    changes.commit()
    assert save(stages["Lead"]).name == "Fresh"
