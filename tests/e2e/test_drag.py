"""Dragging a card, by mouse and by finger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.pages import card, cards_in, column, count_of


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", "Cat")
    scene.add("Proposal", "Dog", "Eel")
    return scene


@pytest.fixture
def sent(page: Page) -> list[Request]:
    """What the page asks the server to do."""
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    return sent


def test_a_drag_changes_both_columns_their_counts_and_totals(scene: Scene, page: Page) -> None:
    scene.open(page)
    answer = pages.drag_card(page, "Bee", "Proposal", above="Eel")
    assert answer.status == 200
    assert cards_in(page, "Proposal") == ["Dog", "Bee", "Eel"]
    assert (count_of(page, "Lead"), count_of(page, "Proposal")) == (2, 3)
    expect(column(page, "Lead")).to_contain_text("US$100,000")
    expect(column(page, "Proposal")).to_contain_text("US$150,000US$75,000 weighted")
    expect(pages.announcement(page)).to_have_text(
        "Bee moved to Proposal, position 2 of 3. Total 150,000 US dollars."
    )
    expect(pages.refusal(page)).to_be_empty()
    scene.expect_truth(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]
    page.reload()
    scene.expect_truth(page)


def test_a_drag_beside_the_open_deal_shows_at_once_on_its_timeline(scene: Scene, page: Page) -> None:
    scene.open(page)
    card(page, "Bee").get_by_role("link", name="Bee", exact=True).click()
    expect(page.get_by_role("heading", name="Bee")).to_be_focused()
    pages.drag_card(page, "Bee", "Qualified")
    newest = pages.timeline(page).first
    expect(newest).to_contain_text("Deal moved: Lead → Qualified")
    expect(newest).to_contain_text(demo_person("manager").name)
    expect(page.get_by_text("Deal moved: Lead → Qualified")).to_have_count(1)
    scene.expect_truth(page)


def test_a_drag_into_an_empty_column(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.drag_card(page, "Dog", "Negotiation")
    assert cards_in(page, "Negotiation") == ["Dog"]
    expect(column(page, "Negotiation")).not_to_contain_text("Nothing in Negotiation")
    scene.expect_truth(page)


def test_a_drag_within_a_column_changes_the_order_and_nothing_else(scene: Scene, page: Page) -> None:
    scene.open(page)
    pages.drag_card(page, "Cat", "Lead", above="Ant")
    assert cards_in(page, "Lead") == ["Cat", "Ant", "Bee"]
    scene.expect_truth(page)
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
    scene.expect_truth(page)


@pytest.mark.parametrize("how", ["escape", "outside"])
def test_a_cancelled_drag_asks_the_server_nothing(
    scene: Scene, page: Page, sent: list[Request], how: str
) -> None:
    scene.open(page)
    pages.lift_card(page, "Bee", over="Dog")
    expect(page.locator(".ghost")).to_have_count(1)
    if how == "escape":
        page.keyboard.press("Escape")
    else:
        page.mouse.move(700, 20, steps=3)
    page.mouse.up()
    expect(pages.announcement(page)).to_have_text("Move cancelled")
    scene.expect_truth(page)
    assert not [request for request in sent if request.url.endswith("/stage")]


def test_a_card_that_waits_for_its_answer_cannot_be_moved_again(scene: Scene, page: Page) -> None:
    scene.open(page)
    held = pages.hold(page, "**/stage")
    pages.drop_card(page, "Ant", "Proposal")
    expect(card(page, "Ant")).to_have_attribute("aria-busy", "true")
    assert count_of(page, "Proposal") == 2, "sums wait for the answer"
    pages.drop_card(page, "Ant", "Lead")
    held[0].continue_()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert len(held) == 1
    scene.expect_truth(page)


def test_several_cards_may_be_under_way_at_once(scene: Scene, page: Page) -> None:
    scene.open(page)
    for deal in ("Ant", "Bee", "Cat"):
        pages.drop_card(page, deal, "Proposal")
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert sorted(cards_in(page, "Proposal")) == ["Ant", "Bee", "Cat", "Dog", "Eel"]
    scene.expect_truth(page)


def test_an_answer_that_comes_while_the_next_card_is_in_the_hand_waits_for_the_hand(
    scene: Scene, page: Page
) -> None:
    scene.open(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/stage", hold, times=1)
    pages.drop_card(page, "Ant", "Proposal")
    pages.lift_card(page, "Bee", over="Eel")
    with page.expect_response(lambda response: response.url.endswith("/stage")):
        held[0].continue_()
    expect(page.locator(".ghost")).to_have_count(1)
    assert count_of(page, "Proposal") == 2, "nothing is drawn under the hand"
    pages.answered(page, page.mouse.up)
    assert sorted(cards_in(page, "Proposal")) == ["Ant", "Bee", "Dog", "Eel"]
    scene.expect_truth(page)


def test_somebody_elses_card_cannot_be_dragged(scene: Scene, page: Page, sent: list[Request]) -> None:
    scene.add("Negotiation", "Owl", owner=demo_person("manager"))
    scene.open(page, "rep")
    expect(page.get_by_role("link", name="Move Owl", exact=True)).to_have_count(0)
    pages.lift_card(page, "Owl", over="Dog")
    expect(page.locator(".ghost")).to_have_count(0)
    page.mouse.up()
    scene.expect_truth(page)
    assert not [request for request in sent if request.url.endswith("/stage")]


def test_a_finger_holds_a_card_and_drags_it_within_its_column(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    assert pages.touch_drag_card(phone, "Cat", "Lead").status == 200
    assert cards_in(phone, "Lead") == ["Cat", "Ant", "Bee"]
    scene.expect_truth(phone)


def test_a_finger_drags_a_card_to_another_column(
    scene: Scene, new_context: Callable[..., BrowserContext]
) -> None:
    size = {"width": 1024, "height": 768}
    tablet = scene.open(new_context(viewport=size, has_touch=True, is_mobile=True).new_page())
    assert pages.touch_drag_card(tablet, "Bee", "Proposal").status == 200
    assert cards_in(tablet, "Proposal") == ["Bee", "Dog", "Eel"]
    scene.expect_truth(tablet)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]


def test_a_swipe_scrolls_and_drags_nothing(scene: Scene, phone: Page) -> None:
    scene.add("Lead", *(f"Fish {number}" for number in range(12)))
    scene.open(phone)
    pages.swipe(phone, "Fish 3", up=300)
    expect(phone.locator(".ghost")).to_have_count(0)
    assert phone.evaluate("() => document.querySelector('.cards').scrollTop") > 100
    scene.expect_truth(phone)


def test_on_a_phone_a_thumb_takes_a_card_to_any_stage_by_its_name(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    stages = phone.get_by_role("navigation", name="Stages")
    with pages.held_card(phone, "Bee") as finger:
        for stage in scene.stages:
            expect(stages.get_by_role("link", name=stage)).to_be_in_viewport(ratio=1)
        finger.over(stages.get_by_role("link", name="Negotiation"))
        expect(stages.get_by_role("link", name="Negotiation")).to_have_class("target")
        finger.over(stages.get_by_role("link", name="Proposal"))
        assert pages.answered(phone, finger.let_go).status == 200
    assert cards_in(phone, "Proposal") == ["Bee", "Dog", "Eel"]
    expect(pages.announcement(phone)).to_contain_text("Bee moved to Proposal, position 1 of 3.")
    scene.expect_truth(phone)


def test_on_a_phone_a_card_let_go_beside_everything_stays(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    with pages.held_card(phone, "Bee") as finger:
        finger.over(phone.get_by_role("heading", level=1))
        finger.let_go()
    expect(pages.announcement(phone)).to_have_text("Move cancelled")
    scene.expect_truth(phone)
