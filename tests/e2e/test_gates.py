"""What a stage asks for when a card is dropped on it: by mouse, by keyboard, by finger, without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect

from crmweb.models import Activity
from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.accessibility import faults
from tests.support.console import Console
from tests.support.deals import fresh
from tests.support.factories import save
from tests.support.gates import gate, limit
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    """A pipeline that asks why deals are lost, and whose Negotiation needs a close date."""
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", owner=demo_person("rep"))
    scene.add("Negotiation", "Cat")
    gate(scene.stages["Lead"].pipeline, asks_lost_reason=True, lost_reasons=["Price", "No budget"])
    gate(scene.stages["Negotiation"], required_fields=["expected_close_date"])
    return scene


def question(page: Page) -> Locator:
    return page.get_by_role("dialog")


def test_a_lost_deal_is_asked_why_and_lies_where_it_is_until_then(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("422")
    assert pages.drag_card(page, "Bee", "Closed Lost").status == 422
    dialog = question(page)
    expect(dialog).to_have_accessible_name("Why was this deal lost?")
    expect(dialog).to_contain_text("Bee, US$50,000")
    expect(dialog.get_by_role("radio", name="Price")).to_be_focused()
    expect(pages.refusal(page)).to_be_empty()
    scene.expect_truth(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(card(page, "Bee").get_by_role("link", name="Bee", exact=True)).to_be_focused()
    assert (cards_in(page, "Closed Lost"), scene.stored("Lead")) == ([], ["Ant", "Bee"])
    pages.drag_card(page, "Bee", "Closed Lost")
    dialog.get_by_role("radio", name="No budget").check()
    answer = pages.answered(page, lambda: dialog.get_by_role("button", name="Mark as lost").click())
    assert answer.status == 200
    expect(dialog).to_be_hidden()
    expect(card(page, "Bee")).to_contain_text("No budget")
    scene.expect_truth(page)
    assert fresh(scene.deal("Bee")).lost_reason == "No budget"


def test_what_a_stage_needs_is_typed_and_moved_by_keyboard_alone(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("422")
    card(page, "Cat").get_by_role("link", name="Cat", exact=True).focus()
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowLeft"))
    assert pages.answered(page, lambda: page.keyboard.press("Shift+ArrowRight")).status == 422
    dialog = question(page)
    expect(dialog).to_have_accessible_name("Negotiation needs a close date. Add it and the deal moves.")
    expect(dialog.get_by_label("Close date", exact=True)).to_be_focused()
    page.keyboard.type("03012027")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(pages.announcement(page)).to_contain_text("Cat moved to Negotiation, position 1 of 1.")
    expect(card(page, "Cat").get_by_role("link", name="Cat", exact=True)).to_be_focused()
    scene.expect_truth(page)
    assert str(fresh(scene.deal("Cat")).expected_close_date) == "2027-03-01"


def test_the_move_dialog_asks_in_its_place_and_keeps_the_note(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("422")
    pages.move_by_dialog(page, "Ant", "Closed Lost", note="A pity")
    dialog = question(page)
    dialog.get_by_role("radio", name="Another reason").check()
    pages.answered(page, lambda: dialog.get_by_role("button", name="Mark as lost").click())
    other = dialog.get_by_role("textbox", name="The other reason")
    expect(other).to_be_focused()
    expect(other).to_have_accessible_description("Closed Lost needs a reason.")
    other.fill("They moved away")
    pages.answered(page, lambda: dialog.get_by_role("button", name="Mark as lost").click())
    expect(card(page, "Ant")).to_contain_text("They moved away")
    scene.expect_truth(page)


def test_two_quick_losses_are_asked_about_one_after_the_other(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("422")
    held = pages.hold(page, "**/stage")
    for deal in ("Ant", "Bee"):
        pages.drop_card(page, deal, "Closed Lost")
    page.route("**/stage", lambda route: route.continue_())
    held[0].continue_()
    dialog = question(page)
    for deal in ("Ant", "Bee"):
        expect(dialog).to_contain_text(deal)
        dialog.get_by_role("radio", name="Price").check()
        dialog.get_by_role("button", name="Mark as lost").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("[data-deal-id][aria-busy=true]")).to_have_count(0)
    scene.expect_truth(page)
    assert set(scene.stored("Closed Lost")) == {"Ant", "Bee"}


def test_on_a_phone_the_question_fills_the_screen(scene: Scene, phone: Page, console: Console) -> None:
    scene.open(phone)
    console.expect("422")
    phone.get_by_role("link", name="Move Bee", exact=True).tap()
    form = phone.get_by_role("form", name=re.compile("^Move"))
    form.get_by_role("radio", name="Closed Lost").check()
    form.get_by_role("button", name=re.compile("^Move")).tap()
    expect(question(phone)).to_have_accessible_name("Why was this deal lost?")
    box = question(phone).bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (390, 844)
    question(phone).get_by_text("Price").tap()
    pages.answered(phone, lambda: question(phone).get_by_role("button", name="Mark as lost").tap())
    scene.expect_truth(phone)
    assert scene.stored("Closed Lost") == ["Bee"]


def test_without_javascript_the_question_is_a_page(scene: Scene, plain_page: Page, console: Console) -> None:
    scene.open(plain_page)
    console.expect("422")
    plain_page.get_by_role("link", name="Move Bee", exact=True).click()
    pages.fill_in_move(plain_page, "Closed Lost")
    expect(plain_page.get_by_role("heading", name="Why was this deal lost?", level=1)).to_be_visible()
    plain_page.get_by_role("radio", name="Another reason").check()
    plain_page.get_by_role("textbox", name="The other reason").fill("Fashion")
    plain_page.get_by_role("button", name="Mark as lost").click()
    expect(card(plain_page, "Bee")).to_contain_text("Fashion")
    scene.expect_truth(plain_page)


@pytest.mark.both_databases
def test_a_full_stage_refuses_and_a_manager_lets_the_deal_in(
    scene: Scene, page: Page, console: Console, new_context: Callable[..., BrowserContext]
) -> None:
    scene.add("Proposal", "Dog")
    limit(scene.stages["Proposal"], 1)
    theirs = new_context().new_page()
    pages.sign_in_as(theirs, "rep")
    pages.open_board(theirs, scene.pipeline_id)
    console.expect("422")
    assert pages.drag_card(theirs, "Bee", "Proposal").status == 422
    expect(pages.refusal(theirs)).to_contain_text(
        "Proposal is full: 1 of 1.Move one on first, or ask a manager to let it in."
    )
    assert cards_in(theirs, "Proposal") == ["Dog"]
    scene.open(page)
    console.expect("422")
    pages.drag_card(page, "Bee", "Proposal")
    page.get_by_role("button", name="Let it in").focus()
    answer = pages.answered(page, lambda: page.keyboard.press("Enter"))
    assert answer.status == 200
    expect(card(page, "Bee").get_by_role("link", name="Bee", exact=True)).to_be_focused()
    expect(pages.refusal(page)).to_be_empty()
    assert scene.stored("Proposal") == ["Bee", "Dog"]
    scene.expect_truth(page)


def test_open_tasks_of_a_won_deal_are_completed_on_request(scene: Scene, page: Page) -> None:
    deal, manager = scene.deal("Bee"), demo_person("manager")
    save(Activity(type="task", subject="Call", deal=deal, assigned_to=manager), by=manager)
    scene.open(page)
    assert pages.drag_card(page, "Bee", "Closed Won").status == 200
    expect(page.get_by_text("1 task is still open.")).to_be_visible()
    assert not faults(page, "won with an open task")
    page.get_by_role("button", name="Complete it").click()
    expect(page.get_by_text("1 task is still open.")).to_be_hidden()
    expect(card(page, "Bee").get_by_role("link", name="Bee", exact=True)).to_be_focused()
    expect(pages.announcement(page)).to_have_text("1 task is done.")
    scene.expect_truth(page)


def test_axe_finds_no_fault_in_the_questions(scene: Scene, page: Page, console: Console) -> None:
    gate(scene.stages["Proposal"], required_fields=["amount", "assigned_to", "custom_fields.contract"])
    save(Activity(type="task", subject="Call", deal=scene.deal("Bee"), assigned_to=demo_person("manager")))
    scene.open(page)
    found: list[str] = []
    console.expect("422")
    pages.drag_card(page, "Bee", "Closed Lost")
    found += faults(page, "why lost")
    question(page).get_by_role("radio", name="Another reason").check()
    pages.answered(page, lambda: question(page).get_by_role("button", name="Mark as lost").click())
    expect(question(page).get_by_role("textbox")).to_be_focused()
    found += faults(page, "own words")
    page.keyboard.press("Escape")
    pages.drag_card(page, "Cat", "Proposal")
    expect(question(page)).to_be_visible()
    found += faults(page, "fields")
    assert found == []
