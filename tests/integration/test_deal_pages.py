"""Deals through their pages: made, changed by two people at once, deleted, listed, written about."""

from __future__ import annotations

import html
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, update

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, Change, Deal, Stage, StageChange, StageTotal, User
from tests.support.cast import Cast
from tests.support.factories import make_deal, make_entity, make_note, make_pipeline, make_rule, save
from tests.support.forms import form_at, read
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Contents
from tests.support.statements import count_statements

NOTHING_FITS = [
    ("name", "", "Name is missing."),
    ("name", " \t ", "Name is missing."),
    ("name", "x" * 10_000, "Name has 10000 characters; at most 200 fit."),
    ("name", "a\x00b", "Name contains a character that cannot be stored."),
    ("entity_name", "", "Whose deal is it? Write a company’s or a person’s name."),
    ("entity_name", "x" * 10_000, "Name has 10000 characters; at most 200 fit."),
    ("entity_name", "a\x00b", "Name contains a character that cannot be stored."),
    ("amount", "-5", "Zero or more."),
    ("amount", "1e400", "“1e400” is not a number. Write it like 50,000."),
    ("amount", "lots", "“lots” is not a number. Write it like 50,000."),
    ("amount", "9" * 20, "At most 1,000,000,000,000."),
    ("amount", "50.000", "“50.000” can be read in two ways. Write 50 or 50000."),
    ("currency", "banana", "“banana” is not a currency. Write a code like USD or EUR."),
    ("currency", "", "Choose a currency."),
    ("expected_close_date", "2026-02-31", "“2026-02-31” is not in the calendar."),
    ("expected_close_date", "soon", "“soon” is not a day. Write it like 2026-12-31."),
    ("expected_close_date", "9999-12-31", "Write a year between 1900 and 2200."),
    ("stage_id", "banana", "This stage takes no deals. Choose another one."),
    ("stage_id", "01a1ffd8-d00a-7a4c-937f-b25f0a1ac022", "This stage takes no deals. Choose another one."),
    ("assigned_to_id", "banana", "This person cannot have it. Choose somebody else."),
    ("entity_id", "banana", "“banana” is not an id."),
]


