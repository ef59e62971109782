"""Timelines tell what was edited, and take every change set back from its entry."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, Entity, Stage, User
from crmweb.queries import timeline
from crmweb.undo import undo
from tests.support.cast import Cast
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, make_note, make_rule
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import count_statements

Stages = dict[str, Stage]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def deal(stages: Stages, priya: User) -> Deal:
    """Priya's deal in Lead."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya, entity=make_entity("Acme"), by=priya)


@pytest.fixture
def priyas(client: Browser, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(client, priya)


def newest() -> UUID:
    db.session.rollback()
    return db.session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1)).one()


def entries(browser: Browser, record: Deal | Entity) -> list[str]:
    """The entries of the record's timeline as a person reads them, newest first, without their times and their why."""
    kind = "deals" if isinstance(record, Deal) else "entities"
    page = browser.get(f"/{kind}/{record.id}").text
    items = re.findall(
        r'<li data-activity-id=.*?<div class="what">(.*?)</div>\s*<div class="when">', page, re.DOTALL
    )
    told = (re.sub(r'<details class="why".*?</details>', "", item, flags=re.DOTALL) for item in items)
    return [" ".join(re.sub(r"<[^>]+>", "", item).split()) for item in told]


def undo_buttons(browser: Browser, deal: Deal) -> list[tuple[str, str]]:
    """The words and the change sets of the buttons on the deal's timeline, newest first."""
    found = r'<button class="undo" formaction="/changes/([\w-]+)/undo"[^>]*><span>(\w+)</span>'
    return [(words, id_) for id_, words in re.findall(found, browser.get(f"/deals/{deal.id}").text)]


# What was edited ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": 60_000}, "changed the amount from US$50,000 to US$60,000"),
        ({"amount": None}, "emptied the amount, which was US$50,000"),
        (
            {"amount": 60_000, "currency": "EUR"},
            "changed the amount from US$50,000 to €60,000 and changed the currency from USD to EUR",
        ),
        ({"expected_close_date": date(2026, 12, 12)}, "set the close date to 12 Dec"),
        ({"name": "<b>Couriers</b>"}, "changed the name from “Night couriers” to “&lt;b&gt;Couriers&lt;/b&gt;”"),
        ({"assigned_to_id": None}, "emptied the owner, which was Priya Nair"),
        ({"custom_fields": {"seats": 12, "vip": True}}, "set the field “seats” to 12 and set the field “vip” to yes"),
    ],
)  # fmt: skip
def test_an_edit_is_one_sentence_with_the_values_as_people_read_them(
    priyas: Browser, deal: Deal, marek: User, noon: datetime, fields: dict[str, Any], words: str
) -> None:
    edit(deal, by=marek, **fields)
    assert entries(priyas, deal)[0] == f"Marek Nowak {words}"


def test_a_deal_given_to_another_contact_names_both(priyas: Browser, deal: Deal, marek: User) -> None:
    other = make_entity("Zenith")
    edit(deal, by=marek, entity_id=other.id)
    assert entries(priyas, deal)[0] == "Marek Nowak changed the contact from Acme to Zenith"
    assert entries(priyas, other)[0] == "Marek Nowak changed the contact from Acme to Zenith · Night couriers"


def test_an_amount_is_told_in_the_currency_that_it_had_then(priyas: Browser, deal: Deal, marek: User) -> None:
    edit(deal, by=marek, amount=60_000)
    edit(deal, by=marek, currency="EUR")
    edit(deal, by=marek, amount=70_000)
    assert entries(priyas, deal)[:3] == [
        "Marek Nowak changed the amount from €60,000 to €70,000",
        "Marek Nowak changed the currency from USD to EUR",
        "Marek Nowak changed the amount from US$50,000 to US$60,000",
    ]


