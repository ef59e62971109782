"""What part of a board is shown: filters in the address, more cards on the way down, one lane on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.pages import card, cards_in, column, count_of


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant farm", "Bee hive", owner=demo_person("manager"))
    scene.add("Proposal", "Ant hill", "Eel")
    return scene


def test_typing_filters_the_board_its_totals_and_the_address(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_placeholder("Filter by name").fill("ant")
    expect(column(page, "Lead").get_by_role("link", name="Bee hive", exact=True)).to_have_count(0)
    assert (cards_in(page, "Lead"), cards_in(page, "Proposal")) == (["Ant farm"], ["Ant hill"])
    assert count_of(page, "Lead") == 1
    expect(page).to_have_url(re.compile(r"\?q=ant$"))
    expect(page.get_by_placeholder("Filter by name")).to_be_focused()
    page.reload()
    assert cards_in(page, "Lead") == ["Ant farm"]
    page.get_by_role("link", name="Clear", exact=True).click()
    assert cards_in(page, "Lead") == ["Ant farm", "Bee hive"]


def test_a_move_on_a_filtered_board_keeps_the_filter(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_placeholder("Filter by name").fill("ant")
    expect(column(page, "Lead").get_by_role("link", name="Bee hive", exact=True)).to_have_count(0)
    pages.drag_card(page, "Ant farm", "Proposal")
    assert cards_in(page, "Proposal") == ["Ant farm", "Ant hill"]
    assert cards_in(page, "Lead") == []
    assert count_of(page, "Lead") == 0


def test_my_deals_are_mine(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="My deals 2").click()
    expect(page).to_have_url(re.compile(r"\?mine=1$"))
    assert (cards_in(page, "Lead"), cards_in(page, "Proposal")) == (["Ant farm", "Bee hive"], [])
    expect(page.get_by_role("link", name="My deals 2")).to_have_attribute("aria-current", "true")


def test_nothing_found_says_so_and_how_to_get_back(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_placeholder("Filter by name").fill("zebra")
    expect(page.get_by_text("No deals match these filters.")).to_be_visible()
    page.get_by_role("link", name="Clear filters").click()
    assert cards_in(page, "Lead") == ["Ant farm", "Bee hive"]


def test_more_cards_come_on_the_way_down_and_stay(scene: Scene, page: Page) -> None:
    scene.add("Qualified", *(f"Fish {number:02}" for number in range(1, 31)))
    scene.open(page)
    assert len(cards_in(page, "Qualified")) == 25
    page.get_by_role("link", name="Show 5 more").scroll_into_view_if_needed()
    expect(column(page, "Qualified").locator("[data-deal-id]")).to_have_count(30)
    pages.move_by_keyboard(page, "Fish 28", "Shift+ArrowLeft")
    assert len(cards_in(page, "Qualified")) == 29
    scene.expect_truth(page)


def test_an_empty_board_helps_with_the_first_deal(app: Flask, page: Page) -> None:
    make_scene().open(page)
    expect(page.get_by_role("heading", name="Put your first deal on the board")).to_be_visible()
    expect(page.get_by_role("link", name="Add a deal")).to_be_visible()


def test_a_phone_shows_one_stage_and_the_strip_leads_to_the_others(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    tabs = phone.get_by_role("navigation", name="Stages")
    expect(tabs.get_by_role("link", name="Lead")).to_have_attribute("aria-current", "true")
    tabs.get_by_role("link", name="Proposal").tap()
    expect(tabs.get_by_role("link", name="Proposal")).to_have_attribute("aria-current", "true")
    expect(card(phone, "Eel")).to_be_in_viewport()
    expect(card(phone, "Bee hive")).not_to_be_in_viewport()
    phone.get_by_role("button", name="Filter", exact=True).tap()
    phone.get_by_placeholder("Filter by name").fill("hill")
    expect(card(phone, "Eel")).to_have_count(0)


def test_on_a_phone_a_tap_on_move_asks_where_to(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    phone.get_by_role("link", name="Move Bee hive", exact=True).tap()
    sheet = phone.get_by_role("dialog", name="Move “Bee hive”")
    sheet.get_by_role("radio", name="Proposal").tap()
    answer = pages.answered(phone, lambda: sheet.get_by_role("button", name="Move to Proposal").tap())
    assert answer.status == 200
    assert cards_in(phone, "Proposal")[0] == "Bee hive"
    expect(phone.get_by_role("dialog")).to_have_count(0)
    scene.expect_truth(phone)


def test_scrollbars_that_take_space_cut_no_card(
    scene: Scene, launch_browser: Callable[..., Browser], base_url: str
) -> None:
    browser = launch_browser(ignore_default_args=["--hide-scrollbars"])
    page = browser.new_page(base_url=base_url, viewport={"width": 1440, "height": 900})
    scene.open(page)
    spare = (
        column(page, "Lead")
        .get_by_role("list")
        .evaluate(
            "list => list.getBoundingClientRect().left + list.clientWidth"
            " - list.firstElementChild.getBoundingClientRect().right"
        )
    )
    browser.close()
    assert spare >= 0, "the list ends behind its cards"
