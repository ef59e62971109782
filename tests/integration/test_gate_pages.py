"""What a stage asks for, on pages: the deal's forms, the question after a drop, a full stage."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from crmweb import clock
from crmweb.extensions import db
from crmweb.models import Activity, Change, Deal, Stage, User
from crmweb.queries import losses
from tests.support.deals import audit_notes, column, fresh, move, path
from tests.support.factories import make_deal, make_rule, save
from tests.support.forms import Form, form_at, read
from tests.support.gates import gate, limit
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Contents

HTMX = {"HX-Request": "true"}
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


def test_a_custom_field_that_is_missing_is_told_with_the_way_to_it(priyas: Browser, stages: Stages) -> None:
    gate(stages["Qualified"], required_fields=["custom_fields.contract"])
    form = form_at(priyas, f"/deals/{make_deal(stages['Lead']).id}/edit")
    assert read(form.send(priyas, stage_id=stages["Qualified"].id)).alerts == [
        "Qualified needs “contract”. Save the deal in another stage and move it: the move asks for it."
    ]


def test_a_full_stage_is_said_beside_the_stage(priyas: Browser, stages: Stages) -> None:
    make_deal(stages["Proposal"])
    limit(stages["Proposal"], 1)
    form = form_at(priyas, f"/deals/new?stage_id={stages['Proposal'].id}", "/deals/new")
    answer = form.send(priyas, name="Crane", entity_name="Hill Ltd")
    assert answer.status_code == 422
    assert "Proposal is full: 1 of 1." in answer.text
    assert len(column(stages["Proposal"])) == 1


# The question after a drop ---------------------------------------------------------------------------------------


@pytest.fixture
def bare(stages: Stages, priya: User) -> Deal:
    """Priya's deal in Lead, without an amount."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya, amount=None, currency="EUR")


@pytest.fixture
def asks_why(stages: Stages) -> Stage:
    """Closed Lost, in a pipeline that asks why."""
    gate(stages["Lead"].pipeline, asks_lost_reason=True, lost_reasons=["Price", "No budget"])
    return stages["Closed Lost"]


def drop(browser: Browser, deal: Deal, stage: Stage, *, htmx: bool = True, **fields: Any) -> TestResponse:
    """Post a move as the board does, or as a browser without scripts."""
    data = {"stage_id": stage.id, "from_stage_id": deal.stage_id, "seen_version": deal.version, **fields}
    return browser.post(f"/deals/{deal.id}/stage", data=data, headers={"HX-Request": "true"} if htmx else {})


def answer_to(answer: TestResponse) -> Form:
    """The question in an answer to a drop."""
    return read(answer).form("/stage")


def test_a_drop_that_lacks_something_is_asked_for_just_that(
    priyas: Browser, bare: Deal, strict: Stage, stages: Stages
) -> None:
    contents = Contents()
    answer = drop(priyas, bare, strict, before_id=uuid4(), note="They agreed")
    assert answer.status_code == 422
    contents.check("a drop that is asked back")
    assert "Negotiation needs an amount and a close date. Add them and the deal moves." in answer.text
    assert {str(stages[name].id) for name in ("Lead", "Negotiation")} == set(
        re.findall(r'hx-target="#stage-([^"]+)"', answer.text)
    )
    assert 'hx-target="#move-dialog"' in answer.text
    assert "toast" not in answer.text
    assert read(answer).errors == {}, "nobody was asked before"
    assert "Keep in Lead" in answer.text
    form = answer_to(answer)
    moved = form.send(priyas, headers=HTMX, amount="1,200", expected_close_date="2027-05-04")
    assert moved.status_code == 200
    stored = fresh(bare)
    assert (stored.stage_id, stored.amount, stored.version) == (strict.id, 1200, 2)
    assert audit_notes(bare)[0].description == "They agreed"


def test_what_does_not_fit_is_asked_for_again_as_it_was_typed(
    priyas: Browser, bare: Deal, strict: Stage
) -> None:
    form = answer_to(drop(priyas, bare, strict))
    answer = form.send(priyas, headers=HTMX, amount="about 5", expected_close_date="2027-05-04")
    assert answer.status_code == 422
    assert read(answer).errors == {"amount": "“about 5” is not a number. Write it like 50,000."}
    again = answer_to(answer)
    assert (again.fields["amount"], again.fields["expected_close_date"]) == ("about 5", "2027-05-04")
    answer = again.send(priyas, headers=HTMX, amount="-5")
    assert list(read(answer).errors) == ["amount"]
    answer = again.send(priyas, headers=HTMX, amount="", expected_close_date="")
    assert read(answer).errors["amount"] == "Negotiation needs an amount."
    assert path(bare) == ["Lead"]