def test_moves_notes_ticks_and_rules_tell_themselves_once(
    priyas: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    dated = {"field_name": "expected_close_date", "value": "2026-12-31"}
    make_rule("Date", trigger_event="update", actions=[{"type": "update_field", "config": dated}])
    move(deal, stages["Closed Lost"], by=priya, lost_reason="Price")
    make_note(deal, by=priya)
    found = entries(priyas, deal)
    assert [entry.split("After")[0] for entry in found] == [
        "Priya Nair added a note: They liked the offer",
        "Date set Close date to “2026-12-31”",
        "Priya Nair Deal moved: Lead → Closed Lost",
    ]


def test_a_deleted_note_is_told_without_what_it_said(priyas: Browser, deal: Deal, priya: User) -> None:
    note_id = make_note(deal, "Secret", by=priya).id

    def rewrite(session: Any) -> None:
        Activity.locked(session, note_id).description = "More secret"

    changes.commit(rewrite, by=priya)
    assert entries(priyas, deal)[0] == "Priya Nair wrote the text of the note “More secret”"
    changes.commit(lambda session: Activity.locked(session, note_id).delete(priya), by=priya)
    assert entries(priyas, deal) == ["Priya Nair deleted a note", "Priya Nair changed a note"]


def test_a_contacts_edits_stand_on_its_timeline(priyas: Browser, deal: Deal, priya: User) -> None:
    entity_id = deal.entity_id

    def work(session: Any) -> None:
        entity = Entity.locked(session, entity_id)
        entity.phone, entity.note = "+49 30 1234", "Knows us"

    changes.commit(work, by=priya)
    entity = db.session.get_one(Entity, entity_id)
    assert entries(priyas, entity) == ["Priya Nair set the phone number to “+49 30 1234” and wrote the note"]
    assert entries(priyas, deal) == []


# Undo from an entry ------------------------------------------------------------------------------------------------


def test_each_change_set_is_undone_from_one_entry_that_of_the_act_itself(
    priyas: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    make_rule("Chase", trigger_event="update")
    move(deal, stages["Proposal"], by=priya)
    moved = newest()
    edit(deal, by=priya, amount=1)
    edited = newest()
    assert undo_buttons(priyas, deal) == [("Undo", str(edited)), ("Undo", str(moved))]
    page = priyas.get(f"/deals/{deal.id}").text
    assert page.count("Deal moved: Lead → Proposal") == 1


def test_an_undone_entry_says_by_whom_and_its_undo_can_be_taken_back(
    priyas: Browser, deal: Deal, stages: Stages, priya: User, noon: datetime
) -> None:
    move(deal, stages["Proposal"], by=priya)
    undone = undo(newest(), priya).change_set_id
    assert entries(priyas, deal) == [
        "Priya Nair undid a move: Deal moved: Proposal → Lead",
        "Priya Nair Deal moved: Lead → Proposal Undone by Priya Nair, 12:00",
    ]
    assert undo_buttons(priyas, deal) == [("Redo", str(undone))]
    redone = undo(undone, priya).change_set_id
    assert entries(priyas, deal)[0] == "Priya Nair moved it again: Deal moved: Lead → Proposal"
    assert undo_buttons(priyas, deal)[0] == ("Undo", str(redone))


def test_an_undone_edit_is_told_as_what_is_so_again(
    priyas: Browser, deal: Deal, marek: User, priya: User
) -> None:
    edit(deal, by=marek, amount=60_000, expected_close_date=date(2026, 12, 12))
    undone = undo(newest(), priya).change_set_id
    told = "undid a change: the amount is US$50,000 again and the close date is empty again"
    assert entries(priyas, deal)[0] == f"Priya Nair {told}"
    undo(undone, priya)
    assert entries(priyas, deal)[0].startswith("Priya Nair did it again: the amount is US$60,000 again")


def test_a_note_taken_back_can_be_had_again(priyas: Browser, deal: Deal, priya: User, noon: datetime) -> None:
    make_note(deal, "Hello", by=priya)
    undo(newest(), priya)
    assert entries(priyas, deal) == ["Priya Nair undid a change: a note is gone"]
    ((words, undone),) = undo_buttons(priyas, deal)
    assert words == "Redo"
    undo(UUID(undone), priya)
    assert set(entries(priyas, deal)) == {
        "Priya Nair did it again: a note is back",
        "Priya Nair undid a change: a note is gone Undone by Priya Nair, 12:00",
        "Priya Nair added a note: Hello",
    }


def test_without_scripts_an_older_move_is_undone_from_its_entry(
    priyas: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    move(deal, stages["Proposal"], by=priya)
    moved = newest()
    make_note(deal, by=priya)
    page = priyas.get(f"/deals/{deal.id}")
    assert f'formaction="/changes/{moved}/undo" form="undo-form"' in page.text
    assert '<form id="undo-form" method="post" hidden>' in page.text
    answer = priyas.post(f"/changes/{moved}/undo")
    assert (answer.status_code, answer.location) == (303, f"/deals/{deal.id}#timeline")
    db.session.rollback()
    assert fresh(deal).stage.name == "Lead"


def test_undo_last_change_goes_back_step_by_step(
    priyas: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    bar = re.compile(r'<button class="undo btn btn-quiet" formaction="([^"]+)"')
    assert not bar.search(priyas.get(f"/deals/{deal.id}").text)
    edit(deal, by=priya, amount=60_000)
    move(deal, stages["Proposal"], by=priya)
    for _ in range(2):
        found = bar.search(priyas.get(f"/deals/{deal.id}").text)
        assert found
        assert priyas.post(found[1]).status_code == 303
    db.session.rollback()
    assert (fresh(deal).stage.name, fresh(deal).amount) == ("Lead", 50_000)
    assert not bar.search(priyas.get(f"/deals/{deal.id}").text)


def test_undo_is_offered_to_whoever_may_do_it(
    client: Browser, deal: Deal, stages: Stages, cast: Cast
) -> None:
    move(deal, stages["Proposal"], by=cast.priya)
    make_note(deal, by=cast.tom)
    assert len(undo_buttons(sign_in(client, cast.tom), deal)) == 1
    assert len(undo_buttons(sign_in(client, cast.priya), deal)) == 1
    assert len(undo_buttons(sign_in(client, cast.marek), deal)) == 2


def test_a_timeline_costs_two_statements_more_with_edits_however_many(
    deal: Deal, stages: Stages, priya: User, cast: Cast
) -> None:
    def cost() -> int:
        db.session.rollback()
        with count_statements() as statements:
            timeline.of_deal(db.session(), deal_id)
        return len(statements)

    deal_id = deal.id
    assert cost() == 1
    for number in range(5):
        edit(deal, by=priya, amount=number, assigned_to_id=cast[number % 2 + 1].id)
    assert cost() == 3


def test_older_entries_are_read_page_by_page_without_loss(deal: Deal, stages: Stages, priya: User) -> None:
    for number in range(4):
        edit(deal, by=priya, amount=number)
        make_note(deal, by=priya)
        move(deal, stages[("Proposal", "Lead")[number % 2]], by=priya)
    session = db.session()
    whole = [item.id for item in timeline.of_deal(session, deal.id)]
    assert len(whole) == 12
    paged, before = [], None
    while page := timeline.of_deal(session, deal.id, 5, before):
        paged += [item.id for item in page[:5]]
        before = paged[-1]
    assert paged == whole
