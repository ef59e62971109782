"""What a stage asks for, on pages: the deal's forms, the question after a drop, a full stage."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from crmweb.extensions import db
from crmweb.models import Deal, Stage, User
from tests.support.deals import column, fresh, path
from tests.support.factories import make_deal
from tests.support.forms import form_at, read
from tests.support.gates import gate, limit
from tests.support.outside import Browser
from tests.support.people import sign_in

Stages = dict[str, Stage]


@pytest.fixture
def priyas(client: Browser, priya: User) -> Browser:
    sign_in(client, priya)
    return client


@pytest.fixture
def strict(stages: Stages) -> Stage:
    """Negotiation, which asks for an amount and a close date."""
    gate(stages["Negotiation"], required_fields=["amount", "expected_close_date"])
    return stages["Negotiation"]


# The deal's own forms --------------------------------------------------------------------------------------------


def test_a_new_deal_brings_what_its_stage_asks_for(priyas: Browser, strict: Stage) -> None:
    form = form_at(priyas, f"/deals/new?stage_id={strict.id}", "/deals/new")
    answer = form.send(priyas, name="Crane", entity_name="Hill Ltd")
    assert answer.status_code == 422
    assert read(answer).errors == {
        "amount": "Negotiation needs an amount.",
        "expected_close_date": "Negotiation needs a close date.",
    }
    assert db.session.scalars(select(Deal)).all() == []
    read(answer).form("/deals/new").send(priyas, amount="5", expected_close_date="2027-05-04")
    assert db.session.scalars(select(Deal)).one().stage_id == strict.id


def test_a_stage_chosen_in_the_deals_form_asks_there(priyas: Browser, stages: Stages, strict: Stage) -> None:
    gate(strict.pipeline, asks_lost_reason=True)
    deal = make_deal(stages["Lead"], amount=None)
    form = form_at(priyas, f"/deals/{deal.id}/edit")
    answer = form.send(priyas, stage_id=strict.id, amount="7")
    assert read(answer).errors == {"expected_close_date": "Negotiation needs a close date."}
    answer = form.send(priyas, stage_id=stages["Closed Lost"].id)
    assert read(answer).errors == {"lost_reason": "Closed Lost needs a reason."}
    assert (path(deal), fresh(deal).amount) == (["Lead"], None)
    read(answer).form("/edit").send(priyas, stage_id=stages["Closed Lost"].id, lost_reason="Price")
    assert (path(deal)[-1], fresh(deal).lost_reason) == ("Closed Lost", "Price")


def test_a_full_stage_is_said_beside_the_stage(priyas: Browser, stages: Stages) -> None:
    make_deal(stages["Proposal"])
    limit(stages["Proposal"], 1)
    form = form_at(priyas, f"/deals/new?stage_id={stages['Proposal'].id}", "/deals/new")
    answer = form.send(priyas, name="Crane", entity_name="Hill Ltd")
    assert answer.status_code == 422
    assert "Proposal is full: 1 of 1." in answer.text
    assert len(column(stages["Proposal"])) == 1
