"""Undo from the pages: the toast after a move, and the answers that a board and a browser without scripts get."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, Stage, User
from tests.support import forms
from tests.support.cast import Cast
from tests.support.deals import edit, fresh
from tests.support.factories import make_deal, make_entity, make_note, make_rule, save
from tests.support.outside import Browser
from tests.support.people import sign_in

Stages = dict[str, Stage]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def deal(stages: Stages, priya: User) -> Deal:
    """Priya's deal in Lead."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya)


@pytest.fixture
def priyas(client: Browser, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(client, priya)


def drop(browser: Browser, deal: Deal, stage: Stage, *, headers: Any = HTMX, **fields: Any) -> TestResponse:
    return browser.post(f"/deals/{deal.id}/stage", data={"stage_id": stage.id, **fields}, headers=headers)


def newest() -> UUID:
    db.session.rollback()
    return db.session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1)).one()


def press(browser: Browser, change_set_id: UUID, *, headers: Any = HTMX, **fields: Any) -> TestResponse:
    return browser.post(f"/changes/{change_set_id}/undo", data=fields, headers=headers)


def stage_of(deal: Deal) -> str:
    db.session.rollback()
    return fresh(deal).stage.name


# The toast ---------------------------------------------------------------------------------------------------------


def test_a_move_offers_its_undo_and_says_how_many_rules_acted(
    priyas: Browser, deal: Deal, stages: Stages
) -> None:
    make_rule("Chase", trigger_event="update")
    answer = drop(priyas, deal, stages["Proposal"])
    toast = re.search(r'<form class="toast toast-undo".*?</form>', answer.text, re.DOTALL)
    assert toast
    assert "Moved to Proposal. <span>1 rule acted.</span>" in toast[0]
    assert f'hx-post="/changes/{newest()}/undo"' in toast[0]


def test_a_move_within_the_stage_a_repeated_one_and_one_that_gave_the_deal_away_offer_none(
    priyas: Browser, deal: Deal, stages: Stages, cast: Cast
) -> None:
    key = {"idempotency_key": "once"}
    assert "toast-undo" in drop(priyas, deal, stages["Proposal"], **key).text
    for again in (drop(priyas, deal, stages["Proposal"], **key), drop(priyas, deal, stages["Proposal"])):
        assert "toast-undo" not in again.text
    to_tom = {"field_name": "assigned_to", "value": str(cast.tom.id)}
    make_rule("Give", trigger_event="update", actions=[{"type": "update_field", "config": to_tom}])
    assert "toast-undo" not in drop(priyas, deal, stages["Lead"]).text


def test_the_toasts_undo_answers_with_the_true_columns_and_what_was_taken_back(
    priyas: Browser, deal: Deal, stages: Stages
) -> None:
    task = {"type": "task", "subject": "Send the offer"}
    make_rule("Chase", trigger_event="update", actions=[{"type": "create_activity", "config": task}])
    drop(priyas, deal, stages["Proposal"])
    answer = press(priyas, newest(), view="", shown=f"{stages['Lead'].id}:25")
    assert (answer.status_code, stage_of(deal)) == (200, "Lead")
    for stage in ("Lead", "Proposal"):
        assert f'hx-target="#stage-{stages[stage].id}"' in answer.text
    said = '<hx-partial hx-target="#say" hx-swap="textContent">Back in Lead. The task it made is gone too.</hx-partial>'
    assert said in answer.text


def test_pressed_twice_it_is_undone_once_and_the_second_time_said_by_whom(
    priyas: Browser, deal: Deal, stages: Stages
) -> None:
    drop(priyas, deal, stages["Proposal"])
    moved = newest()
    assert press(priyas, moved).status_code == 200
    again = press(priyas, moved)
    assert (again.status_code, stage_of(deal)) == (409, "Lead")
    assert re.search(r"Already undone by Priya Nair \d+ s ago\.", again.text)
    assert f'href="/deals/{deal.id}#timeline">See what changed' in again.text
    assert f'hx-target="#stage-{stages["Lead"].id}"' in again.text


