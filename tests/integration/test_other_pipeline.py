"""A deal that leaves its pipeline: an act of its own, with all that a move is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from crmweb import undo
from crmweb.errors import InvalidStageTransitionError
from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, Pipeline, Stage, StageChange, StageTotal, User
from crmweb.models.deal import Elsewhere
from tests.support.deals import fresh, move, path
from tests.support.factories import make_deal, make_pipeline, make_rule, save
from tests.support.outside import Browser
from tests.support.people import sign_in

HTMX = {"HX-Request": "true"}
Stages = dict[str, Stage]


@pytest.fixture
def partners(stages: Stages) -> Stages:
    """Another pipeline."""
    return make_pipeline("Partners")


@pytest.fixture
def deal(stages: Stages, priya: User) -> Deal:
    """Priya's deal in Lead."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya)


def leave(browser: Browser, deal: Deal, stage: Stage, *, htmx: bool = True, **fields: Any) -> TestResponse:
    form = {"stage_id": stage.id, **fields}
    return browser.post(f"/deals/{deal.id}/pipeline", data=form, headers=HTMX if htmx else {})


def versions(stages: Stages) -> dict[str, int]:
    db.session.rollback()
    rows = db.session.execute(
        select(Stage.name, Stage.version, Pipeline.board_version)
        .join(Pipeline, Pipeline.id == Stage.pipeline_id)
        .where(Stage.pipeline_id == stages["Lead"].pipeline_id)
    )
    return {
        name: version for row in rows for name, version in ((row.name, row.version), ("", row.board_version))
    }


def test_it_is_one_move_with_note_history_totals_and_both_boards(
    client: Browser, stages: Stages, partners: Stages, deal: Deal, priya: User
) -> None:
    before = versions(stages), versions(partners)
    answer = leave(sign_in(client, priya), deal, partners["Closed Won"], note="They resell it.")
    assert answer.status_code == 200
    moved = fresh(deal)
    assert (moved.stage_id, moved.status) == (partners["Closed Won"].id, "closed_won")
    assert moved.closed_date is not None
    note = db.session.scalars(
        select(Activity).where(Activity.deal_id == deal.id, Activity.kind == "audit")
    ).one()
    assert (note.subject, note.description) == ("Deal moved: Lead → Closed Won", "They resell it.")
    steps = db.session.scalars(
        select(StageChange).where(StageChange.deal_id == deal.id).order_by(StageChange.at)
    ).all()
    assert [step.to_stage_id for step in steps] == [stages["Lead"].id, partners["Closed Won"].id]
    sums = select(StageTotal.stage_id).where(StageTotal.deal_count > 0, StageTotal.owner_id == priya.id)
    assert list(db.session.scalars(sums)) == [partners["Closed Won"].id]
    after = versions(stages), versions(partners)
    for old, new, name in ((before[0], after[0], "Lead"), (before[1], after[1], "Closed Won")):
        assert (new[name], new[""]) == (old[name] + 1, old[""] + 1)


def test_the_answer_draws_the_board_that_it_left_and_says_where_it_went(
    client: Browser, stages: Stages, partners: Stages, deal: Deal, priya: User
) -> None:
    answer = leave(sign_in(client, priya), deal, partners["Qualified"]).text
    assert f'hx-target="#stage-{stages["Lead"].id}"' in answer
    assert f"deal-{deal.id}" not in re.sub(r"<hx-partial hx-target=\"#toasts.*", "", answer, flags=re.DOTALL)
    assert "Night couriers moved to Qualified in Partners." in answer
    assert "Moved to Qualified in Partners." in answer


def test_without_scripts_it_leads_to_the_card_on_the_other_board(
    client: Browser, partners: Stages, deal: Deal, priya: User
) -> None:
    answer = leave(sign_in(client, priya), deal, partners["Qualified"], htmx=False, view="q=night")
    assert answer.status_code == 303
    assert answer.location == f"/pipelines/{partners['Lead'].pipeline_id}#deal-{deal.id}"


def test_the_form_offers_the_stages_of_other_pipelines_that_take_deals(
    client: Browser, stages: Stages, partners: Stages, deal: Deal, priya: User
) -> None:
    closed = make_pipeline("Closed one", is_active=False)
    page = sign_in(client, priya).get(f"/deals/{deal.id}/pipeline").text
    assert all(f'name="stage_id" value="{stage.id}"' in page for stage in partners.values())
    assert not any(
        f'name="stage_id" value="{stage.id}"' in page for stage in (*stages.values(), *closed.values())
    )


def test_the_way_there_is_shown_where_there_is_another_pipeline(
    client: Browser, stages: Stages, deal: Deal, priya: User
) -> None:
    browser = sign_in(client, priya)
    addresses = (f"/deals/{deal.id}", f"/deals/{deal.id}/move")
    assert not any('/pipeline"' in browser.get(address).text for address in addresses)
    make_pipeline("Partners")
    assert all('/pipeline"' in browser.get(address).text for address in addresses)


