"""What a stage's details say: how long deals stay, where they go from there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Deal, Stage, User
from crmweb.models.deal import Elsewhere
from crmweb.queries import stage_facts
from crmweb.queries.stage_facts import StageFacts
from tests.support.deals import move
from tests.support.factories import make_deal, make_pipeline, save
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import count_statements

Stages = dict[str, Stage]
Passes = Callable[..., Deal]


@pytest.fixture
def passes(stages: Stages, noon: datetime) -> Passes:
    """`passes("Lead", 3, "Proposal")`: a deal that was in Lead for 3 days until noon and went on to Proposal."""

    def passes(*way: str | int) -> Deal:
        days = [step for step in way if isinstance(step, int)]
        names = [str(step) for step in way if not isinstance(step, int)]
        moment = noon - timedelta(days=sum(days))
        with clock.at(moment):
            deal = make_deal(stages[names[0]])
        for name, stay in zip(names[1:], days, strict=True):
            moment += timedelta(days=stay)
            with clock.at(moment):
                move(deal, stages[name])
        return deal

    return passes


def facts(stage: Stage, at: datetime) -> StageFacts:
    with clock.at(at):
        return stage_facts.load(db.session(), stage.pipeline_id, stage.id)


def test_the_typical_stay_is_the_median_of_those_that_ended(
    stages: Stages, passes: Passes, noon: datetime
) -> None:
    for days in (1, 2, 30):
        passes("Lead", days, "Qualified")
    make_deal(stages["Lead"])
    lead = facts(stages["Lead"], noon)
    assert (lead.stays, lead.median_seconds, lead.deals) == (3, 2 * 86_400, 1)


def test_each_deal_that_left_counts_once_by_its_last_leaving(
    stages: Stages, passes: Passes, noon: datetime
) -> None:
    passes("Qualified", 1, "Proposal")
    passes("Qualified", 1, "Closed Won")
    passes("Qualified", 1, "Closed Lost")
    passes("Qualified", 1, "Lead")
    passes("Qualified", 1, "Lead", 1, "Qualified", 1, "Negotiation")
    known = facts(stages["Qualified"], noon)
    assert (known.stays, known.left) == (6, 5)
    assert (known.on, known.lost, known.back, known.elsewhere) == (3, 1, 1, 0)
    assert known.next_name == "Proposal"


def test_a_move_to_another_pipeline_is_neither_on_nor_back(stages: Stages, noon: datetime) -> None:
    elsewhere = make_pipeline("Partners")["Proposal"]
    deal = make_deal(stages["Lead"])
    move(deal, Elsewhere(elsewhere.id))
    known = facts(stages["Lead"], clock.now() + timedelta(seconds=1))
    assert (known.left, known.elsewhere) == (1, 1)


def test_stays_of_deleted_deals_and_of_more_than_a_year_ago_do_not_count(
    stages: Stages, passes: Passes, noon: datetime, ann: User
) -> None:
    gone = passes("Lead", 5, "Qualified").id
    changes.commit(lambda session: Deal.locked(session, gone).delete(ann), by=ann)
    passes("Lead", 7, "Qualified")
    assert facts(stages["Lead"], noon).stays == 1
    assert facts(stages["Lead"], noon + timedelta(days=366)).stays == 0


def test_a_stage_that_nobody_left_says_so(client: Browser, stages: Stages, priya: User) -> None:
    lead = stages["Lead"]
    page = sign_in(client, priya).get(f"/pipelines/{lead.pipeline_id}/stages/{lead.id}/statistics")
    assert page.status_code == 200
    assert "no deal has left Lead in the last 12 months" in page.text


def test_the_details_say_what_the_numbers_are_of(
    client: Browser, stages: Stages, passes: Passes, priya: User, noon: datetime
) -> None:
    lead = stages["Lead"]
    lead.description, lead.max_deals, lead.limit_mode = "First contact", 8, "hard"
    lead.rot_days, lead.required_fields = 10, ["amount", "custom_fields.budget"]
    save(lead)
    for name in ("Qualified", "Proposal", "Closed Lost"):
        passes("Lead", 4, name)
    with clock.at(noon):
        answer = sign_in(client, priya).get(
            f"/pipelines/{lead.pipeline_id}/stages/{lead.id}/statistics", headers={"HX-Request": "true"}
        )
    words = " ".join(answer.text.split())
    assert "<html" not in words
    for said in (
        "First contact",
        "<b>4 d</b><small>the median of 3 stays that ended in the last 12 months",
        "2 of 3 deals that left went on to Qualified or further, 1 lost",
        "<b>8 deals</b>",
        "<b>after 10 d</b>",
        "Whoever moves a deal in gives an amount, “budget”.",
    ):
        assert said in words


def test_a_stage_of_another_pipeline_is_not_there(client: Browser, stages: Stages, priya: User) -> None:
    other = make_pipeline("Partners")["Lead"]
    page = sign_in(client, priya).get(f"/pipelines/{stages['Lead'].pipeline_id}/stages/{other.id}/statistics")
    assert page.status_code == 404


def test_the_details_cost_two_statements_whatever_the_past(
    stages: Stages, passes: Passes, noon: datetime
) -> None:
    for _ in range(3):
        passes("Lead", 1, "Qualified")
    with count_statements() as statements:
        facts(stages["Lead"], noon)
    assert len(statements) == 2, statements
