"""What is next: added on the card, ticked off, looked for; a deal put to sleep; one's tasks; on a phone too."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect

from crmweb import clock
from crmweb.models import Activity, Deal
from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.accessibility import faults
from tests.support.console import Console
from tests.support.factories import save
from tests.support.pages import card

DAY = timedelta(days=1)


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.stages["Lead"].rot_days = 10
    save(scene.stages["Lead"])
    with clock.at(clock.now() - 16 * DAY):
        scene.add("Lead", "Moth", owner=demo_person("manager"))
    scene.add("Lead", "Ant", "Bee", owner=demo_person("manager"))
    return scene


def plan(deal: Deal, subject: str, due: datetime) -> None:
    save(Activity(type="task", subject=subject, deal=deal, due_at=due, assigned_to=demo_person("manager")))


def chip(page: Page, words: str) -> Locator:
    return page.get_by_role("search", name="Filter this board").get_by_role(
        "link", name=re.compile(f"^{words}")
    )


def step(page: Page, deal: str) -> Locator:
    """The next step on a card."""
    return card(page, deal).locator("a[href$='/next-step']")


def test_a_next_step_is_added_on_the_card_and_ticked_off_with_two_clicks(scene: Scene, page: Page) -> None:
    scene.open(page)
    expect(chip(page, "No next step")).to_have_text(re.compile("3$"))
    step(page, "Bee").click()
    expect(page.get_by_role("dialog", name="What is next?")).to_be_visible()
    expect(page.get_by_label("What is to do?")).to_be_focused()
    page.keyboard.type("Call Olga")
    page.get_by_text("In 3 days").click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(step(page, "Bee")).to_contain_text("Call Olga")
    expect(step(page, "Bee")).to_be_focused()
    expect(pages.announcement(page)).to_have_text("Next step saved.")
    expect(chip(page, "No next step")).to_have_text(re.compile("2$"))
    step(page, "Bee").click()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog")).to_contain_text("Done: Call Olga.")
    expect(page.get_by_label("What is to do?")).to_be_focused()
    page.keyboard.press("Escape")
    expect(step(page, "Bee")).to_have_text("Add next step")
    expect(chip(page, "No next step")).to_have_text(re.compile("3$"))
    scene.expect_truth(page)


def test_what_is_missing_is_said_in_the_dialog(scene: Scene, page: Page, console: Console) -> None:
    console.expect("422")
    scene.open(page)
    step(page, "Bee").click()
    page.get_by_label("What is to do?").fill("Call")
    page.get_by_text("On a day").click()
    page.get_by_role("button", name="Add next step").click()
    expect(page.get_by_role("dialog")).to_contain_text("Choose the day.")
    assert not faults(page, "a next step without its day")
    page.get_by_label("Day", exact=True).fill("2031-05-01")
    page.get_by_role("button", name="Add next step").click()
    expect(step(page, "Bee")).to_have_text("Call, 1 May 2031")


def test_others_see_the_step_and_a_late_one_is_counted(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    other = new_context().new_page()
    scene.open(page)
    scene.open(other, "admin")
    plan(scene.deal("Ant"), "Send the offer", clock.now() - 2 * DAY)
    pages.look_again(other)
    for one in (page, other):
        expect(step(one, "Ant")).to_have_text("Send the offer, 2 d late")
        expect(chip(one, "Step overdue")).to_have_text(re.compile("1$"))
    chip(page, "Step overdue").click()
    expect(card(page, "Bee")).to_have_count(0)
    assert pages.cards_in(page, "Lead") == ["Ant"]
    expect(page).to_have_url(re.compile("overdue=1"))


def test_a_quiet_deal_is_found_by_its_chip_and_put_to_sleep_from_its_panel(scene: Scene, page: Page) -> None:
    scene.open(page)
    expect(card(page, "Moth")).to_contain_text("Quiet 16 d, limit 10")
    chip(page, "Rotting").click()
    expect(card(page, "Bee")).to_have_count(0)
    expect(chip(page, "Rotting")).to_have_attribute("aria-current", "true")
    assert pages.cards_in(page, "Lead") == ["Moth"]
    page.get_by_role("link", name="Moth", exact=True).click()
    panel = page.get_by_role("complementary", name="Deal")
    expect(panel).to_contain_text("Quiet 16 d, limit 10")
    panel.get_by_role("link", name="Snooze").click()
    until = clock.today() + 20 * DAY
    page.get_by_label("Snooze until").fill(until.isoformat())
    page.get_by_label("Because").fill("They decide after the fair")
    page.get_by_role("button", name="Let it sleep").click()
    expect(panel).to_contain_text("They decide after the fair")
    expect(chip(page, "Rotting")).to_have_text(re.compile("0$"))
    expect(card(page, "Moth")).to_have_count(0)
    page.get_by_role("link", name="Clear", exact=True).click()
    card(page, "Moth").get_by_role("link", name=re.compile("^Sleeps until")).click()
    page.get_by_role("button", name="Wake it now").click()
    expect(card(page, "Moth")).to_contain_text("Quiet 16 d, limit 10")


def test_ones_tasks_are_ticked_off_on_a_page_of_their_own(scene: Scene, page: Page) -> None:
    plan(scene.deal("Ant"), f"Write to {scene.pipeline_id}", clock.now() - 3 * DAY)
    pages.sign_in_as(page, "manager")
    page.goto("/tasks")
    late = page.get_by_role("list", name="Overdue")
    task = late.get_by_role("listitem").filter(has_text=str(scene.pipeline_id))
    expect(task).to_contain_text("3 d late")
    task.get_by_role("button", name=re.compile("^Done")).click()
    expect(task).to_have_count(0)
    expect(pages.announcement(page)).to_contain_text("Done: Write to")
    expect(page.get_by_role("button", name="Open again")).to_be_focused()
    assert not faults(page, "ticked")
    page.keyboard.press("Enter")
    expect(task).to_have_count(1)
    page.get_by_role("link", name="Everybody").click()
    expect(page.get_by_role("link", name="Everybody")).to_have_attribute("aria-current", "page")


def test_on_a_phone_the_step_is_asked_for_in_a_sheet_and_chips_are_in_the_filters(
    scene: Scene, phone: Page
) -> None:
    plan(scene.deal("Ant"), "Call", clock.now() - 2 * DAY)
    scene.open(phone)
    found = faults(phone, "cards with steps on a phone")
    step(phone, "Ant").tap()
    expect(phone.get_by_role("dialog")).to_be_visible()
    found += faults(phone, "a step's sheet")
    phone.get_by_role("button", name="Done").tap()
    expect(phone.get_by_role("dialog")).to_contain_text("Done: Call.")
    phone.get_by_label("What is to do?").fill("Visit")
    phone.get_by_role("button", name="Add next step").tap()
    expect(step(phone, "Ant")).to_have_text("Visit, tomorrow")
    phone.get_by_role("button", name="Filter", exact=True).tap()
    found += faults(phone, "chips on a phone")
    chip(phone, "Rotting").tap()
    expect(card(phone, "Ant")).to_have_count(0)
    assert pages.cards_in(phone, "Lead") == ["Moth"]
    assert not found, "\n".join(found)


def test_what_opens_over_the_board_has_no_fault(scene: Scene, page: Page) -> None:
    found: list[str] = []
    plan(scene.deal("Ant"), "Call", clock.now() - 2 * DAY)
    scene.open(page)
    found += faults(page, "cards with steps")
    step(page, "Ant").click()
    found += faults(page, "a step's dialog")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("dialog")).to_contain_text("Done: Call.")
    found += faults(page, "the question what is next")
    page.keyboard.press("Escape")
    card(page, "Moth").get_by_role("link", name=re.compile("^Quiet")).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    found += faults(page, "the question how long to sleep")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Moth", exact=True).click()
    expect(page.get_by_role("complementary", name="Deal")).to_contain_text("Quiet 16 d")
    found += faults(page, "a rotting deal beside the board")
    assert not found, "\n".join(found)
