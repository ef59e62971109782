"""Forms in a real browser: a deal added from its column, changed beside the board by two people, stages arranged."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.e2e.scene import Scene, make_scene
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import make_entity
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee")
    return scene


@pytest.fixture
def colleague(new_context: Callable[..., BrowserContext], scene: Scene) -> Page:
    """Somebody else's browser, with the same board."""
    return scene.open(new_context().new_page(), "admin")


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Deal")


def open_deal(page: Page, deal: str) -> None:
    card(page, deal).get_by_role("link", name=deal, exact=True).click()
    expect(panel(page).get_by_role("heading", name=deal)).to_be_focused()


def edit_on_its_page(page: Page, scene: Scene, deal: str, amount: str) -> None:
    page.goto(f"/deals/{scene.deal(deal).id}/edit")
    page.get_by_label("Amount").fill(amount)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=deal, exact=True)).to_be_visible()


@pytest.mark.parametrize("kind", ["page", "plain_page"])
def test_a_deal_is_added_from_its_column_for_a_known_company(
    scene: Scene, request: pytest.FixtureRequest, kind: str
) -> None:
    known = make_entity(f"Harbour {uuid4().hex[:8]}", email="quay@example.org")
    page = scene.open(request.getfixturevalue(kind))
    pages.column(page, "Proposal").get_by_role("link", name="New deal in Proposal").click()
    page.get_by_label("Name", exact=True).fill("Quay cameras")
    page.get_by_label("Company or person").fill(known.name if kind == "plain_page" else known.name[:12])
    if kind == "page":
        page.get_by_role("radio", name=re.compile(known.name)).check()
    page.get_by_label("Amount").fill("50,000")
    page.get_by_role("button", name="Add deal").click()
    expect(page).to_have_url(re.compile(f"/pipelines/{scene.pipeline_id}#deal-"))
    assert cards_in(page, "Proposal") == ["Quay cameras"]
    assert scene.deal("Quay cameras").entity_id == known.id


def test_what_is_wrong_is_said_beside_the_field_and_nothing_is_lost(
    scene: Scene, page: Page, console: Console
) -> None:
    console.expect("422")
    scene.open(page)
    page.get_by_role("link", name="New deal in Lead").click()
    page.get_by_label("Name", exact=True).fill("Quay cameras")
    page.get_by_label("Company or person").fill("Harbour")
    page.get_by_label("Amount").fill("lots")
    page.get_by_role("button", name="Add deal").click()
    expect(page.get_by_label("Amount")).to_have_accessible_description(
        "“lots” is not a number. Write it like 50,000."
    )
    expect(page.get_by_label("Amount")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Quay cameras")
    expect(page.get_by_label("Company or person")).to_have_value("Harbour")


def test_a_form_clicked_twice_is_sent_once(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="New deal in Lead").click()
    page.get_by_label("Name", exact=True).fill("Only one")
    page.get_by_label("Company or person").fill("Harbour")
    page.get_by_role("button", name="Add deal").dblclick()
    expect(page).to_have_url(re.compile("#deal-"))
    assert cards_in(page, "Lead") == ["Only one", "Ant", "Bee"]


def test_a_deal_is_changed_beside_the_board(scene: Scene, page: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    panel(page).get_by_role("link", name="Edit").click()
    expect(panel(page).get_by_label("Name", exact=True)).to_be_focused()
    panel(page).get_by_label("Name", exact=True).fill("Bumblebee")
    panel(page).get_by_label("Stage").select_option(label="Qualified")
    panel(page).get_by_role("button", name="Save").click()
    expect(panel(page).get_by_role("heading", name="Bumblebee")).to_be_focused()
    expect(pages.timeline(page).first).to_contain_text("Deal moved: Lead → Qualified")
    scene.expect_truth(page)


def test_two_people_who_change_one_field_choose_what_stays(
    scene: Scene, page: Page, colleague: Page, console: Console
) -> None:
    console.expect("409")
    scene.open(page)
    open_deal(page, "Bee")
    panel(page).get_by_role("link", name="Edit").click()
    panel(page).get_by_label("Amount").fill("80,000")
    edit_on_its_page(colleague, scene, "Bee", "70,000")
    expect(card(page, "Bee")).to_contain_text("70,000")
    expect(panel(page).get_by_label("Amount")).to_have_value("80,000")
    panel(page).get_by_role("button", name="Save").click()
    asked = panel(page).get_by_role("group", name=re.compile("changed the amount to 70,000"))
    asked.get_by_role("radio", name="Change it to 80,000").check()
    panel(page).get_by_role("button", name="Save").click()
    expect(panel(page)).to_contain_text("US$80,000")
    assert scene.deal("Bee").amount == 80_000


def test_a_half_written_task_survives_what_others_do(scene: Scene, page: Page, colleague: Page) -> None:
    scene.open(page)
    open_deal(page, "Bee")
    page.get_by_label("Note").fill("Half a thought")
    page.get_by_text("Add a task").click()
    page.get_by_label("Task", exact=True).fill("Half a task")
    edit_on_its_page(colleague, scene, "Bee", "70,000")
    expect(panel(page)).to_contain_text("US$70,000")
    expect(page.get_by_label("Note")).to_have_value("Half a thought")
    expect(page.get_by_label("Task", exact=True)).to_have_value("Half a task")
    page.get_by_role("button", name="Add task", exact=True).click()
    expect(pages.timeline(page).first).to_contain_text("added a task: Half a task")
    page.get_by_role("button", name="Done: Half a task").click()
    expect(pages.timeline(page).first).to_contain_text("Done")


def test_a_stage_is_archived_and_its_deals_go_where_one_says(scene: Scene, page: Page) -> None:
    scene.open(page)
    page.goto(f"/pipelines/{scene.pipeline_id}/settings")
    page.get_by_role("button", name="Move Proposal left").click()
    expect(page.get_by_role("listitem").filter(has=page.get_by_role("link", name="Proposal"))).to_be_visible()
    page.get_by_label("More for Lead").click()
    page.get_by_role("link", name="Archive", exact=True).click()
    expect(page.get_by_role("heading", name="2 deals are in Lead. Where should they go?")).to_be_visible()
    page.get_by_role("radio", name=re.compile("Qualified")).check()
    page.get_by_role("button", name="Move and archive").click()
    expect(page.get_by_text("“Lead” is archived. 2 deals are in Qualified now.")).to_be_visible()
    pages.open_board(page, scene.pipeline_id)
    assert cards_in(page, "Qualified") == ["Ant", "Bee"]
    columns = page.get_by_role("region").evaluate_all(
        "all => all.map(one => one.getAttribute('data-stage-id'))"
    )
    assert columns[:2] == [str(scene.stages[name].id) for name in ("Proposal", "Qualified")]
