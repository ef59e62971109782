"""The board by keyboard alone: walking, moving, the dialog, the panel."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.pages import card, cards_in, column


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", "Cat")
    scene.add("Proposal", "Dog", "Eel")
    return scene


def focused(page: Page) -> Locator:
    return page.locator(":focus")


def focus(page: Page, deal: str) -> None:
    card(page, deal).get_by_role("link", name=deal, exact=True).focus()


def test_a_deal_is_found_moved_and_read_without_a_mouse(scene: Scene, page: Page) -> None:
    scene.open(page)
    expect(page.get_by_role("group", name="Board")).to_have_accessible_description(
        "On a card: arrow keys go to other cards, Shift and an arrow key moves the card, M asks where to move it, "
        "Enter opens the deal. Question mark shows all keys."
    )
    page.keyboard.press("Tab")
    expect(focused(page)).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page).inner_text() == "Ant":
            break
    expect(focused(page)).to_have_text("Ant")
    page.keyboard.press("ArrowDown")
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    expect(pages.announcement(page)).to_have_text(
        "Bee moved to Qualified, position 1 of 1. Total 50,000 US dollars."
    )
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Bee")).to_be_focused()
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Lead → Qualified")
    page.keyboard.press("Escape")
    expect(focused(page)).to_have_text("Bee")
    scene.expect_truth(page)


def test_arrows_walk_over_the_board(scene: Scene, page: Page) -> None:
    scene.open(page)
    focus(page, "Ant")
    for key, there in (("ArrowDown", "Bee"), ("ArrowRight", "Eel"), ("ArrowUp", "Dog"), ("ArrowLeft", "Ant")):
        page.keyboard.press(key)
        expect(focused(page)).to_have_text(there)


def test_shift_and_arrows_move_a_card_and_keep_the_focus(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.move_by_keyboard(page, "Bee", "Shift+ArrowRight")
    assert cards_in(page, "Qualified") == ["Bee"]
    expect(focused(page)).to_have_text("Bee")
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowRight"))
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowDown"))
    assert cards_in(page, "Proposal") == ["Dog", "Bee", "Eel"]
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowUp"))
    assert cards_in(page, "Proposal") == ["Bee", "Dog", "Eel"]
    expect(focused(page)).to_have_text("Bee")
    pages.answered(page, lambda: page.keyboard.press("Shift+ArrowLeft"))
    assert cards_in(page, "Qualified") == ["Bee"]
    expect(focused(page)).to_have_text("Bee")
    scene.expect_truth(page)


@pytest.mark.parametrize(
    ("deal", "key", "words"),
    [
        ("Ant", "Shift+ArrowLeft", "Already in the first stage"),
        ("Ant", "Shift+ArrowUp", "Already on top"),
        ("Cat", "Shift+ArrowDown", "Already at the bottom"),
        ("Fox", "Shift+ArrowRight", "Already in the last stage"),
    ],
)
def test_the_edges_of_the_board_are_said(scene: Scene, page: Page, deal: str, key: str, words: str) -> None:
    scene.add("Closed Lost", "Fox")
    scene.open(page)
    focus(page, deal)
    page.keyboard.press(key)
    expect(pages.announcement(page)).to_have_text(words)
    expect(focused(page)).to_have_text(deal)
    scene.expect_truth(page)


def test_somebody_elses_card_stays_and_says_why(scene: Scene, page: Page) -> None:
    scene.add("Negotiation", "Owl", owner=demo_person("manager"))
    scene.open(page, "rep")
    focus(page, "Owl")
    for key in ("Shift+ArrowRight", "m"):
        page.keyboard.press(key)
        expect(pages.announcement(page)).to_have_text("Only the owner or a manager can move this deal.")
    expect(page.get_by_role("dialog")).to_have_count(0)
    scene.expect_truth(page)


def test_m_asks_where_to_and_takes_a_note(scene: Scene, page: Page) -> None:
    scene.open(page)
    focus(page, "Bee")
    page.keyboard.press("m")
    dialog = page.get_by_role("dialog", name="Move “Bee”")
    expect(dialog.get_by_role("radio", name="Qualified")).to_be_focused()
    expect(dialog.get_by_role("button", name="Move to Qualified")).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("radio", name="Proposal")).to_be_checked()
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("radio", name="on top")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("They want a price.")
    for name in ("To another pipeline", "Cancel"):
        page.keyboard.press("Tab")
        expect(dialog.get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("Tab")
    expect(dialog.get_by_role("button", name="Move to Proposal")).to_be_focused()
    assert pages.answered(page, lambda: page.keyboard.press("Enter")).status == 200
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert cards_in(page, "Proposal") == ["Dog", "Eel", "Bee"]
    scene.expect_truth(page)
    focus(page, "Bee")
    page.keyboard.press("Enter")
    expect(pages.timeline(page).first).to_contain_text("“They want a price.”")


@pytest.mark.parametrize("how", ["Escape", "Cancel"])
def test_leaving_the_dialog_moves_nothing_and_gives_the_focus_back(
    scene: Scene, page: Page, how: str
) -> None:
    scene.open(page)
    move = page.get_by_role("link", name="Move Bee", exact=True)
    move.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    if how == "Escape":
        page.keyboard.press("Escape")
    else:
        page.get_by_role("dialog").get_by_role("link", name="Cancel").press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(move).to_be_focused()
    scene.expect_truth(page)


def test_a_lost_deal_is_asked_why(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="Move Bee", exact=True).click()
    why = page.get_by_label("Why was this deal lost?")
    expect(why).to_be_hidden()
    page.get_by_role("radio", name="Closed Lost").check()
    why.fill("Chose a rival")
    pages.answered(page, lambda: page.get_by_role("button", name="Move to Closed Lost").click())
    expect(card(page, "Bee")).to_contain_text("Chose a rival")
    scene.expect_truth(page)


def test_single_keys_filter_add_and_tell_the_keys(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.keyboard.press("/")
    find = page.get_by_placeholder("Filter by name")
    expect(find).to_be_focused()
    page.keyboard.type("n/?")
    expect(find).to_have_value("n/?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    find.fill("")
    focus(page, "Ant")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard")
    expect(keys.get_by_role("row", name="N add a deal")).to_be_visible()
    page.keyboard.press("n")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(focused(page)).to_have_text("Ant")
    page.keyboard.press("n")
    expect(page).to_have_url(re.compile(r"/deals/new\?pipeline_id="))


def test_the_keys_are_told_from_the_account_menu_and_single_ones_can_be_switched_off(
    scene: Scene, page: Page
) -> None:
    scene.open(page)
    account = page.get_by_label(re.compile("^Account of"))
    account.click()
    page.get_by_role("link", name="Keyboard").first.click()
    page.get_by_role("dialog", name="Keyboard").get_by_role("checkbox", name="Single keys").uncheck()
    page.keyboard.press("Escape")
    expect(account).to_be_focused()
    page.reload()
    page.keyboard.press("?")
    page.keyboard.press("n")
    page.keyboard.press("/")
    expect(page.get_by_placeholder("Filter by name")).not_to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    account.click()
    page.get_by_role("link", name="Keyboard").first.click()
    switch = page.get_by_role("checkbox", name="Single keys")
    expect(switch).not_to_be_checked()
    switch.check()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_placeholder("Filter by name")).to_be_focused()


def test_a_stages_name_opens_its_details(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.move_by_keyboard(page, "Bee", "Shift+ArrowRight")
    name = column(page, "Lead").get_by_role("heading").get_by_role("link", name="Lead")
    name.press("Enter")
    details = page.get_by_role("dialog", name="Lead")
    expect(details).to_contain_text("1 of 1 deal that left went on to Qualified or further")
    page.keyboard.press("Escape")
    expect(name).to_be_focused()
