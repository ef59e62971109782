"""The whole main job in a browser without JavaScript: forms, links and pages do what the scripts make quicker."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import pages
from tests.support.console import Console
from tests.support.pages import card, cards_in, column


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant farm", "Bee hive")
    scene.add("Proposal", "Ant hill", owner=demo_person("manager"))
    return scene


def test_signing_in_leads_to_what_was_asked_for_and_signing_out_ends_it(
    scene: Scene, plain_page: Page
) -> None:
    plain_page.goto(f"/pipelines/{scene.pipeline_id}")
    expect(plain_page).to_have_url(re.compile("/login"))
    plain_page.get_by_label("E-mail").fill("manager@example.com")
    plain_page.get_by_label("Password").fill(pages.DEMO_PASSWORD)
    plain_page.get_by_role("button", name="Sign in").click()
    expect(column(plain_page, "Lead")).to_be_visible()
    scene.expect_truth(plain_page)
    plain_page.get_by_label(re.compile("^Account of")).click()
    plain_page.get_by_role("button", name="Sign out").click()
    plain_page.goto(f"/pipelines/{scene.pipeline_id}")
    expect(plain_page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_deal_is_moved_by_the_move_page(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Bee hive", exact=True).click()
    expect(plain_page.get_by_role("heading", name="Move “Bee hive”", level=1)).to_be_visible()
    plain_page.get_by_label("at the bottom").check()
    pages.fill_in_move(plain_page, "Proposal", note="On paper.")
    expect(plain_page).to_have_url(
        re.compile(f"/pipelines/{scene.pipeline_id}#deal-{scene.deal('Bee hive').id}")
    )
    assert cards_in(plain_page, "Proposal") == ["Ant hill", "Bee hive"]
    scene.expect_truth(plain_page)
    plain_page.get_by_role("link", name="Bee hive", exact=True).click()
    newest = pages.timeline(plain_page).first
    expect(newest).to_contain_text("Deal moved: Lead → Proposal")
    expect(newest).to_contain_text("“On paper.”")


def test_a_refused_move_is_the_form_with_the_reason(scene: Scene, plain_page: Page, console: Console) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Bee hive", exact=True).click()
    move_behind(scene.deal("Bee hive"), scene.stages["Negotiation"], demo_person("admin"))
    console.expect("409")
    pages.fill_in_move(plain_page, "Proposal", note="Too late")
    expect(plain_page.get_by_role("form").get_by_role("alert")).to_contain_text(
        f"{demo_person('admin').name} moved this deal to Negotiation"
    )
    expect(plain_page.get_by_label("Note")).to_have_value("Too late")
    assert scene.stored("Negotiation") == ["Bee hive"]
    pages.fill_in_move(plain_page, "Proposal")
    scene.expect_truth(plain_page)
    assert scene.stored("Proposal") == ["Bee hive", "Ant hill"]


def test_a_filtered_board_is_an_address_and_a_move_comes_back_to_it(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_placeholder("Filter by name").fill("ant")
    plain_page.get_by_placeholder("Filter by name").press("Enter")
    expect(plain_page).to_have_url(re.compile(r"\?q=ant"))
    assert (cards_in(plain_page, "Lead"), cards_in(plain_page, "Proposal")) == (["Ant farm"], ["Ant hill"])
    plain_page.get_by_role("link", name=re.compile("^My deals")).click()
    assert (cards_in(plain_page, "Lead"), cards_in(plain_page, "Proposal")) == ([], ["Ant hill"])
    plain_page.get_by_role("link", name="Clear", exact=True).click()
    scene.expect_truth(plain_page)


def test_more_cards_are_a_page_of_their_own(scene: Scene, plain_page: Page) -> None:
    scene.add("Qualified", *(f"Fish {number:02}" for number in range(1, 31)))
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Show 5 more").click()
    expect(plain_page.get_by_role("heading", name="Qualified", level=1)).to_be_visible()
    expect(card(plain_page, "Fish 26")).to_be_visible()
    expect(card(plain_page, "Fish 30")).to_be_visible()


def test_a_new_deal_with_a_new_company_appears_on_its_board(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="New deal in Qualified").click()
    form = plain_page.get_by_role("form", name="Add deal")
    form.get_by_label("Name", exact=True).fill("Cat flap")
    form.get_by_label("Company or person").fill("Whiskers & Sons")
    form.get_by_label("Amount").fill("12,500")
    form.get_by_label("Currency").select_option("USD")
    form.get_by_role("button", name="Add deal").click()
    expect(plain_page).to_have_url(re.compile(f"/pipelines/{scene.pipeline_id}.*#deal-"))
    assert cards_in(plain_page, "Qualified") == ["Cat flap"]
    expect(card(plain_page, "Cat flap")).to_contain_text("Whiskers & Sons")
    scene.expect_truth(plain_page)


def test_a_note_is_added_on_the_deals_page(scene: Scene, plain_page: Page) -> None:
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Bee hive", exact=True).click()
    plain_page.get_by_label("Note", exact=True).fill("They called back.")
    plain_page.get_by_role("button", name="Add note").click()
    newest = pages.timeline(plain_page).first
    expect(newest).to_contain_text("They called back.")
    expect(newest).to_contain_text(demo_person("manager").name)