def test_without_scripts_the_question_is_a_page(priyas: Browser, bare: Deal, strict: Stage) -> None:
    answer = drop(priyas, bare, strict, htmx=False)
    assert answer.status_code == 422
    assert re.search(r"<h1[^>]*>Negotiation needs an amount and a close date", answer.text)
    again = answer_to(answer).send(priyas, amount="7", expected_close_date="")
    assert read(again).errors == {"expected_close_date": "Negotiation needs a close date."}
    moved = answer_to(again).send(priyas, expected_close_date="2027-05-04")
    assert (moved.status_code, fresh(bare).amount) == (303, 7)


def test_an_amount_is_read_as_the_person_writes_numbers(
    priyas: Browser, bare: Deal, strict: Stage, priya: User
) -> None:
    gate(priya, locale="de")
    form = answer_to(drop(priyas, bare, strict))
    form.send(priyas, headers=HTMX, amount="1.200,50", expected_close_date="2027-05-04")
    assert fresh(bare).amount == Decimal("1200.50")


def test_why_a_deal_was_lost_is_chosen_or_written(
    priyas: Browser, stages: Stages, asks_why: Stage, priya: User
) -> None:
    for name, reason in (("A", "price"), ("B", "Price"), ("C", "Fashion")):
        move(make_deal(stages["Lead"], name, owner=priya), asks_why, by=priya, lost_reason=reason)
    one, two = (make_deal(stages["Lead"], name, owner=priya) for name in ("D", "E"))
    answer = drop(priyas, one, asks_why)
    assert answer.status_code == 422
    assert "Why was this deal lost?" in answer.text
    assert re.findall(r"<small>(\d+)", answer.text) == ["2", "0"], "this year, whatever the case"
    form = answer_to(answer)
    assert form.offers["lost_reason"] == ["Price", "No budget", ""]
    form.send(priyas, headers=HTMX, lost_reason="No budget")
    assert (path(one)[-1], fresh(one).lost_reason) == ("Closed Lost", "No budget")
    own = {"stage_id": asks_why.id, "lost_reason": ["", " They moved away "]}
    assert priyas.post(f"/deals/{two.id}/stage", data=own, headers=HTMX).status_code == 200
    assert fresh(two).lost_reason == "They moved away"


def test_another_reason_wants_words(priyas: Browser, bare: Deal, asks_why: Stage) -> None:
    answer = drop(priyas, bare, asks_why, lost_reason=["", ""])
    assert answer.status_code == 422
    assert read(answer).errors == {"lost_reason": "Closed Lost needs a reason."}


