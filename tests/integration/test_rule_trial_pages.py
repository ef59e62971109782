"""Trying a rule from its form: on one record and on the last days, with htmx and without scripts; nothing is saved."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.models import Deal, Stage, User, WorkflowRule
from crmweb.queries import trials
from crmweb.web import backtests
from crmweb.workflow import backtest
from tests.support.factories import make_deal, make_note, make_rule
from tests.support.forms import Form, form_at, read
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Contents
from tests.support.statements import count_statements, plans
from tests.support.words import text

Stages = dict[str, Stage]
HTMX = {"HX-Request": "true"}
FILLED = {
    "name": "Big ones", "conditions-0-field": "amount", "conditions-0-operator": "greater_than",
    "conditions-0-value": "10,000", "actions-0-subject": "Call {deal.name}",
}  # fmt: skip


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser: a manager's."""
    return sign_in(app.test_client(), marek)


def filled(browser: Browser, **typed: Any) -> Form:
    """The form of a new rule, filled in."""
    form = form_at(browser, "/rules/new")
    for name, value in {**FILLED, **typed}.items():
        form.fields.poplist(name)
        form.fields[name] = str(value)
    return form


def send(browser: Browser, form: Form, url: str, headers: Any = None, **typed: Any) -> Any:
    return Form(url, form.fields).send(browser, headers=headers, **typed)


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
def test_a_rule_is_tried_on_the_chosen_deal(mareks: Browser, stages: Stages, headers: dict[str, str]) -> None:
    deal = make_deal(stages["Lead"], "Fleet")
    form = filled(mareks, trigger_event="update", fires="every_time")
    before = Contents()
    answer = send(mareks, form, "/rules/try", headers, record=deal.id, do="try")
    assert answer.status_code == 200
    said = text(answer.text)
    for words in ("It would act", "Add a task: Call Fleet", "The amount is more than 10,000", "was 50,000"):
        assert words in said
    before.check("the trial")


def test_what_keeps_it_from_acting_is_shown(mareks: Browser, stages: Stages) -> None:
    deal = make_deal(stages["Lead"], amount=5)
    answer = send(mareks, filled(mareks), "/rules/try", HTMX, record=deal.id, do="try")
    assert "It would not act" in text(answer.text)
    assert "Not met: The amount is more than 10,000" in text(answer.text)


