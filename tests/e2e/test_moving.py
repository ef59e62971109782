"""Moving a card in the browser: by mouse, by finger, by keys, by the dialog, and without JavaScript."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Page, Route, expect

from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.pages import card, cards_in, column, count_of


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", "Cat")
    scene.add("Proposal", "Dog", "Eel")
    return scene


def test_a_drag_changes_both_columns_their_counts_and_totals(scene: Scene, page: Page) -> None:
    scene.open(page)
    answer = pages.drag_card(page, "Bee", "Proposal", above="Eel")
    assert answer.status == 200
    assert cards_in(page, "Proposal") == ["Dog", "Bee", "Eel"]
    assert (count_of(page, "Lead"), count_of(page, "Proposal")) == (2, 3)
    expect(column(page, "Proposal")).to_contain_text("US$150,000")
    expect(pages.announcement(page)).to_have_text(
        "Bee moved to Proposal, position 2 of 3. Total 150,000 US dollars."
    )
    assert scene.is_true(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]
    page.reload()
    assert cards_in(page, "Proposal") == ["Dog", "Bee", "Eel"]


def test_a_drag_into_an_empty_column(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.drag_card(page, "Dog", "Negotiation")
    assert cards_in(page, "Negotiation") == ["Dog"]
    expect(column(page, "Negotiation")).not_to_contain_text("Nothing in Negotiation")
    assert scene.is_true(page)


def test_a_drag_within_a_column_changes_the_order_and_nothing_else(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.drag_card(page, "Cat", "Lead", above="Ant")
    assert cards_in(page, "Lead") == ["Cat", "Ant", "Bee"]
    assert scene.is_true(page)
    assert scene.notes("Cat") == []


def test_a_quick_hand_ends_in_the_column_where_it_let_go(scene: Scene, page: Page) -> None:
    scene.open(page)
    start, end = card(page, "Ant").bounding_box(), card(page, "Dog").bounding_box()
    assert start
    assert end

    def flick() -> None:
        page.mouse.move(start["x"] + 60, start["y"] + 30)
        page.mouse.down()
        page.mouse.move((start["x"] + end["x"]) / 2 + 60, end["y"] + 20, steps=2)
        page.mouse.move(end["x"] + 60, end["y"] + 20)
        page.mouse.up()

    pages.answered(page, flick)
    assert "Ant" in cards_in(page, "Proposal")
    assert scene.is_true(page)


@pytest.mark.parametrize("how", ["escape", "outside"])
def test_a_cancelled_drag_asks_the_server_nothing(scene: Scene, page: Page, how: str) -> None:
    scene.open(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    pages.lift_card(page, "Bee", over="Dog")
    expect(page.locator(".ghost")).to_have_count(1)
    if how == "escape":
        page.keyboard.press("Escape")
    else:
        page.mouse.move(700, 20, steps=3)
    page.mouse.up()
    expect(pages.announcement(page)).to_have_text("Move cancelled")
    assert cards_in(page, "Lead") == ["Ant", "Bee", "Cat"]
    assert not asked


def test_a_card_that_waits_for_its_answer_cannot_be_moved_again(scene: Scene, page: Page) -> None:
    scene.open(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/stage", hold)
    pages.drop_card(page, "Ant", "Proposal")
    expect(card(page, "Ant")).to_have_attribute("aria-busy", "true")
    assert count_of(page, "Proposal") == 2, "sums wait for the answer"
    pages.drop_card(page, "Ant", "Lead")
    held[0].continue_()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert len(held) == 1
    assert scene.is_true(page)


def test_several_cards_may_be_under_way_at_once(scene: Scene, page: Page) -> None:
    scene.open(page)
    for deal in ("Ant", "Bee", "Cat"):
        pages.drop_card(page, deal, "Proposal")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert sorted(cards_in(page, "Proposal")) == ["Ant", "Bee", "Cat", "Dog", "Eel"]
    assert scene.is_true(page)


def test_a_finger_holds_a_card_and_drags_it(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    assert pages.touch_drag_card(phone, "Cat", "Lead").status == 200
    assert cards_in(phone, "Lead") == ["Cat", "Ant", "Bee"]
    assert scene.is_true(phone)


def test_a_swipe_scrolls_and_drags_nothing(scene: Scene, phone: Page) -> None:
    scene.add("Lead", *(f"Fish {number}" for number in range(12)))
    scene.open(phone)
    pages.swipe(phone, "Fish 3", up=300)
    expect(phone.locator(".ghost")).to_have_count(0)
    assert phone.evaluate("() => document.querySelector('.cards').scrollTop") > 100
    assert scene.is_true(phone)


def test_arrows_walk_over_the_board(scene: Scene, page: Page) -> None:
    scene.open(page)
    focused = page.locator(":focus")
    card(page, "Ant").get_by_role("link", name="Ant", exact=True).focus()
    for key, there in (("ArrowDown", "Bee"), ("ArrowRight", "Eel"), ("ArrowUp", "Dog"), ("ArrowLeft", "Ant")):
        page.keyboard.press(key)
        expect(focused).to_have_text(there)


def test_shift_and_arrows_move_a_card_and_keep_the_focus(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.move_by_keyboard(page, "Bee", "Shift+ArrowRight")
    assert cards_in(page, "Qualified") == ["Bee"]
    expect(page.locator(":focus")).to_have_text("Bee")
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowDown"))
    assert cards_in(page, "Proposal") == ["Dog", "Bee", "Eel"]
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowUp"))
    assert cards_in(page, "Proposal") == ["Bee", "Dog", "Eel"]
    expect(page.locator(":focus")).to_have_text("Bee")
    assert scene.is_true(page)


def test_the_edge_of_the_board_is_said(scene: Scene, page: Page) -> None:
    scene.open(page)
    card(page, "Ant").get_by_role("link", name="Ant", exact=True).focus()
    page.keyboard.press("Shift+ArrowLeft")
    expect(pages.announcement(page)).to_have_text("Already in the first stage")
    page.keyboard.press("Shift+ArrowUp")
    expect(pages.announcement(page)).to_have_text("Already on top")


def test_the_dialog_asks_where_to_and_takes_a_note(scene: Scene, page: Page) -> None:
    scene.open(page)
    card(page, "Bee").get_by_role("link", name="Bee", exact=True).focus()
    page.keyboard.press("m")
    form = page.get_by_role("dialog")
    expect(form.get_by_role("radio", name="Qualified")).to_be_focused()
    expect(form.get_by_role("button", name="Move to Qualified")).to_be_visible()
    form.get_by_label("at the bottom").check()
    answer = pages.answered(page, lambda: pages.fill_in_move(page, "Proposal", note="They want a price."))
    assert answer.status == 200
    assert cards_in(page, "Proposal") == ["Dog", "Eel", "Bee"]
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert scene.is_true(page)


def test_cancelling_the_dialog_gives_the_focus_back(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="Move Bee", exact=True).click()
    page.get_by_role("dialog").get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("link", name="Move Bee", exact=True)).to_be_focused()
    assert scene.is_true(page)


def test_a_lost_deal_is_asked_why(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="Move Bee", exact=True).click()
    why = page.get_by_label("Why was this deal lost?")
    expect(why).to_be_hidden()
    page.get_by_role("radio", name="Closed Lost").check()
    why.fill("Chose a rival")
    pages.answered(page, lambda: page.get_by_role("button", name="Move to Closed Lost").click())
    expect(card(page, "Bee")).to_contain_text("Chose a rival")


def test_without_javascript_the_same_form_is_a_page(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Bee", exact=True).click()
    pages.fill_in_move(plain_page, "Proposal", note="On paper.")
    assert "#deal-" in plain_page.url
    assert cards_in(plain_page, "Proposal") == ["Bee", "Dog", "Eel"]
    assert scene.is_true(plain_page)


def test_a_deal_of_somebody_else_stays_where_it_is(scene: Scene, page: Page) -> None:
    scene.add("Negotiation", "Owl", owner=demo_person("manager"))
    scene.open(page, "rep")
    assert page.get_by_role("link", name="Move Owl", exact=True).count() == 0
    pages.drop_card(page, "Owl", "Lead")
    card(page, "Owl").get_by_role("link", name="Owl", exact=True).focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(pages.announcement(page)).to_have_text("Only the owner or a manager can move this deal.")
    assert scene.is_true(page)
