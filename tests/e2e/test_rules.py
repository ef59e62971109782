"""A rule from its form to the board: a manager writes it, a card is dragged, and all can see what the rule did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.factories import make_pipeline, make_rule
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", owner=demo_person("rep"))
    return scene


def when_in(scene: Scene, stage: str) -> list[dict[str, str]]:
    return [{"field": "stage", "operator": "changed_to", "value": str(scene.stages[stage].id)}]


def open_deal(page: Page, deal: str) -> None:
    card(page, deal).get_by_role("link", name=deal, exact=True).click()
    expect(page.get_by_role("heading", name=deal)).to_be_visible()


def test_a_manager_writes_a_rule_and_a_drag_sets_it_off(
    scene: Scene, page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    pages.sign_in_as(page, "manager")
    page.goto("/rules")
    page.get_by_role("link", name="New rule").click()
    form, name = page.get_by_role("form", name="Rule"), f"Call after {scene.pipeline_id}"
    form.get_by_role("textbox", name="Name").fill(name)
    condition = form.get_by_role("group", name="Condition 1")
    condition.get_by_label("Value").select_option(str(scene.stages["Proposal"].id))
    form.get_by_label("What to do").fill("Call about {deal.name}")
    form.get_by_label("Due in days").fill("2")
    form.get_by_role("button", name="Action", exact=True).click()
    second = form.get_by_role("group", name="Action 2")
    second.get_by_label("Action", exact=True).select_option("send_notification")
    second.get_by_label("Whom").select_option("owner")
    second.get_by_label("What to say").fill("{deal.name} has a proposal")
    form.get_by_role("button", name="Save and switch on").click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    expect(page.locator("#rule-sentence")).to_contain_text(
        "When a deal is updated and the stage changed to Proposal"
    )

    rep = scene.open(new_context().new_page(), "rep")
    before = unread(rep)
    open_deal(rep, "Bee")
    pages.drag_card(rep, "Bee", "Proposal")
    expect(pages.announcement(rep)).to_contain_text("1 rule acted.")
    told = pages.timeline(rep)
    expect(told.filter(has_text=f"{name} added a task: Call about Bee")).to_contain_text("After Priya Raman")
    expect(told.filter(has_text=f"{name} notified Priya Raman: “Bee has a proposal”")).to_be_visible()
    expect(told.filter(has_text="Deal moved: Lead → Proposal")).to_have_count(1)
    scene.expect_truth(rep)

    rep.reload()
    assert unread(rep) == before + 1
    rep.get_by_role("link", name="Inbox").first.click()
    news = rep.get_by_role("listitem").filter(has_text="Bee has a proposal")
    expect(news).to_contain_text("Unread")
    news.get_by_role("button", name="Mark read").click()
    expect(news).not_to_contain_text("Unread")
    rep.reload()
    assert unread(rep) == before

    page.reload()
    expect(page.get_by_role("link", name="Bee")).to_be_visible()


def test_a_rule_that_moves_the_deal_on_changes_all_three_columns_at_once(scene: Scene, page: Page) -> None:
    make_rule(
        "Straight on", trigger_event="update", conditions=when_in(scene, "Qualified"),
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(scene.stages["Negotiation"].id)}}],
    )  # fmt: skip
    scene.open(page)
    pages.drag_card(page, "Bee", "Qualified")
    assert cards_in(page, "Negotiation") == ["Bee"]
    expect(pages.announcement(page)).to_contain_text("Bee moved to Negotiation, position 1 of 1.")
    scene.expect_truth(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Qualified", "Deal moved: Qualified → Negotiation"]


def test_a_rule_that_fails_costs_nobody_a_move_and_says_so(scene: Scene, page: Page) -> None:
    elsewhere = make_pipeline(f"Elsewhere {scene.pipeline_id}")["Lead"]
    make_rule(
        "Wrong way", trigger_event="update", conditions=when_in(scene, "Proposal"),
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(elsewhere.id)}}],
    )  # fmt: skip
    scene.open(page)
    pages.drag_card(page, "Bee", "Proposal")
    expect(page.get_by_text("Moved.")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("Wrong way")
    expect(pages.refusal(page)).to_be_empty()
    scene.expect_truth(page)
    assert scene.stored("Proposal") == ["Bee"]


def unread(page: Page) -> int:
    """How many unread notices the bell counts."""
    words = page.get_by_role("banner").get_by_role("link", name="Inbox").get_attribute("aria-label") or ""
    count = words.removeprefix("Inbox, ").removesuffix(" unread")
    return 0 if count == "nothing" else int(count)
