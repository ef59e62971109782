"""A deal that goes to another pipeline: by dialog, from the open deal, and without JavaScript."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from tests.e2e.scene import Scene, make_scene
from tests.support import pages
from tests.support.console import Console
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee")
    return scene


@pytest.fixture
def elsewhere(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Proposal", "Dog")
    return scene


def choose(form: Page | Locator, scene: Scene, stage: str) -> None:
    """Open the pipeline in the form and choose one of its stages."""
    name = scene.stages[stage].pipeline.name
    stages = form.get_by_role("group", name=f"Stages of {name}")
    if not stages.is_visible():
        form.locator("summary", has_text=name).click()
    stages.get_by_role("radio", name=stage).check()


def answered(page: Page) -> int:
    with page.expect_response(
        lambda response: response.url.endswith("/pipeline") and response.request.method == "POST"
    ) as answer:
        page.get_by_role("dialog").get_by_role("button", name=re.compile("^Move")).click()
    return answer.value.status


def test_the_move_dialog_leads_to_the_other_pipelines(scene: Scene, elsewhere: Scene, page: Page) -> None:
    scene.open(page)
    page.get_by_role("link", name="Move Bee", exact=True).click()
    page.get_by_role("dialog").get_by_role("link", name="To another pipeline").click()
    dialog = page.get_by_role("dialog", name="Move “Bee” to another pipeline")
    choose(dialog, elsewhere, "Proposal")
    expect(dialog.get_by_role("button", name="Move to Proposal")).to_be_visible()
    dialog.get_by_label("Note").fill("They resell it.")
    assert answered(page) == 200
    expect(card(page, "Bee")).to_have_count(0)
    there = f"Proposal in {elsewhere.stages['Proposal'].pipeline.name}"
    expect(pages.announcement(page)).to_contain_text(f"Bee moved to {there}.")
    scene.expect_truth(page)
    elsewhere.open(page)
    assert cards_in(page, "Proposal") == ["Bee", "Dog"]
    elsewhere.expect_truth(page)
    assert elsewhere.notes("Bee") == ["Deal moved: Lead → Proposal"]


def test_the_open_deal_goes_from_its_menu_and_comes_back_by_undo(
    scene: Scene, elsewhere: Scene, page: Page
) -> None:
    scene.open(page)
    card(page, "Bee").get_by_role("link", name="Bee", exact=True).click()
    page.get_by_label("More for Bee").click()
    page.get_by_role("link", name="Move to another pipeline").click()
    choose(page.get_by_role("dialog"), elsewhere, "Lead")
    assert answered(page) == 200
    expect(card(page, "Bee")).to_have_count(0)
    expect(page.get_by_role("navigation", name="Where it stands")).to_contain_text(
        elsewhere.stages["Lead"].pipeline.name
    )
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(card(page, "Bee")).to_be_visible()
    scene.expect_truth(page)


def test_a_lost_answer_and_another_try_move_it_once(
    scene: Scene, elsewhere: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.get_by_role("link", name="Move Bee", exact=True).click()
    page.get_by_role("dialog").get_by_role("link", name="To another pipeline").click()
    choose(page.get_by_role("dialog"), elsewhere, "Lead")
    page.route("**/pipeline", lambda route: (route.fetch(), route.abort()), times=1)
    page.get_by_role("dialog").get_by_role("button", name="Move to Lead").click()
    expect(pages.refusal(page)).to_contain_text("Not saved: no answer.")
    with page.expect_response("**/pipeline") as again:
        pages.refusal(page).get_by_role("button", name="Try again").click()
    assert again.value.status == 200
    scene.expect_truth(page)
    assert elsewhere.notes("Bee") == ["Deal moved: Lead → Lead"]


def test_without_javascript_it_is_a_page_and_leads_to_the_other_board(
    scene: Scene, elsewhere: Scene, plain_page: Page
) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Bee", exact=True).click()
    plain_page.get_by_role("link", name="To another pipeline").click()
    choose(plain_page, elsewhere, "Proposal")
    plain_page.get_by_role("button", name=re.compile("^Move")).click()
    expect(plain_page).to_have_url(re.compile(f"/pipelines/{elsewhere.pipeline_id}#deal-"))
    assert cards_in(plain_page, "Proposal") == ["Bee", "Dog"]