@pytest.fixture
def priyas(app: Flask, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(app.test_client(), priya)


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser."""
    return sign_in(app.test_client(), marek)


def stored(deal: Deal) -> Deal:
    return db.session.get_one(Deal, deal.id, populate_existing=True)


def the_deal(name: str) -> Deal:
    return db.session.scalars(select(Deal).where(Deal.name == name)).one()


# New ------------------------------------------------------------------------------------------------------------


def test_a_deal_begins_in_the_stage_whose_plus_was_pressed(priyas: Browser, stages: dict[str, Stage]) -> None:
    form = form_at(priyas, f"/deals/new?stage_id={stages['Proposal'].id}")
    answer = form.send(priyas, name="Depot sensors", entity_name="Ostsee Fisch", amount="50,000.00")
    deal = the_deal("Depot sensors")
    assert answer.status_code == 303
    assert answer.location == f"/pipelines/{stages['Lead'].pipeline_id}#deal-{deal.id}"
    assert (deal.stage.name, deal.status, deal.amount, deal.currency) == ("Proposal", "open", 50_000, "USD")


def test_its_company_is_made_in_the_same_form(priyas: Browser, stages: dict[str, Stage]) -> None:
    form = form_at(priyas, "/deals/new")
    form.send(priyas, name="Depot sensors", entity_name="Ostsee Fisch", entity_kind="trust")
    entity = the_deal("Depot sensors").entity
    assert (entity.name, entity.kind) == ("Ostsee Fisch", "trust")


def test_a_company_of_that_name_is_found_whatever_its_case(priyas: Browser, stages: dict[str, Stage]) -> None:
    known = make_entity("Ostsee Fisch")
    form_at(priyas, "/deals/new").send(priyas, name="Depot sensors", entity_name="ostsee FISCH")
    assert the_deal("Depot sensors").entity_id == known.id


def test_of_two_companies_with_one_name_the_person_chooses(priyas: Browser, stages: dict[str, Stage]) -> None:
    make_entity("Ostsee Fisch", email="kiel@example.org")
    other = make_entity("Ostsee Fisch", email="stralsund@example.org")
    before = Contents()
    asked = form_at(priyas, "/deals/new").send(priyas, name="Depot sensors", entity_name="Ostsee Fisch")
    assert asked.status_code == 422
    assert read(asked).errors == {"entity_name": "2 are called “Ostsee Fisch”. Choose which one is meant."}
    before.check("what was refused")
    assert "stralsund@example.org" in asked.text
    answer = read(asked).form("/deals/new").send(priyas, entity_id=other.id)
    assert answer.status_code == 303
    assert the_deal("Depot sensors").entity_id == other.id


def test_a_choice_made_for_another_name_does_not_count(priyas: Browser, stages: dict[str, Stage]) -> None:
    known = make_entity("Ostsee Fisch")
    form = form_at(priyas, f"/deals/new?entity_id={known.id}")
    assert form.fields["entity_id"] == str(known.id)
    form.send(priyas, name="Depot sensors", entity_name="Nordsee Krabben")
    assert the_deal("Depot sensors").entity.name == "Nordsee Krabben"


def test_a_deleted_company_is_neither_found_nor_taken(
    priyas: Browser, stages: dict[str, Stage], ann: User
) -> None:
    gone = make_entity("Ostsee Fisch")
    gone.delete(ann)
    changes.commit()
    form = form_at(priyas, "/deals/new")
    refused = form.send(
        priyas, name="Depot sensors", entity_name="Ostsee Fisch", entity_id=gone.id, entity_for=None
    )
    assert read(refused).errors == {"entity_name": "This company or person is not there any more."}
    form.send(priyas, name="Depot sensors", entity_name="Ostsee Fisch")
    assert the_deal("Depot sensors").entity_id != gone.id


@pytest.mark.parametrize(
    ("typed", "locale", "amount"),
    [
        ("50,000.00", "en", "50000"), ("50000", "en", "50000"), ("50 000", "en", "50000"), ("€12.50", "en", "12.5"),
        ("12,5", "en", "12.5"), ("50.000,00", "en", "50000"), ("50.000", "de", "50000"), ("0", "en", "0"),
        ("", "en", None),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_people_write_it(
    client: Browser, priya: User, stages: dict[str, Stage], typed: str, locale: str, amount: str | None
) -> None:
    priya.locale = locale
    changes.commit()
    form_at(sign_in(client, priya), "/deals/new").send(client, name="D", entity_name="E", amount=typed)
    assert the_deal("D").amount == (None if amount is None else Decimal(amount))


@pytest.mark.parametrize(("field", "value", "words"), NOTHING_FITS, ids=lambda part: str(part)[:20])
def test_what_cannot_be_stored_is_said_beside_its_field(
    priyas: Browser, stages: dict[str, Stage], field: str, value: str, words: str
) -> None:
    form = form_at(priyas, "/deals/new")
    before = Contents()
    typed = {"name": "Depot sensors", "entity_name": "Ostsee Fisch", "amount": "7", field: value}
    answer = form.send(priyas, **typed)
    page = read(answer)
    assert answer.status_code == 422
    assert page.errors == {"entity_name" if field == "entity_id" else field: words}
    before.check("what was refused")
    again = page.form("/deals/new").fields
    kept = (
        typed if field in ("name", "entity_name", "amount", "expected_close_date") else {**typed, field: None}
    )
    assert {name: again[name] for name in kept if kept[name] is not None} == {
        name: value for name, value in kept.items() if value is not None
    }


def test_all_that_is_wrong_is_said_at_once(priyas: Browser, stages: dict[str, Stage]) -> None:
    answer = form_at(priyas, "/deals/new").send(
        priyas, name="", entity_name="", amount="-5", currency="banana"
    )
    assert set(read(answer).errors) == {"name", "entity_name", "amount", "currency"}


def test_names_are_text_never_markup(priyas: Browser, stages: dict[str, Stage]) -> None:
    script = "<script>alert(1)</script>"
    form_at(priyas, "/deals/new").send(priyas, name=script, entity_name=script)
    deal = the_deal(script)
    for url in (
        "/deals",
        f"/deals/{deal.id}",
        f"/deals/{deal.id}/edit",
        f"/entities/{deal.entity_id}",
        "/entities",
    ):
        page = priyas.get(url).text
        assert script not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_reps_new_deal_is_the_reps_own_or_nobodys(
    priyas: Browser, cast: Cast, stages: dict[str, Stage]
) -> None:
    form = form_at(priyas, "/deals/new")
    assert form.fields["assigned_to_id"] == str(cast.priya.id)
    assert form.offers["assigned_to_id"] == ["", str(cast.priya.id)]
    refused = form.send(priyas, name="D", entity_name="E", assigned_to_id=cast.tom.id)
    assert refused.status_code == 422
    assert form.send(priyas, name="D", entity_name="E", assigned_to_id="").status_code == 303
    assert the_deal("D").assigned_to_id is None


def test_a_manager_adds_deals_for_others_but_for_nobody_who_left(
    mareks: Browser, cast: Cast, stages: dict[str, Stage]
) -> None:
    form = form_at(mareks, "/deals/new")
    cast.tom.is_active = False
    changes.commit()
    refused = form.send(mareks, name="D", entity_name="E", assigned_to_id=cast.tom.id)
    assert read(refused).errors == {"assigned_to_id": "This person cannot have it. Choose somebody else."}
    form.send(mareks, name="D", entity_name="E", assigned_to_id=cast.priya.id)
    assert the_deal("D").assigned_to_id == cast.priya.id


def test_no_deal_begins_in_an_archived_stage_or_pipeline(priyas: Browser, stages: dict[str, Stage]) -> None:
    other = make_pipeline("Renewals")
    form = form_at(priyas, f"/deals/new?stage_id={other['Lead'].id}")
    other["Lead"].pipeline.is_active = False
    changes.commit()
    refused = form.send(priyas, name="D", entity_name="E")
    assert read(refused).errors == {"stage_id": "This stage takes no deals. Choose another one."}
    assert read(refused).starts == ["stage_id"]
    assert str(other["Lead"].id) not in priyas.get("/deals/new").text


def test_without_a_pipeline_the_form_says_what_is_missing(priyas: Browser) -> None:
    answer = priyas.get("/deals/new")
    assert answer.status_code == 422
    assert "There is no pipeline that takes deals." in answer.text


def test_a_rule_that_refuses_keeps_what_was_typed(priyas: Browser, stages: dict[str, Stage]) -> None:
    never = {"type": "move_to_stage", "config": {"stage_id": str(make_pipeline("Other")["Lead"].id)}}
    make_rule("Never here", actions=[never], on_failure="undo")
    answer = form_at(priyas, "/deals/new").send(priyas, name="Depot sensors", entity_name="Ostsee Fisch")
    page = read(answer)
    assert answer.status_code == 422
    assert "“Never here” stopped it" in page.alerts[0]
    assert page.form("/deals/new").fields["name"] == "Depot sensors"
    assert db.session.scalar(select(Deal)) is None


def test_suggestions_tell_those_of_one_name_apart(priyas: Browser, stages: dict[str, Stage]) -> None:
    make_entity("Ostsee Fisch", email="kiel@example.org")
    make_entity("Die Ostsee")
    make_entity("Nordsee")
    page = priyas.get("/entities/suggestions?entity_name=ostsee", headers={"HX-Request": "true"}).text
    assert page.index("kiel@example.org") < page.index("Die Ostsee")
    assert "Nordsee" not in page
    assert "New: ostsee" in page
    assert "New:" not in priyas.get("/entities/suggestions?entity_name=NORDSEE").text


# Edit -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def deal(stages: dict[str, Stage], priya: User) -> Deal:
    return make_deal(stages["Lead"], "Forklift fleet", owner=priya, currency="EUR")


def test_only_what_changed_is_written(priyas: Browser, deal: Deal) -> None:
    form = form_at(priyas, f"/deals/{deal.id}/edit")
    answer = form.send(priyas, amount="60,000", expected_close_date="2026-12-24")
    assert answer.location == f"/deals/{deal.id}"
    written = db.session.execute(
        select(Change.field, Change.old, Change.new).where(Change.record_id == deal.id)
    ).all()
    assert {tuple(row) for row in written if row.field != "*"} == {
        ("amount", "50000.000", "60000.000"),
        ("expected_close_date", None, "2026-12-24"),
    }
    assert stored(deal).version == 2


def test_nobody_is_an_owner_that_browsers_send(priyas: Browser, deal: Deal) -> None:
    selects = re.findall(r"<select[^>]*>", priyas.get(f"/deals/{deal.id}/edit").text)
    assert len(selects) == 3
    assert not any("required" in select for select in selects)


def test_saving_an_untouched_form_changes_nothing(priyas: Browser, deal: Deal) -> None:
    before = Contents()
    assert form_at(priyas, f"/deals/{deal.id}/edit").send(priyas).status_code == 303
    before.check("what was refused")


def test_a_field_that_is_not_sent_is_not_touched(priyas: Browser, deal: Deal) -> None:
    priyas.post(f"/deals/{deal.id}/edit", data={"name": "Bigger fleet"})
    now = stored(deal)
    assert (now.name, now.amount, now.assigned_to_id) == ("Bigger fleet", 50_000, deal.assigned_to_id)


def test_changes_of_different_fields_are_both_kept(priyas: Browser, mareks: Browser, deal: Deal) -> None:
    mine, theirs = (form_at(browser, f"/deals/{deal.id}/edit") for browser in (priyas, mareks))
    theirs.send(mareks, amount="70000")
    assert mine.send(priyas, name="Bigger fleet").status_code == 303
    now = stored(deal)
    assert (now.name, now.amount) == ("Bigger fleet", 70_000)


def test_changing_one_field_to_the_same_value_is_no_conflict(
    priyas: Browser, mareks: Browser, deal: Deal
) -> None:
    mine, theirs = (form_at(browser, f"/deals/{deal.id}/edit") for browser in (priyas, mareks))
    theirs.send(mareks, amount="70000")
    assert mine.send(priyas, amount="70,000.00").status_code == 303


CONFLICTS = [
    ("name", "Theirs", "Mine", "changed the name to <b>Theirs</b>"),
    ("amount", "70000", "80,000", "changed the amount to <b>70,000</b>"),
    ("currency", "GBP", "CHF", "changed the currency to <b>GBP, British Pound</b>"),
    ("expected_close_date", "2027-03-01", "2027-04-01", "changed the close date to <b>1 Mar 2027</b>"),
    ("entity_name", "Theirs Ltd", "Mine Ltd", "changed the company or person to <b>Theirs Ltd</b>"),
]


@pytest.mark.parametrize("case", CONFLICTS, ids=[case[0] for case in CONFLICTS])
@pytest.mark.parametrize("keep", ["theirs", "yours"])
def test_two_changes_of_one_field_are_asked_about(
    priyas: Browser, mareks: Browser, deal: Deal, noon: datetime, case: tuple[str, str, str, str], keep: str
) -> None:
    field, theirs, mine, words = case
    column = {"entity_name": "entity_id"}.get(field, field)
    first, second = (form_at(browser, f"/deals/{deal.id}/edit") for browser in (mareks, priyas))
    first.send(mareks, **{field: theirs})
    before = Contents()
    asked = second.send(priyas, **{field: mine, "lost_reason": None})
    assert asked.status_code == 409
    before.check("what was refused")
    assert f"Marek Nowak {words}" in asked.text
    form = read(asked).form("/edit")
    assert form.offers[f"keep_{column}"] == ["theirs", "yours"]
    assert form.fields[field] == mine, "what was typed is not lost"

    assert form.send(priyas).status_code == 409, "without a choice it asks again"
    before.check("what was refused")

    assert form.send(priyas, **{f"keep_{column}": keep}).status_code == 303
    kept = stored(deal)
    if keep == "theirs":
        before.check("what was refused")
    else:
        assert read(priyas.get(f"/deals/{deal.id}/edit")).form("/edit").fields[field] in (mine, "80,000")
        assert kept.version == 3


def test_the_stage_and_the_owner_are_asked_about_too(
    priyas: Browser, mareks: Browser, deal: Deal, cast: Cast, stages: Any
) -> None:
    second = form_at(mareks, f"/deals/{deal.id}/edit")
    form_at(priyas, f"/deals/{deal.id}/edit").send(
        priyas, stage_id=stages["Qualified"].id, assigned_to_id=cast.tom.id
    )
    asked = second.send(mareks, stage_id=stages["Proposal"].id, assigned_to_id=cast.marek.id)
    assert asked.status_code == 409
    assert "Priya Nair changed the stage to <b>Qualified</b>" in asked.text
    assert "Priya Nair changed the owner to <b>Tom Reyes</b>" in asked.text
    read(asked).form("/edit").send(mareks, keep_stage_id="yours", keep_assigned_to_id="theirs")
    now = stored(deal)
    assert (now.stage.name, now.assigned_to_id) == ("Proposal", cast.tom.id)


def test_a_third_change_meanwhile_asks_again(priyas: Browser, mareks: Browser, deal: Deal) -> None:
    forms = [form_at(mareks, f"/deals/{deal.id}/edit") for _ in range(2)]
    second = form_at(priyas, f"/deals/{deal.id}/edit")
    forms[0].send(mareks, amount="70000")
    asked = read(second.send(priyas, amount="80000")).form("/edit")
    form_at(mareks, f"/deals/{deal.id}/edit").send(mareks, amount="75000")
    again = asked.send(priyas, keep_amount="yours")
    assert again.status_code == 409
    assert "75,000" in again.text
    assert stored(deal).amount == 75_000


def test_a_change_made_by_a_rule_names_the_rule(priyas: Browser, mareks: Browser, deal: Deal) -> None:
    double = {"type": "update_field", "config": {"field_name": "amount", "value": 99_000}}
    second = form_at(priyas, f"/deals/{deal.id}/edit")
    make_rule("Round up", trigger_event="update", actions=[double])
    form_at(mareks, f"/deals/{deal.id}/edit").send(mareks, name="Bigger fleet")
    asked = second.send(priyas, amount="80000")
    assert "Round up changed the amount to <b>99,000</b>" in asked.text


def test_a_stage_chosen_in_the_form_is_a_move(priyas: Browser, deal: Deal, stages: dict[str, Stage]) -> None:
    form_at(priyas, f"/deals/{deal.id}/edit").send(priyas, stage_id=stages["Closed Won"].id, amount="60000")
    now = stored(deal)
    notes = db.session.scalars(
        select(Activity).where(Activity.deal_id == deal.id, Activity.kind == "audit")
    ).all()
    steps = db.session.scalars(select(StageChange).where(StageChange.deal_id == deal.id)).all()
    assert (now.status, now.amount, now.version) == ("closed_won", 60_000, 2)
    assert now.closed_date is not None
    assert [note.subject for note in notes] == ["Deal moved: Lead → Closed Won"]
    assert len(steps) == 2


def test_the_panel_gets_the_form_and_then_the_panel_back(
    priyas: Browser, mareks: Browser, deal: Deal
) -> None:
    headers = {"HX-Request": "true"}
    page = priyas.get(f"/deals/{deal.id}/edit", headers=headers)
    assert 'id="deal-panel"' in page.text
    assert "<html" not in page.text
    form = read(page).form("/edit")
    wrong = form.send(priyas, amount="-5", headers=headers)
    assert (wrong.status_code, read(wrong).errors) == (422, {"amount": "Zero or more."})
    form_at(mareks, f"/deals/{deal.id}/edit").send(mareks, amount="70000")
    asked = read(wrong).form("/edit").send(priyas, amount="80000", headers=headers)
    assert asked.status_code == 409
    saved = read(asked).form("/edit").send(priyas, keep_amount="yours", headers=headers)
    assert saved.status_code == 200
    assert "€80,000" in saved.text
    assert 'id="deal-panel"' in saved.text
    assert "<html" not in saved.text


def test_a_rule_that_fails_beside_a_saved_change_is_told(
    priyas: Browser, deal: Deal, stages: dict[str, Stage]
) -> None:
    elsewhere = {"type": "move_to_stage", "config": {"stage_id": str(make_pipeline("Other")["Lead"].id)}}
    rule = make_rule("Send it away", trigger_event="update", actions=[elsewhere])
    answer = form_at(priyas, f"/deals/{deal.id}/edit").send(priyas, name="Bigger fleet")
    assert stored(deal).name == "Bigger fleet"
    page = priyas.get(answer.location)
    beside = form_at(priyas, f"/deals/{deal.id}/edit").send(
        priyas, name="Fleet", headers={"HX-Request": "true"}
    )
    for told in (page, beside):
        assert "Saved. The rule “Send it away” could not move the deal" in told.text
        assert f'<a href="/rules/{rule.id}#runs">See the log</a>' in told.text


def test_stages_of_other_pipelines_are_refused(priyas: Browser, deal: Deal) -> None:
    other = make_pipeline("Renewals")
    before = Contents()
    answer = form_at(priyas, f"/deals/{deal.id}/edit").send(priyas, stage_id=other["Lead"].id)
    assert answer.status_code == 422
    assert read(answer).errors == {"stage_id": "This stage takes no deals. Choose another one."}
    before.check("what was refused")


def test_the_reason_of_a_lost_deal_can_be_written_later(
    priyas: Browser, stages: dict[str, Stage], priya: User
) -> None:
    lost = make_deal(stages["Closed Lost"], owner=priya)
    form_at(priyas, f"/deals/{lost.id}/edit").send(priyas, lost_reason="Too dear")
    assert stored(lost).lost_reason == "Too dear"
    form_at(priyas, f"/deals/{lost.id}/edit").send(priyas, stage_id=stages["Lead"].id)
    assert stored(lost).lost_reason is None
    assert "lost_reason" not in form_at(priyas, f"/deals/{lost.id}/edit").fields


def test_another_reps_deal_is_not_to_be_edited_or_deleted(client: Browser, tom: User, deal: Deal) -> None:
    sign_in(client, tom)
    before = Contents()
    for path in ("edit", "deletion"):
        assert client.get(f"/deals/{deal.id}/{path}").status_code == 403
        assert client.post(f"/deals/{deal.id}/{path}", data={"name": "Mine"}).status_code == 403
    before.check("what was refused")


def test_rights_are_asked_again_under_the_lock(app: Flask, priyas: Browser, deal: Deal, cast: Cast) -> None:
    form = form_at(priyas, f"/deals/{deal.id}/edit")
    is_waiting = threading.Event()

    def notice(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "FOR UPDATE" in statement or statement == "BEGIN IMMEDIATE":
            is_waiting.set()

    with db.engine.connect().execution_options(crmweb_write=True) as other, ThreadPoolExecutor(1) as pool:
        other.execute(update(Deal).values(assigned_to_id=cast.tom.id))
        event.listen(db.engine, "before_cursor_execute", notice)
        answer = pool.submit(form.send, priyas, name="Mine")
        assert is_waiting.wait(10)
        event.remove(db.engine, "before_cursor_execute", notice)
        other.commit()
        assert answer.result(10).status_code == 403
    assert stored(deal).name == "Forklift fleet"


# Delete ---------------------------------------------------------------------------------------------------------


def test_a_deleted_deal_leaves_boards_lists_and_totals(priyas: Browser, deal: Deal, priya: User) -> None:
    assert "Delete “Forklift fleet”?" in priyas.get(f"/deals/{deal.id}/deletion").text
    answer = form_at(priyas, f"/deals/{deal.id}/deletion").send(priyas)
    assert answer.location == f"/pipelines/{deal.stage.pipeline_id}"
    assert "“Forklift fleet” is deleted." in priyas.get(answer.location).text
    assert (stored(deal).deleted_at is not None, stored(deal).deleted_by_id) == (True, priya.id)
    totals = db.session.execute(
        select(func.sum(StageTotal.deal_count), func.sum(StageTotal.amount_sum))
    ).one()
    assert tuple(totals) == (0, 0)
    assert "Forklift fleet" not in priyas.get("/deals").text
    for path in ("", "/edit", "/deletion", "/move"):
        assert priyas.get(f"/deals/{deal.id}{path}").status_code == 404
    assert priyas.post(f"/deals/{deal.id}/deletion").status_code == 404


def test_an_unassigned_deal_is_deleted_by_managers_alone(
    priyas: Browser, mareks: Browser, stages: dict[str, Stage]
) -> None:
    nobodys = make_deal(stages["Lead"])
    refused = priyas.post(f"/deals/{nobodys.id}/deletion")
    assert refused.status_code == 403
    assert "Only the owner or a manager can delete this deal." in refused.text
    assert mareks.post(f"/deals/{nobodys.id}/deletion").status_code == 303


# Notes and tasks --------------------------------------------------------------------------------------------------


def entries(deal: Deal) -> list[Activity]:
    alive = Activity.deal_id == deal.id, Activity.deleted_at.is_(None)
    found = select(Activity).where(*alive).order_by(Activity.id).execution_options(populate_existing=True)
    return list(db.session.scalars(found))


def test_everybody_may_write_about_a_deal_they_can_read(
    client: Browser, tom: User, deal: Deal, priya: User
) -> None:
    page = read(sign_in(client, tom).get(f"/deals/{deal.id}"))
    assert page.form("/notes").send(client, note=" Called them \r\n twice ").status_code == 303
    page.form("/tasks").send(client, subject="Send the offer", due_on="2026-12-24")
    note, task = entries(deal)
    assert (note.type, note.description, note.author_id) == ("note", "Called them \n twice", tom.id)
    assert (task.subject, task.assigned_to_id, task.author_id) == ("Send the offer", priya.id, tom.id)
    assert task.due_at is not None
    assert task.due_at.date() == date(2026, 12, 24)
    shown = client.get(f"/deals/{deal.id}").text
    assert shown.index("Send the offer") < shown.index("Called them")


def test_a_panel_gets_the_timeline_back(priyas: Browser, deal: Deal) -> None:
    headers = {"HX-Request": "true"}
    answer = priyas.post(f"/deals/{deal.id}/notes", data={"note": "Called them"}, headers=headers)
    assert answer.status_code == 200
    assert 'hx-target="#timeline"' in answer.text
    assert "Called them" in answer.text
    assert "Note added." in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "panel"])
@pytest.mark.parametrize(
    ("kind", "typed", "field", "words"),
    [
        ("notes", {"note": "  "}, "description", "Write the note first."),
        (
            "notes",
            {"note": "x" * 20_001},
            "description",
            "Description has 20001 characters; at most 20000 fit.",
        ),
        (
            "notes",
            {"note": "a\x00"},
            "description",
            "Description contains a character that cannot be stored.",
        ),
        ("tasks", {"subject": ""}, "subject", "What is to do? Write it in a few words."),
        ("tasks", {"subject": "x" * 301}, "subject", "Subject has 301 characters; at most 300 fit."),
        (
            "tasks",
            {"subject": "Call", "due_on": "2026-02-31"},
            "due_on",
            "“2026-02-31” is not in the calendar.",
        ),
    ],
    ids=["empty note", "long note", "NUL", "empty task", "long task", "no such day"],
)
def test_a_refused_note_or_task_keeps_its_text(
    priyas: Browser, deal: Deal, headers: Any, kind: str, typed: Any, field: str, words: str
) -> None:
    before = Contents()
    answer = priyas.post(f"/deals/{deal.id}/{kind}", data=typed, headers=headers)
    page = read(answer)
    assert answer.status_code == 422
    assert page.errors == {field if kind == "tasks" else "note": words}
    assert typed.items() <= page.form(f"/{kind}").fields.to_dict().items()
    before.check("what was refused")


def test_ones_own_note_can_be_changed_and_deleted(priyas: Browser, deal: Deal, priya: User) -> None:
    note = make_note(deal, "Note", description="First thought", by=priya)
    form_at(priyas, f"/activities/{note.id}/edit").send(priyas, note="Second thought")
    assert entries(deal)[0].description == "Second thought"
    assert "Second thought" in priyas.get(f"/activities/{note.id}/deletion").text
    form_at(priyas, f"/activities/{note.id}/deletion").send(priyas)
    assert entries(deal) == []


def test_two_changes_of_one_note_are_asked_about(
    priyas: Browser, mareks: Browser, deal: Deal, priya: User
) -> None:
    note = make_note(deal, "Note", description="First thought", by=priya)
    mine, theirs = (form_at(browser, f"/activities/{note.id}/edit") for browser in (priyas, mareks))
    theirs.send(mareks, note="Theirs")
    asked = mine.send(priyas, note="Mine")
    assert asked.status_code == 409
    assert read(asked).form("/edit").send(priyas, keep_description="yours").status_code == 303
    assert entries(deal)[0].description == "Mine"


def test_others_notes_are_changed_by_managers_alone(
    client: Browser, tom: User, mareks: Browser, deal: Deal, priya: User
) -> None:
    note = make_note(deal, "Note", description="Hers", by=priya)
    sign_in(client, tom)
    before = Contents()
    for path in ("edit", "deletion"):
        assert client.post(f"/activities/{note.id}/{path}", data={"note": "His"}).status_code == 403
    assert f"/activities/{note.id}/" not in client.get(f"/deals/{deal.id}").text
    before.check("what was refused")
    form_at(mareks, f"/activities/{note.id}/edit").send(mareks, note="Tidied up")
    assert entries(deal)[0].description == "Tidied up"


def test_the_note_of_a_move_is_nobodys_to_change(
    client: Browser, ann: User, deal: Deal, stages: dict[str, Stage]
) -> None:
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stages["Proposal"]), by=ann)
    audit = entries(deal)[0]
    sign_in(client, ann)
    before = Contents()
    for path in ("edit", "deletion", "completion"):
        refused = client.post(f"/activities/{audit.id}/{path}", data={"note": "Never happened"})
        assert refused.status_code == 403
    before.check("what was refused")


def test_a_task_is_ticked_off_by_whoever_is_to_do_it(
    client: Browser, tom: User, priyas: Browser, deal: Deal
) -> None:
    read(priyas.get(f"/deals/{deal.id}")).form("/tasks").send(priyas, subject="Send the offer")
    task = entries(deal)[0]
    assert sign_in(client, tom).post(f"/activities/{task.id}/completion").status_code == 403
    read(priyas.get(f"/deals/{deal.id}")).form(f"/activities/{task.id}/completion").send(priyas)
    assert entries(deal)[0].is_completed
    read(priyas.get(f"/deals/{deal.id}")).form(f"/activities/{task.id}/completion").send(priyas)
    assert not entries(deal)[0].is_completed


def test_a_task_can_be_given_to_somebody_else(priyas: Browser, deal: Deal, tom: User) -> None:
    priyas.post(f"/deals/{deal.id}/tasks", data={"subject": "Send the offer", "due_on": "2026-12-24"})
    task = entries(deal)[0]
    form = form_at(priyas, f"/activities/{task.id}/edit")
    assert form.fields["due_on"] == "2026-12-24"
    form.send(priyas, assigned_to_id=tom.id, due_on="")
    now = entries(deal)[0]
    assert (now.assigned_to_id, now.due_at, now.subject) == (tom.id, None, "Send the offer")


# The list -------------------------------------------------------------------------------------------------------


def names_in(page: str) -> list[str]:
    return re.findall(r'<td class="name"><a href="/deals/[^"]+">([^<]+)</a>', page)


def test_the_list_is_filtered_by_words_by_owner_and_by_company(
    priyas: Browser, stages: Any, cast: Cast
) -> None:
    ostsee = make_entity("Ostsee Fisch")
    make_deal(stages["Lead"], "Night couriers", owner=cast.priya)
    make_deal(stages["Closed Won"], "Cold store", entity=ostsee, owner=cast.tom)
    make_deal(make_pipeline("Renewals")["Lead"], "100% couriers", entity=ostsee)
    assert names_in(priyas.get("/deals").text) == ["100% couriers", "Cold store", "Night couriers"]
    filtered = {
        "q=COURIERS": ["100% couriers", "Night couriers"],
        "q=ostsee+store": ["Cold store"],
        "q=%25": ["100% couriers"],
        "q=_": [],
        "q=%00": ["100% couriers", "Cold store", "Night couriers"],
        "mine=1": ["Night couriers"],
        f"entity={ostsee.id}": ["100% couriers", "Cold store"],
        f"entity={ostsee.id}&q=cold": ["Cold store"],
    }
    for query, found in filtered.items():
        assert names_in(priyas.get(f"/deals?{query}").text) == found, query
        assert names_in(priyas.get(f"/deals?{query}", headers={"HX-Request": "true"}).text) == found, query


def test_pages_of_the_list_meet_without_gap_or_repeat(priyas: Browser, stages: dict[str, Stage]) -> None:
    entity = make_entity()
    save(*(Deal(name=f"Deal {number:03}", entity=entity, stage=stages["Lead"]) for number in range(120)))
    url, seen = "/deals?q=deal", []
    while url:
        page = priyas.get(url).text
        seen.append(names_in(page))
        found = re.search(r'<a href="([^"]+)" rel="next">', page)
        url = html.unescape(found[1]) if found else ""
    assert [len(names) for names in seen] == [50, 50, 20]
    assert [name for names in seen for name in names] == [
        f"Deal {number:03}" for number in reversed(range(120))
    ]


def test_the_list_costs_the_same_however_many_deals(priyas: Browser, stages: dict[str, Stage]) -> None:
    make_deal(stages["Lead"])
    with count_statements() as few:
        priyas.get("/deals?q=f")
    entity = make_entity()
    save(*(Deal(name=f"Fleet {number}", entity=entity, stage=stages["Lead"]) for number in range(60)))
    with count_statements() as many:
        priyas.get("/deals?q=f")
    assert len(many) == len(few) <= 3, str(many)