def test_losses_are_counted_only_where_all_of_them_can_be(
    priyas: Browser, stages: Stages, asks_why: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("A", "B"):
        move(make_deal(stages["Lead"], name), asks_why, lost_reason="Price")
    assert losses.this_year(db.session(), asks_why.id) == {"price": 2}
    monkeypatch.setattr(losses, "MOST", 2)
    assert losses.this_year(db.session(), asks_why.id) == {}
    with clock.at(clock.now() + timedelta(days=400)):
        assert losses.this_year(db.session(), asks_why.id) == {}


def test_a_rep_may_take_a_deal_but_gives_it_to_nobody_else(
    priyas: Browser, stages: Stages, priya: User, tom: User
) -> None:
    gate(stages["Qualified"], required_fields=["assigned_to"])
    deal = make_deal(stages["Lead"])
    form = answer_to(drop(priyas, deal, stages["Qualified"]))
    assert form.offers["assigned_to"] == [str(priya.id)]
    assert form.send(priyas, headers=HTMX, assigned_to=tom.id).status_code == 403
    assert fresh(deal).assigned_to_id is None
    assert form.send(priyas, headers=HTMX).status_code == 200
    assert (fresh(deal).assigned_to_id, path(deal)[-1]) == (priya.id, "Qualified")


def test_a_manager_gives_a_deal_to_anybody_active(
    client: Browser, stages: Stages, marek: User, tom: User
) -> None:
    sign_in(client, marek)
    gate(stages["Qualified"], required_fields=["assigned_to", "custom_fields.contract no"])
    deal = make_deal(stages["Lead"])
    form = answer_to(drop(client, deal, stages["Qualified"]))
    assert str(tom.id) in form.offers["assigned_to"]
    answer = form.send(client, headers=HTMX, **{"assigned_to": "", "custom_fields.contract no": "C-7"})
    assert read(answer).errors == {"assigned_to": "Qualified needs an owner."}
    answer_to(answer).send(client, headers=HTMX, assigned_to=tom.id)
    assert (fresh(deal).assigned_to_id, fresh(deal).custom_fields) == (tom.id, {"contract no": "C-7"})


def test_a_conflict_is_told_before_anything_is_asked(
    priyas: Browser, bare: Deal, strict: Stage, stages: Stages, marek: User
) -> None:
    move(bare, stages["Proposal"], by=marek)
    answer = drop(priyas, bare, strict, from_stage_id=stages["Lead"].id, seen_version=1)
    assert answer.status_code == 409
    assert "Marek Nowak moved this deal" in answer.text


def test_the_move_form_leaves_the_reason_to_the_question(
    priyas: Browser, bare: Deal, asks_why: Stage, stages: Stages
) -> None:
    page = form_at(priyas, f"/deals/{bare.id}/move", "/stage")
    assert "lost_reason" not in page.fields
    answer = page.send(priyas, stage_id=asks_why.id, note="Sad")
    assert (answer.status_code, answer_to(answer).fields["note"]) == (422, "Sad")


# A full stage ----------------------------------------------------------------------------------------------------


@pytest.fixture
def full(stages: Stages) -> Stage:
    """Proposal, which holds one deal and has it."""
    make_deal(stages["Proposal"], "There first")
    limit(stages["Proposal"], 1)
    return stages["Proposal"]


def test_a_manager_may_let_a_deal_into_a_full_stage(
    client: Browser, bare: Deal, full: Stage, marek: User
) -> None:
    sign_in(client, marek)
    answer = drop(client, bare, full, note="For the boss", idempotency_key="first")
    assert answer.status_code == 422
    assert "Proposal is full: 1 of 1." in answer.text
    assert "Move one on first, or let it in." in answer.text
    again = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', answer.text.partition("toast-refusal")[2]))
    assert (again["note"], again["let_in"]) == ("For the boss", "1")
    assert "idempotency_key" not in again
    assert client.post(f"/deals/{bare.id}/stage", data=again, headers=HTMX).status_code == 200
    assert column(full) == ["Night couriers", "There first"]


def test_a_reps_word_opens_no_full_stage(priyas: Browser, bare: Deal, full: Stage) -> None:
    answer = drop(priyas, bare, full, let_in="1")
    assert answer.status_code == 422
    assert "ask a manager to let it in" in answer.text
    assert "Let it in" not in answer.text
    assert column(full) == ["There first"]


def test_a_manager_lets_a_deal_in_without_scripts(
    client: Browser, bare: Deal, full: Stage, marek: User
) -> None:
    sign_in(client, marek)
    answer = drop(client, bare, full, htmx=False)
    assert answer.status_code == 422
    assert ">Let it in</button>" in answer.text
    assert read(answer).form("/stage").send(client, stage_id=full.id, let_in=1).status_code == 303
    assert len(column(full)) == 2


def test_who_is_let_in_is_still_asked(client: Browser, bare: Deal, full: Stage, marek: User) -> None:
    sign_in(client, marek)
    gate(full, required_fields=["amount"])
    answer = drop(client, bare, full, let_in="1")
    assert answer_to(answer).send(client, headers=HTMX, amount="5").status_code == 200
    assert len(column(full)) == 2


# What was still to do --------------------------------------------------------------------------------------------


@pytest.fixture
def busy(stages: Stages, priya: User, tom: User) -> Deal:
    """Priya's deal with two open tasks of hers, and one of Tom's."""
    deal = make_deal(stages["Lead"], "Night couriers", owner=priya)
    for subject, doer in (("Call", priya), ("Write", priya), ("Drive", tom)):
        task = Activity(type="task", subject=subject, deal=deal, assigned_to=doer)
        save(task, by=doer)
    return deal


def tasks(deal: Deal) -> dict[str, bool]:
    """Which of its tasks are done."""
    query = select(Activity.subject, Activity.completed_at.is_not(None)).where(
        Activity.deal_id == deal.id, Activity.type == "task"
    )
    return {subject: bool(is_done) for subject, is_done in db.session.execute(query)}


def test_a_deal_is_won_at_once_and_its_open_tasks_are_asked_about(
    priyas: Browser, busy: Deal, stages: Stages
) -> None:
    make_rule(
        trigger_event="update",
        actions=[{"type": "create_activity", "config": {"type": "task", "subject": "Hand over"}}],
    )
    answer = drop(priyas, busy, stages["Closed Won"])
    assert answer.status_code == 200
    assert "2 tasks are still open." in answer.text, (
        "Tom's is not hers to tick off; the rule's is what comes next"
    )
    answer = priyas.post(f"/deals/{busy.id}/open-tasks", headers=HTMX)
    assert "2 tasks are done." in answer.text
    assert str(stages["Closed Won"].id) in re.findall(r'hx-target="#stage-([^"]+)"', answer.text)
    assert tasks(busy) == {"Call": True, "Write": True, "Drive": False, "Hand over": False}


def test_without_scripts_the_tasks_are_asked_about_on_a_page(
    priyas: Browser, busy: Deal, stages: Stages
) -> None:
    answer = drop(priyas, busy, stages["Closed Won"], htmx=False)
    assert answer.status_code == 303
    assert (
        f'2 tasks are still open. <a href="/deals/{busy.id}/open-tasks">' in priyas.get(answer.location).text
    )
    form_at(priyas, f"/deals/{busy.id}/open-tasks").send(priyas)
    assert tasks(busy)["Call"]


def test_a_question_about_a_loss_asks_about_the_tasks_too(
    priyas: Browser, busy: Deal, asks_why: Stage, stages: Stages
) -> None:
    answer = drop(priyas, busy, asks_why)
    assert "2 tasks are open" in answer.text
    form = answer_to(answer)
    assert form.fields["open_tasks"] == "keep"
    moved = form.send(priyas, headers=HTMX, lost_reason="Price", open_tasks="complete")
    assert "still open" not in moved.text
    assert tasks(busy) == {"Call": True, "Write": True, "Drive": False}
    done = set(db.session.scalars(select(Change.change_set_id).where(Change.field == "completed_at")))
    lost = set(db.session.scalars(select(Change.change_set_id).where(Change.field == "lost_reason")))
    assert done == lost, "one change, one undo"


def test_moves_into_open_stages_ask_nothing_about_tasks(priyas: Browser, busy: Deal, stages: Stages) -> None:
    assert "still open" not in drop(priyas, busy, stages["Proposal"]).text


def test_another_reps_tasks_are_not_completed(client: Browser, busy: Deal, tom: User, stages: Stages) -> None:
    sign_in(client, tom)
    assert client.get(f"/deals/{busy.id}/open-tasks").status_code == 403
    assert client.post(f"/deals/{busy.id}/open-tasks", headers=HTMX).status_code == 403
    assert not any(tasks(busy).values())


# The lane's head -------------------------------------------------------------------------------------------------


def head_of(browser: Browser, stage: Stage, query: str = "") -> str:
    """What a lane's head says, read aloud."""
    page = browser.get(f"/pipelines/{stage.pipeline_id}{query}").text
    found = re.search(rf'<header class="lane-head" id="head-{stage.id}".*?</header>', page, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", "", found[0]).split())


@pytest.mark.parametrize(("held", "says"), [(1, False), (2, True), (3, True)])
def test_a_lane_says_how_near_its_limit_it_is(priyas: Browser, stages: Stages, held: int, says: bool) -> None:
    for number in range(held):
        make_deal(stages["Lead"], str(number))
    limit(stages["Lead"], 2, "soft")
    assert head_of(priyas, stages["Lead"]).startswith(f"Lead {held} deals of at most 2")
    page = priyas.get(f"/pipelines/{stages['Lead'].pipeline_id}").text
    assert ('class="count over"' in page) is says


def test_a_limit_is_over_all_deals_whatever_the_filter_shows(
    priyas: Browser, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], "Mine", owner=priya)
    make_deal(stages["Lead"], "Not mine")
    limit(stages["Lead"], 3, "soft")
    assert head_of(priyas, stages["Lead"], "?mine=1").startswith("Lead 1 deal 10% chance")
    limit(stages["Lead"], 2, "soft")
    assert head_of(priyas, stages["Lead"], "?mine=1").startswith(
        "Lead 1 deal, in all 2 deals of at most 2 10%"
    )


def test_a_lane_says_what_it_asks_for(
    priyas: Browser, stages: Stages, strict: Stage, asks_why: Stage
) -> None:
    assert "0 deals, needs an amount, a close date" in head_of(priyas, strict)
    assert "needs a reason" in head_of(priyas, asks_why)
    assert "needs" not in head_of(priyas, stages["Lead"])
