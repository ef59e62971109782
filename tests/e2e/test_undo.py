"""Undo in the browser: by the toast, by keyboard, on a phone, without scripts; and when somebody is in the way."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import accessibility, pages
from tests.support.console import Console
from tests.support.deals import edit
from tests.support.factories import make_rule
from tests.support.pages import cards_in, drag_card, move_by_dialog, move_by_keyboard


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant farm", "Bee hive", "Cat nap")
    scene.add("Proposal", "Ant hill")
    return scene


def toast(page: Page) -> Locator:
    return page.locator("#toasts .toast")


def undo(page: Page) -> Locator:
    return toast(page).get_by_role("button", name="Undo")


def expect_back(scene: Scene, page: Page) -> None:
    expect(page.locator("#say")).to_have_text("Back in Lead.")
    expect(toast(page)).to_have_text(re.compile("Back in Lead."))
    scene.expect_truth(page)
    assert cards_in(page, "Lead") == ["Ant farm", "Bee hive", "Cat nap"]
    assert scene.notes("Bee hive")[-1] == "Deal moved: Qualified → Lead"


def test_a_drag_is_taken_back_from_the_toast_to_where_the_card_lay(scene: Scene, page: Page) -> None:
    drag_card(scene.open(page), "Bee hive", "Qualified")
    expect(toast(page)).to_contain_text("Moved to Qualified.")
    expect(page.locator("#say")).to_have_text(re.compile("^Bee hive moved to Qualified, position 1 of 1"))
    expect(page.get_by_role("status").filter(has_text="moved to")).to_have_count(1)
    undo(page).click()
    expect_back(scene, page)
    toast(page).get_by_role("button", name="Dismiss").click()
    expect(toast(page)).to_have_count(0)


def test_what_a_rule_did_goes_with_the_move(scene: Scene, page: Page) -> None:
    entered = [{"field": "stage", "operator": "changed_to", "value": str(scene.stages["Qualified"].id)}]
    chase = {"type": "create_activity", "config": {"type": "task", "subject": "Send a sample"}}
    make_rule("Chase", trigger_event="update", conditions=entered, actions=[chase])
    drag_card(scene.open(page), "Bee hive", "Qualified")
    expect(toast(page)).to_contain_text("Moved to Qualified. 1 rule acted.")
    undo(page).click()
    expect(toast(page)).to_have_text(re.compile("Back in Lead. The task it made is gone too."))
    page.get_by_role("link", name="Bee hive", exact=True).click()
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Qualified → Lead")
    expect(pages.timeline(page).filter(has_text="Send a sample")).to_have_count(0)


def test_by_keyboard_it_is_a_key_or_the_button_and_the_focus_stays_with_the_card(
    scene: Scene, page: Page
) -> None:
    scene.open(page)
    move_by_keyboard(page, "Bee hive")
    page.keyboard.press("z")
    expect_back(scene, page)
    move_by_keyboard(page, "Bee hive")
    undo(page).focus()
    page.keyboard.press("Enter")
    expect_back(scene, page)
    expect(page.get_by_role("link", name="Bee hive", exact=True)).to_be_focused()
    move_by_keyboard(page, "Bee hive")
    page.get_by_label("Deals or companies with").press("z")
    expect(undo(page)).to_be_visible()


def test_on_a_phone_the_toast_lies_above_the_bar_with_room_for_a_thumb(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    move_by_dialog(phone, "Bee hive", "Qualified")
    button, bar = undo(phone).bounding_box(), phone.locator(".tabbar").bounding_box()
    assert button
    assert bar
    assert button["height"] >= 44
    assert button["y"] + button["height"] <= bar["y"]
    undo(phone).tap()
    expect_back(scene, phone)


def test_without_scripts_the_undo_is_a_form_on_the_board(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Bee hive", exact=True).click()
    pages.fill_in_move(plain_page, "Qualified")
    undo(plain_page).click()
    expect(plain_page).to_have_url(re.compile(f"#deal-{scene.deal('Bee hive').id}"))
    expect(plain_page.get_by_role("status").filter(has_text="Back in Lead.")).to_be_visible()
    assert cards_in(plain_page, "Lead") == ["Ant farm", "Bee hive", "Cat nap"]


def test_somebody_elses_change_since_refuses_the_undo_and_shows_the_truth(
    scene: Scene, page: Page, console: Console
) -> None:
    drag_card(scene.open(page), "Bee hive", "Qualified")
    pages.pause_live(page)
    move_behind(scene.deal("Bee hive"), scene.stages["Negotiation"], demo_person("admin"))
    console.expect("409")
    undo(page).click()
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text(re.compile("Cannot undo: .+ moved the deal “Bee hive” to Negotiation"))
    assert cards_in(page, "Negotiation") == ["Bee hive"]
    scene.expect_truth(page)
    expect(page.get_by_text("Moved to Qualified.")).to_have_count(0)
    expect(pages.announcement(page)).to_be_empty()
    expect(pages.card(page, "Bee hive").get_by_role("link", name="Bee hive", exact=True)).to_be_focused()
    refusal.get_by_role("link", name="See what changed").click()
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Qualified → Negotiation")


def test_two_people_one_takes_it_back_the_other_sees_it_and_is_told(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext], console: Console
) -> None:
    other = scene.open(new_context().new_page(), "admin")
    drag_card(scene.open(page), "Bee hive", "Qualified")
    expect(pages.card(other, "Bee hive")).to_be_visible()
    other.get_by_role("link", name="Bee hive", exact=True).click()
    undo(page).click()
    expect_back(scene, page)
    expect(pages.timeline(other).first).to_contain_text("Deal moved: Qualified → Lead")
    scene.expect_truth(other)


def test_a_slow_answer_to_an_undo_is_asked_for_once(scene: Scene, page: Page) -> None:
    drag_card(scene.open(page), "Bee hive", "Qualified")
    held = pages.hold(page, "**/changes/*/undo")
    undo(page).dblclick()
    page.wait_for_timeout(100)
    assert len(held) == 1
    held[0].continue_()
    expect_back(scene, page)


def test_the_bar_runs_for_half_a_minute_and_rests_under_the_hand(
    scene: Scene, new_context: Callable[..., BrowserContext]
) -> None:
    page = scene.open(new_context(reduced_motion="no-preference").new_page())
    move_by_keyboard(page, "Bee hive")
    run = "() => getComputedStyle(document.querySelector('.toast-undo'), '::after').animation"
    assert "30s" in page.evaluate(run)
    assert "paused" not in page.evaluate(run)
    toast(page).hover()
    assert "paused" in page.evaluate(run)


def test_the_toasts_are_free_of_faults(scene: Scene, page: Page, console: Console) -> None:
    drag_card(scene.open(page), "Bee hive", "Qualified")
    assert not accessibility.faults(page, "undo toast")
    edit(scene.deal("Bee hive"), by=demo_person("admin"), assigned_to_id=demo_person("admin").id)
    undo(page).click()
    expect(toast(page)).to_contain_text("Back in Lead.")
    assert not accessibility.faults(page, "undone toast")


def test_an_older_move_is_undone_from_its_entry_beside_the_board(scene: Scene, page: Page) -> None:
    scene.open(page)
    move_by_keyboard(page, "Bee hive")
    edit(scene.deal("Bee hive"), by=demo_person("admin"), amount=7_000)
    page.get_by_role("link", name="Bee hive", exact=True).click()
    edited, moved = pages.timeline(page).first, pages.timeline(page).nth(1)
    expect(edited).to_contain_text("changed the amount from US$50,000 to US$7,000")
    moved.hover()
    moved.get_by_role("button", name="Undo").click()
    expect(page.locator("#say")).to_have_text("Back in Lead.")
    expect(pages.timeline(page).first).to_contain_text("undid a move: Deal moved: Qualified → Lead")
    expect(pages.timeline(page).nth(2)).to_contain_text(re.compile("Deal moved: Lead → Qualified Undone by"))
    expect(page.get_by_role("heading", name="Bee hive")).to_be_focused()
    assert not accessibility.faults(page, "panel with an undone move")
    page.get_by_role("button", name="Undo last change").click()
    expect(pages.timeline(page).first).to_contain_text("undid a change: the amount is US$50,000 again")
    scene.expect_truth(page)
    pages.timeline(page).first.get_by_role("button", name="Redo").click()
    expect(pages.timeline(page).first).to_contain_text("did it again: the amount is US$7,000 again")
    scene.expect_truth(page)


def test_an_entry_on_the_deals_own_page_is_undone_without_scripts(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    deal = scene.deal("Bee hive")
    edit(deal, by=demo_person("admin"), amount=7_000)
    plain_page.goto(f"/deals/{deal.id}")
    pages.timeline(plain_page).first.get_by_role("button", name="Undo").click()
    expect(plain_page.get_by_role("status").filter(has_text="Changed back.")).to_be_visible()
    expect(pages.timeline(plain_page).first).to_contain_text("undid a change: the amount is US$50,000 again")
