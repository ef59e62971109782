"""Two people look at one board: what one does, the other sees, and is not disturbed by it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import pages
from tests.support.pages import card, cards_in, column

SOON = 3_000
"""Milliseconds in which others' changes are seen."""


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", *(f"Fish {number}" for number in range(1, 15)))
    scene.add("Proposal", "Dog")
    return scene


def test_the_other_person_sees_a_move_within_three_seconds(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    other = scene.open(new_context().new_page(), "admin")
    scene.open(page)
    pages.move_by_keyboard(other, "Fish 2")
    expect(column(page, "Qualified").get_by_role("link", name="Fish 2", exact=True)).to_be_visible(
        timeout=SOON
    )
    assert scene.is_true(page)
    expect(pages.announcement(page)).to_be_empty()


def test_a_change_from_outside_keeps_focus_and_scroll(scene: Scene, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    [new] = scene.add("Negotiation", "Newt")
    scene.open(page)
    scroll = "() => document.querySelector('.cards').scrollTop"
    card(page, "Fish 9").get_by_role("link", name="Fish 9", exact=True).focus()
    before = page.evaluate(scroll)
    assert before > 0
    move_behind(new, scene.stages["Lead"], demo_person("admin"))
    expect(card(page, "Newt").first).to_have_count(1)
    expect(column(page, "Lead").get_by_role("link", name="Newt", exact=True)).to_have_count(1)
    expect(page.locator(":focus")).to_have_text("Fish 9")
    assert abs(page.evaluate(scroll) - before) <= 120
    assert scene.is_true(page)


def test_nothing_moves_under_a_hand_that_drags(scene: Scene, page: Page) -> None:
    [new] = scene.add("Negotiation", "Newt")
    scene.open(page)
    pages.lift_card(page, "Fish 2", over="Dog")
    move_behind(new, scene.stages["Qualified"], demo_person("admin"))
    with pytest.raises(AssertionError):
        expect(column(page, "Qualified").get_by_role("link", name="Newt", exact=True)).to_be_visible(
            timeout=SOON
        )
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(column(page, "Qualified").get_by_role("link", name="Newt", exact=True)).to_be_visible(timeout=SOON)
    assert cards_in(page, "Lead")[1] == "Fish 2"
    assert scene.is_true(page)


def test_an_open_deal_hears_of_what_happens_to_it(scene: Scene, page: Page) -> None:
    [new] = scene.add("Negotiation", "Newt")
    scene.open(page)
    card(page, "Newt").get_by_role("link", name="Newt", exact=True).click()
    expect(page.get_by_role("heading", name="Newt")).to_be_visible()
    move_behind(new, scene.stages["Proposal"], demo_person("admin"))
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Negotiation → Proposal", timeout=SOON)


def test_a_quiet_board_is_asked_and_answers_nothing(scene: Scene, page: Page) -> None:
    scene.open(page)
    with page.expect_response(lambda response: "/changes" in response.url) as answer:
        pass
    assert answer.value.status == 304