def test_the_board_itself_still_refuses_stages_of_other_pipelines(
    client: Browser, partners: Stages, deal: Deal, priya: User
) -> None:
    answer = sign_in(client, priya).post(
        f"/deals/{deal.id}/stage", data={"stage_id": partners["Lead"].id}, headers=HTMX
    )
    assert answer.status_code == 422
    assert path(deal) == ["Lead"]


@pytest.mark.parametrize("what", ["archived stage", "archived pipeline", "nobody's stage"])
def test_what_takes_no_deals_takes_none_from_elsewhere_either(
    client: Browser, partners: Stages, deal: Deal, priya: User, what: str
) -> None:
    target = partners["Lead"]
    if what == "archived stage":
        target.is_archived = True
        save(target)
    elif what == "archived pipeline":
        target.pipeline.is_active = False
        save(target.pipeline)
    fields = {"stage_id": deal.id} if what == "nobody's stage" else {}
    answer = leave(sign_in(client, priya), deal, target, htmx=False, note="Why not", **fields)
    assert answer.status_code == 422
    assert "Why not" in answer.text
    assert path(deal) == ["Lead"]


def test_somebody_elses_deal_stays(client: Browser, partners: Stages, deal: Deal, tom: User) -> None:
    browser = sign_in(client, tom)
    assert browser.get(f"/deals/{deal.id}/pipeline").status_code == 403
    assert leave(browser, deal, partners["Lead"]).status_code == 403
    assert path(deal) == ["Lead"]


def test_a_conflict_and_a_repeated_key_are_what_they_are_on_a_board(
    client: Browser, stages: Stages, partners: Stages, deal: Deal, priya: User, tom: User
) -> None:
    browser = sign_in(client, priya)
    seen = {"from_stage_id": stages["Lead"].id, "seen_version": deal.version}
    move(deal, stages["Proposal"], by=tom)
    assert leave(browser, deal, partners["Lead"], **seen).status_code == 409
    for _ in range(2):
        assert leave(browser, deal, partners["Lead"], idempotency_key="once").status_code == 200
    assert path(deal) == ["Lead", "Proposal", "Lead"]


def test_whoever_looks_at_the_board_that_a_deal_left_keeps_that_board(
    client: Browser, stages: Stages, partners: Stages, deal: Deal, priya: User, tom: User
) -> None:
    lead = stages["Lead"]
    seen = {"from_stage_id": lead.id, "seen_version": deal.version, "seen": f"{lead.id}:0"}
    move(deal, Elsewhere(partners["Lead"].id), by=tom)
    answer = sign_in(client, priya).post(
        f"/deals/{deal.id}/stage", data={"stage_id": stages["Proposal"].id, **seen}, headers=HTMX
    )
    assert answer.status_code == 409
    assert f'id="stage-{lead.id}"' in answer.text
    assert str(partners["Lead"].id) not in answer.text


def test_the_other_pipelines_stage_asks_for_what_it_needs(
    client: Browser, partners: Stages, deal: Deal, priya: User
) -> None:
    target = partners["Proposal"]
    target.required_fields = ["expected_close_date"]
    save(target)
    browser = sign_in(client, priya)
    question = leave(browser, deal, target)
    assert question.status_code == 422
    assert "Proposal needs a close date." in question.text
    assert f'action="/deals/{deal.id}/pipeline"' in question.text
    assert leave(browser, deal, target, expected_close_date="2027-01-31").status_code == 200
    assert path(deal) == ["Lead", "Proposal"]


def test_rules_hear_of_it(client: Browser, partners: Stages, deal: Deal, priya: User) -> None:
    make_rule(
        "Greet partners", trigger_event="update",
        conditions=[{"field": "stage", "operator": "equals", "value": str(partners["Lead"].id)}],
    )  # fmt: skip
    leave(sign_in(client, priya), deal, partners["Lead"])
    subjects = db.session.scalars(select(Activity.subject).where(Activity.deal_id == deal.id))
    assert "Say hello" in set(subjects)


def test_it_can_be_undone(stages: Stages, partners: Stages, deal: Deal, priya: User) -> None:
    move(deal, Elsewhere(partners["Proposal"].id), by=priya)
    latest = db.session.scalar(
        select(ChangeSet.id).order_by(ChangeSet.at.desc(), ChangeSet.id.desc()).limit(1)
    )
    undo.undo(latest, by=priya)
    assert fresh(deal).stage_id == stages["Lead"].id


def test_in_python_it_is_said_out_loud(stages: Stages, partners: Stages, deal: Deal, priya: User) -> None:
    with pytest.raises(InvalidStageTransitionError, match="A deal moves within its pipeline"):
        move(deal, partners["Lead"], by=priya)
    assert move(deal, Elsewhere(partners["Lead"].id), by=priya).kind == "moved"
