"""A deal beside its board: opening, closing, following what happens on the board."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.e2e.scene import Scene, make_scene
from tests.support import pages
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee")
    scene.add("Closed Lost", "Dodo", lost_reason="Price")
    return scene


def open_deal(page: Page, deal: str) -> None:
    card(page, deal).get_by_role("link", name=deal, exact=True).click()
    expect(panel(page).get_by_role("heading", name=deal)).to_be_focused()


def panel(page: Page):  # type: ignore[no-untyped-def]
    return page.get_by_role("complementary", name="Deal")


def test_a_card_opens_its_deal_beside_the_board_and_back_closes_it(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Ant")
    expect(page).to_have_url(re.compile(r"/pipelines/[\w-]+\?deal=[\w-]+$"))
    assert cards_in(page, "Lead") == ["Ant", "Bee"]
    open_deal(page, "Bee")
    page.go_back()
    expect(panel(page)).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/pipelines/[\w-]+$"))
    page.go_forward()
    expect(panel(page).get_by_role("heading", name="Bee")).to_be_visible()


def test_escape_closes_and_gives_the_focus_back_to_the_card(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(page.locator(":focus")).to_have_text("Bee")


def test_escape_in_a_note_leaves_the_note_first(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.get_by_label("Note").fill("Half a thought")
    page.keyboard.press("Escape")
    expect(page.get_by_label("Note")).to_have_value("Half a thought")
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()


def test_a_reload_keeps_the_open_deal(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.reload()
    expect(panel(page).get_by_role("heading", name="Bee")).to_be_visible()
    panel(page).get_by_role("link", name="Close Bee").click()
    expect(panel(page)).to_be_hidden()


def test_the_open_deal_follows_its_card(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    assert "Deal moved: Lead → Qualified" not in panel(page).inner_text()
    pages.move_by_keyboard(page, "Bee")
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Lead → Qualified")
    expect(panel(page).get_by_role("listitem").filter(has_text="now here")).to_contain_text("Qualified")
    expect(page.locator(".card.open")).to_have_count(1)
    scene.expect_truth(page)


def test_another_deals_move_leaves_the_open_one_alone(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.get_by_label("Note").fill("Half a thought")
    pages.move_by_keyboard(page, "Ant")
    expect(panel(page).get_by_role("heading", name="Bee")).to_be_visible()
    expect(page.get_by_label("Note")).to_have_value("Half a thought")
    assert "Deal moved" not in panel(page).inner_text()


def test_the_move_button_of_the_panel_moves_the_card(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    panel(page).get_by_role("link", name="Move", exact=True).click()
    pages.answered(page, lambda: pages.fill_in_move(page, "Negotiation"))
    assert cards_in(page, "Negotiation") == ["Bee"]
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Lead → Negotiation")
    scene.expect_truth(page)


def test_a_lost_deal_shows_where_it_ended_and_why(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Dodo")
    expect(panel(page).get_by_role("listitem").filter(has_text="now here")).to_contain_text("Lost: Price")
    expect(panel(page).get_by_text("Closed Won")).to_have_count(0)


def test_ctrl_click_opens_the_deals_page_in_a_tab_of_its_own(scene: Scene, page: Page) -> None:
    scene.open(page)
    with page.context.expect_page() as tab:
        card(page, "Bee").get_by_role("link", name="Bee", exact=True).click(modifiers=["ControlOrMeta"])
    expect(tab.value).to_have_url(re.compile("/deals/"))
    expect(panel(page)).to_be_hidden()


def test_a_note_and_a_task_stand_at_once_on_the_timeline(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.get_by_label("Note", exact=True).fill("They called back.")
    page.get_by_role("button", name="Add note").click()
    expect(pages.timeline(page).first).to_contain_text("They called back.")
    expect(pages.announcement(page)).to_have_text("Note added.")
    expect(page.get_by_label("Note", exact=True)).to_have_value("")
    page.get_by_text("Add a task").click()
    page.get_by_label("Task", exact=True).fill("Send a sample")
    page.get_by_role("button", name="Add task").click()
    expect(pages.timeline(page).first).to_contain_text("added a task: Send a sample")
    page.get_by_role("button", name="Done: Send a sample").click()
    expect(page.get_by_role("button", name="Open again: Send a sample")).to_be_visible()
    expect(panel(page).get_by_role("heading", name="Bee")).to_be_visible()


def test_deleting_the_open_deal_asks_first_and_takes_it_from_the_board(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.get_by_label("More for Bee").click()
    page.get_by_role("button", name="Delete this deal").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    scene.expect_truth(page)
    page.get_by_label("More for Bee").click()
    page.get_by_role("button", name="Delete this deal").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete deal").click()
    expect(card(page, "Bee")).to_have_count(0)
    scene.expect_truth(page)
    assert scene.stored("Lead") == ["Ant"]
