"""Companies and people through their pages: listed, made, changed by two people at once, deleted."""

from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Entity, Stage, User
from tests.support.cast import Cast
from tests.support.factories import make_deal, make_entity, make_note, save
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
    ("kind", "alien", "“alien” is not one of person, organization, trust."),
    ("kind", "", "Choose one of these."),
    ("status", "asleep", "“asleep” is not one of Active, Inactive."),
    ("phone", "1" * 51, "Phone has 51 characters; at most 50 fit."),
    ("email", "nobody", "“nobody” is not an e-mail address."),
    ("email", "a b@example.org", "“a b@example.org” is not an e-mail address."),
    ("legal_name", "x" * 201, "Legal name has 201 characters; at most 200 fit."),
    ("note", "x" * 10_001, "Note has 10001 characters; at most 10000 fit."),
    ("assigned_to_id", "banana", "This person is not active any more. Choose somebody else."),
]


@pytest.fixture
def priyas(app: Flask, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(app.test_client(), priya)


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser."""
    return sign_in(app.test_client(), marek)


@pytest.fixture
def ostsee(app: Flask) -> Entity:
    return make_entity("Ostsee Fisch", phone="+49 431 555 01", email="info@ostsee.example")


def stored(entity: Entity) -> Entity:
    return db.session.get_one(Entity, entity.id, populate_existing=True)


def names_in(page: str) -> list[str]:
    return re.findall(r'<td class="name"><a href="/entities/[^"]+">([^<]+)</a>', page)


def test_a_company_is_made_by_anybody(priyas: Browser, priya: User) -> None:
    form = form_at(priyas, "/entities/new")
    answer = form.send(
        priyas,
        name=" Ostsee Fisch ",
        kind="trust",
        phone="+49 431 555 01",
        email="info@ostsee.example",
        note="Two\r\nlines",
    )
    made = db.session.scalars(select(Entity)).one()
    assert answer.location == f"/entities/{made.id}"
    assert (made.name, made.kind, made.phone, made.email) == (
        "Ostsee Fisch", "trust", "+49 431 555 01", "info@ostsee.example",
    )  # fmt: skip
    assert (made.note, made.assigned_to_id, made.status) == ("Two\nlines", priya.id, "Active")


def test_only_the_name_must_be_written(priyas: Browser) -> None:
    page = priyas.get("/entities/new").text
    controls = re.findall(r"<(?:input|textarea)[^>]*class=\"control\"[^>]*>", page)
    must = [re.search(r'name="(\w+)"', control)[1] for control in controls if " required" in control]  # type: ignore[index]
    assert len(controls) == 5
    assert must == ["name"]


def test_two_may_have_the_same_name(priyas: Browser, ostsee: Entity) -> None:
    assert form_at(priyas, "/entities/new").send(priyas, name="Ostsee Fisch").status_code == 303
    assert names_in(priyas.get("/entities").text) == ["Ostsee Fisch", "Ostsee Fisch"]


@pytest.mark.parametrize(("field", "value", "words"), NOTHING_FITS, ids=lambda part: str(part)[:20])
@pytest.mark.parametrize("which", ["new", "edit"])
def test_what_cannot_be_stored_is_said_beside_its_field(
    priyas: Browser, ostsee: Entity, which: str, field: str, value: str, words: str
) -> None:
    url = "/entities/new" if which == "new" else f"/entities/{ostsee.id}/edit"
    form = form_at(priyas, url)
    before = Contents()
    answer = form.send(priyas, **{"name": "Nordsee Krabben", "phone": "0431", field: value})
    assert answer.status_code == 422
    assert read(answer).errors == {field: words}
    before.check("what was refused")
    if field not in ("kind", "status", "assigned_to_id"):
        assert read(answer).form(url).fields[field] == value


def test_phone_and_e_mail_stand_on_its_deals(
    priyas: Browser, stages: dict[str, Stage], ostsee: Entity
) -> None:
    deal = make_deal(stages["Lead"], entity=ostsee)
    page = priyas.get(f"/deals/{deal.id}").text
    assert 'href="tel:+4943155501"' in page
    assert 'href="mailto:info@ostsee.example"' in page


def test_its_page_shows_its_deals_and_what_happened_on_them(
    priyas: Browser, stages: dict[str, Stage], ostsee: Entity, priya: User
) -> None:
    won = make_deal(stages["Closed Won"], "Cold store", entity=ostsee, amount=70_000)
    make_deal(stages["Lead"], "Night couriers", entity=ostsee, amount=None)
    make_deal(stages["Lead"], "Of others")
    make_note(won, "Note", description="They liked the offer", by=priya)
    read(priyas.get(f"/entities/{ostsee.id}")).form("/notes").send(priyas, note="Met at the fair")
    page = priyas.get(f"/entities/{ostsee.id}").text
    assert page.index("Night couriers") < page.index("Cold store"), "open deals come first"
    assert "US$70,000" in page
    assert "Of others" not in page
    assert page.index("Met at the fair") < page.index("They liked the offer")


def test_a_note_on_a_company_may_be_refused_in_words(priyas: Browser, ostsee: Entity) -> None:
    for headers in ({}, {"HX-Request": "true"}):
        answer = priyas.post(f"/entities/{ostsee.id}/notes", data={"note": ""}, headers=headers)
        assert answer.status_code == 422
        assert read(answer).errors == {"note": "Write the note first."}


def test_a_task_on_a_company_is_for_its_owner(priyas: Browser, ostsee: Entity, tom: User) -> None:
    stored(ostsee).assigned_to = db.session.get(User, tom.id)
    changes.commit()
    read(priyas.get(f"/entities/{ostsee.id}")).form("/tasks").send(priyas, subject="Send a card")
    task = db.session.scalars(select(Activity)).one()
    assert (task.entity_id, task.assigned_to_id) == (ostsee.id, tom.id)
    form_at(priyas, f"/activities/{task.id}/deletion").send(priyas)
    assert "Send a card" not in priyas.get(f"/entities/{ostsee.id}").text


def test_changes_of_different_fields_are_both_kept(priyas: Browser, mareks: Browser, ostsee: Entity) -> None:
    mine, theirs = (form_at(browser, f"/entities/{ostsee.id}/edit") for browser in (priyas, mareks))
    theirs.send(mareks, phone="0431 1")
    assert mine.send(priyas, email="new@ostsee.example").status_code == 303
    now = stored(ostsee)
    assert (now.phone, now.email) == ("0431 1", "new@ostsee.example")


@pytest.mark.parametrize("keep", ["theirs", "yours"])
def test_two_changes_of_one_field_are_asked_about(
    priyas: Browser, mareks: Browser, ostsee: Entity, keep: str
) -> None:
    mine, theirs = (form_at(browser, f"/entities/{ostsee.id}/edit") for browser in (priyas, mareks))
    theirs.send(mareks, phone="0431 1")
    before = Contents()
    asked = mine.send(priyas, phone="0431 2", legal_name="Ostsee Fisch GmbH")
    assert asked.status_code == 409
    assert "Marek Nowak changed the phone to <b>0431 1</b>" in asked.text
    before.check("a conflict")
    assert read(asked).form("/edit").send(priyas, keep_phone=keep).status_code == 303
    now = stored(ostsee)
    assert (now.phone, now.legal_name) == ("0431 1" if keep == "theirs" else "0431 2", "Ostsee Fisch GmbH")


def test_a_new_name_shows_on_the_board_at_once(
    priyas: Browser, stages: dict[str, Stage], ostsee: Entity
) -> None:
    make_deal(stages["Lead"], entity=ostsee)
    board = f"/pipelines/{stages['Lead'].pipeline_id}"
    assert "Ostsee Fisch" in priyas.get(board).text
    form_at(priyas, f"/entities/{ostsee.id}/edit").send(priyas, name="Nordsee Krabben")
    assert "Nordsee Krabben" in priyas.get(board).text


def test_only_managers_delete(priyas: Browser, mareks: Browser, ostsee: Entity, marek: User) -> None:
    assert priyas.post(f"/entities/{ostsee.id}/deletion").status_code == 403
    assert f"/entities/{ostsee.id}/deletion" not in priyas.get(f"/entities/{ostsee.id}").text
    answer = form_at(mareks, f"/entities/{ostsee.id}/deletion").send(mareks)
    assert answer.location == "/entities"
    assert stored(ostsee).deleted_by_id == marek.id
    assert names_in(mareks.get("/entities").text) == []
    assert mareks.get(f"/entities/{ostsee.id}").status_code == 404


def test_one_with_deals_is_kept_and_says_which(
    mareks: Browser, stages: dict[str, Stage], ostsee: Entity
) -> None:
    for number in range(7):
        make_deal(stages["Lead"], f"Deal {number}", entity=ostsee)
    before = Contents()
    words = (
        "Ostsee Fisch has 7 deals: “Deal 6”, “Deal 5”, “Deal 4”, “Deal 3”, “Deal 2” and 2 more. "
        "Delete them or give them to somebody else first."
    )
    assert words in mareks.get(f"/entities/{ostsee.id}/deletion").text
    refused = mareks.post(f"/entities/{ostsee.id}/deletion")
    assert refused.status_code == 422
    assert words in refused.text
    before.check("a refused deletion")


def test_no_deal_slips_into_a_company_that_is_being_deleted(
    app: Flask, priyas: Browser, mareks: Browser, stages: dict[str, Stage], ostsee: Entity
) -> None:
    form = form_at(priyas, f"/deals/new?entity_id={ostsee.id}")
    with ThreadPoolExecutor(2) as pool:
        made = pool.submit(form.send, priyas, name="Last minute")
        gone = pool.submit(mareks.post, f"/entities/{ostsee.id}/deletion")
        assert {made.result(20).status_code, gone.result(20).status_code} == {303, 422}
    deals = db.session.scalars(select(Deal).where(Deal.entity_id == ostsee.id)).all()
    assert (stored(ostsee).deleted_at is None) == bool(deals)


def test_the_list_is_filtered_by_name_e_mail_and_phone(priyas: Browser, ostsee: Entity, cast: Cast) -> None:
    make_entity("Ánna Söderström", kind="person", assigned_to=cast.tom)
    make_entity("100% Krabben")
    for query, found in {
        "": ["100% Krabben", "Ostsee Fisch", "Ánna Söderström"],
        "q=OSTSEE": ["Ostsee Fisch"], "q=%25": ["100% Krabben"],
        "q=INFO@": ["Ostsee Fisch"], "q=431+fisch": ["Ostsee Fisch"], "q=SÖDER": ["Ánna Söderström"], "q=nobody": [],
    }.items():  # fmt: skip
        for headers in ({}, {"HX-Request": "true"}):
            page = priyas.get(f"/entities?{query}", headers=headers).text
            assert sorted(names_in(page)) == sorted(found), query
    assert "No contacts match this filter." in priyas.get("/entities?q=nobody").text


def test_the_list_counts_open_deals(priyas: Browser, stages: dict[str, Stage], ostsee: Entity) -> None:
    for stage in ("Lead", "Proposal", "Closed Won"):
        make_deal(stages[stage], entity=ostsee)
    assert '<td class="num" data-label="Open deals">2</td>' in priyas.get("/entities").text


def test_pages_of_the_list_meet_without_gap_or_repeat(priyas: Browser) -> None:
    save(*(Entity(name=f"Same name {number % 3}") for number in range(120)))
    url, seen, ids = "/entities", [], []
    while url:
        page = priyas.get(url).text
        seen.append(names_in(page))
        ids += re.findall(r'<td class="name"><a href="/entities/([^"]+)"', page)
        found = re.search(r'<a href="([^"]+)" rel="next">', page)
        url = html.unescape(found[1]) if found else ""
    assert [len(names) for names in seen] == [50, 50, 20]
    assert len(set(ids)) == 120
    names = [name for page in seen for name in page]
    assert names == sorted(names)


def test_the_list_costs_the_same_however_many_there_are(priyas: Browser, ostsee: Entity) -> None:
    with count_statements() as few:
        priyas.get("/entities")
    save(*(Entity(name=f"Company {number}") for number in range(60)))
    with count_statements() as many:
        priyas.get("/entities")
    assert len(many) == len(few) <= 4, str(many)


@pytest.mark.parametrize("query", ["after=banana", "after=01a1ffd8-d00a-7a4c-937f-b25f0a1ac022", "q=%00"])
def test_an_address_made_up_shows_the_first_page(priyas: Browser, ostsee: Entity, query: str) -> None:
    assert names_in(priyas.get(f"/entities?{query}").text) == ["Ostsee Fisch"]


def test_ids_of_nothing_are_not_found(mareks: Browser, stages: dict[str, Stage]) -> None:
    nowhere: Any = "01a1ffd8-d00a-7a4c-937f-b25f0a1ac022"
    for path in ("", "/edit", "/deletion"):
        assert mareks.get(f"/entities/{nowhere}{path}").status_code == 404
    assert mareks.get(f"/deals/new?entity_id={nowhere}").status_code == 404
    assert mareks.get(f"/deals?entity={nowhere}").status_code == 404
