"""Two people look at one board: what one does, the other sees, and is not disturbed by it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.models import Stage, arranging
from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import make_rule
from tests.support.pages import card, cards_in, column
from tests.support.server import Server

SOON = 3_000
"""Milliseconds in which others' changes are seen."""


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", *(f"Fish {number}" for number in range(1, 15)))
    scene.add("Proposal", "Dog")
    scene.add("Negotiation", "Newt")
    return scene


def link_in(page: Page, stage: str, deal: str) -> Locator:
    return column(page, stage).get_by_role("link", name=deal, exact=True)


def move_on(scene: Scene, stage: str, further: str) -> None:
    """A rule takes deals that come into a stage on to a further one."""
    make_rule(
        "Straight on", trigger_event="update",
        conditions=[{"field": "stage", "operator": "equals", "value": str(scene.stages[stage].id)}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(scene.stages[further].id)}}],
    )  # fmt: skip


@pytest.mark.both_databases
def test_the_other_person_sees_a_move_within_three_seconds(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    other = scene.open(new_context().new_page(), "admin")
    scene.open(page)
    pages.move_by_keyboard(other, "Fish 2")
    expect(link_in(page, "Qualified", "Fish 2")).to_be_visible(timeout=SOON)
    scene.expect_truth(page)
    expect(pages.announcement(page)).to_be_empty()


@pytest.mark.both_databases
def test_two_people_at_two_servers_who_move_one_card_end_with_the_same_board(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext], console: Console, beside: Server
) -> None:
    other = scene.open(new_context().new_page(), "admin", beside.url)
    scene.open(page)
    assert other.url.startswith(beside.url)
    assert not page.url.startswith(beside.url)
    pages.pause_live(page)
    pages.move_by_dialog(other, "Fish 2", "Proposal")
    console.expect("409")
    assert pages.drag_card(page, "Fish 2", "Negotiation").status == 409
    expect(pages.refusal(page)).to_contain_text(
        re.compile(rf"{demo_person('admin').name} moved this deal to Proposal (\d+ s ago|at \d\d:\d\d)\.")
    )
    expect(pages.refusal(page)).to_contain_text(
        "Your move was not made. The board now shows where it really is."
    )
    page.unroute_all()
    for each in (page, other):
        scene.expect_truth(each)
    assert scene.notes("Fish 2") == ["Deal moved: Lead → Proposal"]


@pytest.mark.both_databases
def test_a_rule_that_was_faster_is_named_with_the_person_it_followed(
    scene: Scene, page: Page, console: Console
) -> None:
    move_on(scene, "Proposal", "Negotiation")
    scene.open(page)
    pages.pause_live(page)
    move_behind(scene.deal("Fish 2"), scene.stages["Proposal"], demo_person("admin"))
    console.expect("409")
    assert pages.drag_card(page, "Fish 2", "Qualified").status == 409
    expect(pages.refusal(page)).to_contain_text(
        f"Rule “Straight on”, after {demo_person('admin').name}’s change moved this deal to Negotiation"
    )
    scene.expect_truth(page)


@pytest.mark.both_databases
def test_nobody_is_in_conflict_with_their_own_hands_or_with_the_rules_that_follow_them(
    scene: Scene, page: Page
) -> None:
    move_on(scene, "Qualified", "Proposal")
    scene.open(page)
    pages.pause_live(page)
    elsewhere = scene.open(page.context.new_page())
    pages.move_by_keyboard(elsewhere, "Fish 2", "Shift+ArrowRight")
    assert cards_in(elsewhere, "Proposal") == ["Fish 2", "Dog"]
    assert pages.drag_card(page, "Fish 2", "Negotiation").status == 200
    assert cards_in(page, "Negotiation") == ["Fish 2", "Newt"]
    scene.expect_truth(page)


def test_a_change_from_outside_keeps_focus_and_scroll(scene: Scene, page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    scene.open(page)
    scroll = "() => document.querySelector('.cards').scrollTop"
    card(page, "Fish 9").get_by_role("link", name="Fish 9", exact=True).focus()
    before = page.evaluate(scroll)
    assert before > 0
    move_behind(scene.deal("Newt"), scene.stages["Lead"], demo_person("admin"))
    pages.look_again(page)
    expect(link_in(page, "Lead", "Newt")).to_have_count(1)
    expect(page.locator(":focus")).to_have_text("Fish 9")
    assert abs(page.evaluate(scroll) - before) <= 150  # a card came in above
    scene.expect_truth(page)


def test_nothing_moves_under_a_hand_that_drags(scene: Scene, page: Page) -> None:
    scene.open(page)
    held = pages.hold(page, "**/changes?*")
    move_behind(scene.deal("Newt"), scene.stages["Qualified"], demo_person("admin"))
    with page.expect_request("**/changes?*"):
        pages.look_again(page)
    pages.lift_card(page, "Fish 2", over="Dog")
    with page.expect_event("requestfinished", lambda request: "/changes" in request.url):
        held[0].continue_()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(link_in(page, "Negotiation", "Newt")).to_be_visible()
    page.unroute_all()
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(link_in(page, "Qualified", "Newt")).to_be_visible(timeout=SOON)
    assert cards_in(page, "Lead")[1] == "Fish 2"
    scene.expect_truth(page)


def test_an_open_deal_hears_of_what_happens_to_it(scene: Scene, page: Page) -> None:
    scene.open(page)
    card(page, "Newt").get_by_role("link", name="Newt", exact=True).click()
    expect(page.get_by_role("heading", name="Newt")).to_be_visible()
    move_behind(scene.deal("Newt"), scene.stages["Proposal"], demo_person("admin"))
    pages.look_again(page)
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Negotiation → Proposal")


def test_a_filtered_board_hears_only_what_passes_its_filter(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_placeholder("Filter by name").fill("newt")
    expect(card(page, "Dog")).to_have_count(0)
    for deal in ("Dog", "Newt"):
        move_behind(scene.deal(deal), scene.stages["Qualified"], demo_person("admin"))
    pages.look_again(page)
    expect(link_in(page, "Qualified", "Newt")).to_be_visible()
    assert cards_in(page, "Qualified") == ["Newt"]
    expect(column(page, "Qualified")).to_have_attribute("data-count", "1")


def test_new_archived_and_reordered_stages_come_without_a_reload(scene: Scene, page: Page) -> None:
    scene.open(page)
    by, pipeline_id, gone = demo_person("manager"), scene.pipeline_id, scene.stages.pop("Closed Lost").id

    def rearrange(session: Session) -> None:
        arranging.add_stage(session, Stage(pipeline_id=pipeline_id, name="Contract", probability=90))
        arranging.shift_stage(session, session.get_one(Stage, scene.stages["Proposal"].id), -1)

    changes.commit(lambda session: arranging.archive_stage(session, gone, None, by), by=by)
    changes.commit(rearrange, by=by)
    pages.look_again(page)
    heads = page.get_by_role("region").get_by_role("heading")
    expect(heads).to_have_text(["Lead", "Proposal", "Qualified", "Negotiation", "Contract", "Closed Won"])
    scene.expect_truth(page)
    pages.drag_card(page, "Dog", "Contract")
    assert cards_in(page, "Contract") == ["Dog"]


def test_a_quiet_board_is_asked_and_answers_nothing(scene: Scene, page: Page) -> None:
    scene.open(page)
    with page.expect_response(lambda response: "/changes" in response.url) as answer:
        pages.look_again(page)
    assert answer.value.status == 304