def test_a_refusal_names_field_person_and_time(
    priyas: Browser, deal: Deal, stages: Stages, cast: Cast
) -> None:
    edit(deal, by=cast.priya, amount=60_000)
    edited = newest()
    edit(deal, by=cast.marek, amount=65_000)
    answer = press(priyas, edited)
    assert answer.status_code == 409
    assert re.search(r"<b>Cannot undo: Marek Nowak changed the amount \d+ s ago\.</b>", answer.text)
    assert '<hx-partial hx-target="#alerts"' in answer.text


# Without scripts ---------------------------------------------------------------------------------------------------


def test_without_scripts_the_board_offers_the_undo_as_a_form_that_leads_back_to_it(
    priyas: Browser, deal: Deal, stages: Stages
) -> None:
    board = f"/pipelines/{stages['Lead'].pipeline_id}"
    assert (
        drop(priyas, deal, stages["Proposal"], headers={}, view="q=night").location
        == f"{board}?q=night#deal-{deal.id}"
    )
    page = priyas.get(f"{board}?q=night")
    assert page.text.count("Moved to Proposal.") == 1
    answer = forms.read(page).form("/undo").send(priyas)
    assert (answer.status_code, answer.location) == (303, f"{board}?q=night#deal-{deal.id}")
    assert stage_of(deal) == "Lead"
    assert "Back in Lead." in priyas.get(answer.location).text


def test_without_scripts_a_refusal_is_a_page_with_the_reason_and_the_way_to_it(
    priyas: Browser, deal: Deal, stages: Stages, cast: Cast
) -> None:
    drop(priyas, deal, stages["Proposal"])
    moved = newest()
    drop(priyas, deal, stages["Negotiation"])
    answer = press(priyas, moved, headers={})
    assert answer.status_code == 409
    assert "Cannot undo: Priya Nair moved the deal “Night couriers” to Negotiation" in answer.text
    assert f'href="/deals/{deal.id}#timeline">See what changed' in answer.text


def test_from_a_record_it_leads_back_to_the_record_or_away_from_what_is_gone(
    priyas: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    make_note(deal, by=priya)
    assert press(priyas, newest(), headers={}).location == f"/deals/{deal.id}#timeline"
    save(Activity(type="note", subject="Met them", entity=make_entity("Acme")), by=priya)
    assert re.fullmatch(r"/entities/[\w-]+#timeline", press(priyas, newest(), headers={}).location)
    gone = make_deal(stages["Lead"], "Gone", owner=priya, entity=make_entity("Zenith"), by=priya)
    answer = press(priyas, newest(), headers={})
    assert answer.location == f"/pipelines/{stages['Lead'].pipeline_id}#deal-{gone.id}"


def test_what_was_deleted_on_a_page_can_be_had_back_on_the_next(
    client: Browser, deal: Deal, cast: Cast, stages: Stages
) -> None:
    browser, entity = sign_in(client, cast.marek), make_entity("Acme")
    note = make_note(deal, by=cast.marek)
    for record, address in ((note, "activities"), (deal, "deals"), (entity, "entities")):
        answer = browser.post(f"/{address}/{record.id}/deletion")
        page = browser.get(answer.location)
        assert "is deleted." in page.text
        assert forms.read(page).form("/undo").send(browser).status_code == 303
        db.session.rollback()
        assert db.session.get_one(type(record), record.id, populate_existing=True).deleted_at is None


# Whose it is -------------------------------------------------------------------------------------------------------


def test_another_reps_change_is_not_ones_own_to_undo(
    client: Browser, deal: Deal, stages: Stages, cast: Cast
) -> None:
    drop(sign_in(client, cast.priya), deal, stages["Proposal"])
    moved = newest()
    assert press(sign_in(client, cast.tom), moved).status_code == 403
    assert stage_of(deal) == "Proposal"
    assert press(sign_in(client, cast.marek), moved).status_code == 200


def test_an_unknown_change_is_not_there(priyas: Browser) -> None:
    assert press(priyas, uuid4()).status_code == 404