def test_a_rule_that_is_not_complete_is_not_tried(mareks: Browser, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    answer = send(
        mareks, filled(mareks, **{"conditions-0-value": "a lot"}), "/rules/try", HTMX, record=deal.id
    )
    assert "The rule is not complete yet." in text(answer.text)
    assert "is not a number" in text(answer.text)


def test_a_record_is_found_by_its_name(mareks: Browser, stages: Stages) -> None:
    make_deal(stages["Lead"], "Fleet")
    make_deal(stages["Lead"], "Depot 100%")
    answer = send(mareks, filled(mareks), "/rules/try", HTMX, find="100%", do="find")
    assert re.findall(r"<option[^>]*>([^<]*)</option>", answer.text) == ["Depot 100%"]
    assert "It would" not in answer.text


def test_a_stored_rule_is_tried_as_the_form_has_it(session: Session, mareks: Browser, stages: Stages) -> None:
    stored = make_rule(
        "Big", trigger_event="update",
        conditions=[{"field": "amount", "operator": "less_than", "value": "5"}],
    )  # fmt: skip
    deal = make_deal(stages["Lead"])
    form = form_at(mareks, f"/rules/{stored.id}")
    typed = {"conditions-0-operator": "greater_than"}
    answer = send(mareks, form, f"/rules/{stored.id}/try", HTMX, record=deal.id, do="try", **typed)
    assert "It would act" in text(answer.text)
    assert session.get_one(WorkflowRule, stored.id, populate_existing=True).version == 1


# The last days ---------------------------------------------------------------------------------------------------


@pytest.fixture
def history(stages: Stages, priya: User) -> list[Deal]:
    """Three big deals and a small one that came to Proposal ten days ago."""
    with clock.at(clock.now() - timedelta(days=10)):
        deals = [
            make_deal(stages["Lead"], f"Deal {number}", amount=amount)
            for number, amount in enumerate((20_000, 30_000, 40_000, 5))
        ]
        for deal in deals:
            changes.commit(
                lambda session, key=deal.id: Deal.locked(session, key).move_to(stages["Proposal"].id),
                by=priya,
            )
    return deals


def moved(browser: Browser, stages: Stages) -> Form:
    """The form of a rule on moves to Proposal."""
    form = filled(browser)
    answer = send(browser, form, "/rules/draft", trigger_event="stage_changed")
    form = read(answer).form("/rules/new")
    form.fields["trigger_to"] = str(stages["Proposal"].id)
    return form


@pytest.mark.usefixtures("history")
def test_the_test_says_how_often_when_and_on_what(mareks: Browser, stages: Stages) -> None:
    form = moved(mareks, stages)
    before = Contents()
    answer = send(mareks, form, "/rules/test", days="90")
    assert answer.status_code == 200
    said = text(answer.text)
    for words in ("Would have acted 3 times", "It would have met 3 of them", "US$90,000", "Priya", "Deal 2"):
        assert words in said
    assert "Deal 3" not in said
    before.check("the test")
    assert "Would have acted 0 times" in text(
        send(mareks, form, "/rules/test", days="nonsense", trigger_from=stages["Qualified"].id).text
    )


@pytest.mark.usefixtures("history")
def test_a_long_test_goes_on_where_it_stopped(
    mareks: Browser, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest, "PAGE", 1)
    monkeypatch.setattr(backtests, "PATIENCE", 0)
    answer = send(mareks, moved(mareks, stages), "/rules/test", days="30")
    seen = [text(answer.text)]
    while 'name="so_far"' in answer.text:
        assert 'role="progressbar"' in answer.text
        answer = read(answer).form("/rules/test").send(mareks, headers=HTMX)
        seen.append(text(answer.text))
    assert len(seen) > 3
    assert "Would have acted 3 times" in seen[-1]


def test_a_test_that_was_tampered_with_does_not_go_on(mareks: Browser, stages: Stages) -> None:
    answer = send(mareks, moved(mareks, stages), "/rules/test", so_far="forged", days="30")
    assert answer.status_code == 422
    assert "cannot go on" in text(answer.text)


def test_from_the_test_one_comes_back_to_the_form_or_saves(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    page = read(send(mareks, moved(mareks, stages), "/rules/test", days="90")).form("/rules/test")
    back = Form("/rules/draft", page.fields).send(mareks, do="")
    assert read(back).form("/rules/new").fields["conditions-0-value"] == "10,000"
    assert Form("/rules/new", page.fields).send(mareks, do="save").status_code == 303
    assert session.scalars(select(WorkflowRule)).one().trigger_config == {"to": str(stages["Proposal"].id)}


def test_a_faulty_rule_is_not_tested_but_shown_with_its_fault(mareks: Browser, stages: Stages) -> None:
    answer = send(mareks, filled(mareks, **{"conditions-0-value": "a lot"}), "/rules/test", days="90")
    assert answer.status_code == 422
    assert "is not a number" in read(answer).errors["conditions-0-value"]


@pytest.mark.parametrize("act", ["try", "test"])
def test_reps_try_no_rules(app: Flask, priya: User, stages: Stages, act: str) -> None:
    browser = sign_in(app.test_client(), priya)
    form = read(browser.get("/rules")).forms[0]
    assert Form(f"/rules/{act}", form.fields).send(browser).status_code == 403


# Texts that name fields ----------------------------------------------------------------------------------------------


def test_a_field_chosen_beside_a_text_ends_it_without_scripts(mareks: Browser, stages: Stages) -> None:
    make_deal(stages["Lead"], "Fleet")
    form = filled(mareks, **{"actions-0-subject": "Call about", "actions-0-subject-insert": "{deal.name}"})
    assert "{entity.name}" in form.offers["actions-0-subject-insert"]
    assert not [name for name in form.offers["actions-0-subject-insert"] if "version" in name]
    redrawn = read(send(mareks, form, "/rules/draft", do="redraw")).form("/rules/new")
    assert redrawn.fields["actions-0-subject"] == "Call about {deal.name}"
    assert redrawn.fields["actions-0-subject-insert"] == ""
    assert send(mareks, form, "/rules/new", do="save").status_code == 303
    assert "Call about ‹name›" in text(mareks.get("/rules").text)


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
def test_a_text_shows_how_it_reads_on_the_chosen_record(
    mareks: Browser, stages: Stages, headers: dict[str, str]
) -> None:
    make_deal(stages["Lead"], "Last changed")
    deal = make_deal(stages["Lead"], "Fleet <b>")
    form = filled(mareks, **{"actions-0-subject": "Call {deal.name} at {deal.amount}, {name}"})
    answer = send(mareks, form, "/rules/draft", headers, record=deal.id)
    assert 'id="actions-0-subject-reads">Reads: <b>Call Fleet &lt;b&gt; at 50,000, {name}</b>' in answer.text
    assert "Reads:" not in send(mareks, form, "/rules/draft", headers, **{"actions-0-subject": "Call"}).text


def test_a_text_reads_as_it_is_when_there_is_no_record(mareks: Browser, stages: Stages) -> None:
    assert "Reads:" not in send(mareks, filled(mareks), "/rules/draft", HTMX).text


def test_a_field_that_is_none_is_told_while_one_types(mareks: Browser, stages: Stages) -> None:
    make_deal(stages["Lead"])
    form = filled(mareks, **{"actions-0-subject": "Call {deal.colour} of {deal.name}"})
    assert "There is no placeholder {deal.colour} here." in text(
        send(mareks, form, "/rules/draft", HTMX).text
    )


@pytest.mark.parametrize("kind", ["Deal", "Activity"])
def test_the_last_changed_records_are_offered_along_an_index(
    session: Session, stages: Stages, kind: str, database: str
) -> None:
    make_note(make_deal(stages["Lead"]))
    plan = plans(lambda: trials.choices(session, kind))
    assert database == "postgresql" or "ORDER BY" not in plan, plan
    assert not re.search(r"Seq Scan on (deals|activities)", plan), plan


def test_a_name_is_found_however_long_ago_its_record_changed(
    session: Session, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "LAST", 2)
    for name in ("Old crane", "Crane", "Yard", "Depot"):
        make_deal(stages["Lead"], name)
    assert [name for _, name in trials.choices(session, "Deal", "CRANE")] == ["Crane", "Old crane"]
    monkeypatch.setattr(trials, "MOST", 1)
    with count_statements() as statements:
        assert [name for _, name in trials.choices(session, "Deal", "dep")] == ["Depot"]
    assert len(statements) == 1, "enough of them were among the last changed"
