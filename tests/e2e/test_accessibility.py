"""One crawl with axe over everything that can be looked at: each page that there is, and what opens on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import select

from crmweb import invitations
from crmweb.extensions import db
from crmweb.models import Activity, Deal, RuleLook, Stage, User, WorkflowRule
from tests.e2e.scene import Scene, demo_person, make_scene
from tests.support import pages
from tests.support.accessibility import faults
from tests.support.console import Console
from tests.support.factories import make_person

NO_PAGES = {
    "assets": "style sheets, scripts, fonts",
    "board.changes": "parts of a board that is open",
    "entities.suggestions": "a part of a deal's form",
    "health.show": "a word for machines",
    "auth.setup": "there only while nobody has an account: test_first_run looks at it",
}
"""What answers a GET and is no page to look at, and why."""

SIGNED_OUT = ("auth.login", "auth.password")


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", owner=demo_person("admin"))
    scene.add("Closed Lost", "Dodo", lost_reason="Price")
    return scene


@pytest.fixture
def records(app: Flask) -> dict[str, Any]:
    """For each variable part of an address the record that is shown there."""
    stage = db.session.scalars(select(Stage).where(Stage.name == "Proposal").order_by(Stage.id)).first()
    assert stage
    deal = db.session.scalars(select(Deal).where(Deal.stage_id == stage.id).order_by(Deal.position)).first()
    note = db.session.scalars(
        select(Activity).where(Activity.kind.is_(None), Activity.type == "note")
    ).first()
    rule = db.session.scalars(select(WorkflowRule).order_by(WorkflowRule.order)).first()
    person = db.session.scalars(select(User).where(User.email == "rep@example.com")).one()
    assert deal
    assert note
    assert rule
    return {
        "activity_id": note.id,
        "change_set_id": db.session.scalars(select(RuleLook.change_set_id)).first(),
        "after": f"1.{deal.position}.{deal.id}",
        "deal_id": deal.id,
        "entity_id": deal.entity_id,
        "person_id": person.id,
        "pipeline_id": stage.pipeline_id,
        "rule_id": rule.id,
        "stage_id": stage.id,
        "token": invitations.invite(make_person("Newcomer").id),
    }


def addresses(app: Flask, records: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every page of the application: its endpoint and an address that shows something there."""
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if "GET" not in (rule.methods or ()) or rule.endpoint in NO_PAGES:
                continue
            unknown = rule.arguments - records.keys()
            assert not unknown, (
                f"Tell `records` what {rule} shows for {unknown}, or NO_PAGES why it is no page."
            )
            wanted = {name: records[name] for name in rule.arguments}
            if rule.endpoint == "board.more":
                wanted["after"] = records["after"]
            yield rule.endpoint, app.url_for(rule.endpoint, **wanted)


def test_a_fault_would_be_found_in_light_and_in_dark(page: Page) -> None:
    pages.sign_in_as(page)
    page.goto("/deals")
    page.get_by_role("heading", level=1).evaluate(
        """heading => {
            heading.style.color = "light-dark(#eee, #222)";
            heading.append(document.createElement("img"));
        }"""
    )
    found = [line.partition(":")[0] for line in faults(page, "deals")]
    assert found == ["deals (light) color-contrast", "deals (light) image-alt", "deals (dark) color-contrast"]


def test_no_page_has_a_fault(
    app: Flask, records: dict[str, Any], page: Page, new_context: Callable[..., BrowserContext]
) -> None:
    pages.sign_in_as(page, "admin")
    outside = new_context().new_page()
    found: list[str] = []
    for endpoint, address in addresses(app, records):
        shown = outside if endpoint in SIGNED_OUT else page
        answer = shown.goto(address)
        assert answer
        assert answer.status == 200, f"{endpoint} ({address}) answers {answer.status}"
        assert answer.headers["content-type"].startswith("text/html"), f"{endpoint} is no page"
        assert shown.get_by_role("heading", level=1).count() == 1, f"{endpoint} has no title of its own"
        found += faults(shown, endpoint)
    assert not found, "\n".join(found)


def test_nothing_that_opens_on_the_board_has_a_fault(scene: Scene, page: Page, console: Console) -> None:
    found: list[str] = []
    scene.open(page, "admin")
    for menu in ("Another pipeline", re.compile("^Account of")):
        page.get_by_label(menu).click()
        found += faults(page, f"the menu “{menu}”")
        page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    found += faults(page, "the keys")
    page.keyboard.press("Escape")
    pages.column(page, "Lead").get_by_role("link", name="Lead", exact=True).click()
    expect(page.get_by_role("dialog", name="Lead")).to_be_visible()
    found += faults(page, "a stage's details")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Move Ant", exact=True).click()
    page.get_by_role("radio", name="Closed Lost").check()
    found += faults(page, "the move dialog")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Ant", exact=True).click()
    page.get_by_text("Add a task").click()
    page.get_by_label("More for Ant").click()
    found += faults(page, "a deal beside the board")
    page.get_by_role("button", name="Delete this deal").click()
    found += faults(page, "the question whether to delete a deal")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("link", name="Close Ant").click()
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.route("**/stage", lambda route: route.abort())
    pages.drop_card(page, "Bee", "Proposal")
    expect(pages.refusal(page)).to_contain_text("Not saved")
    found += faults(page, "a refused drop")
    page.get_by_placeholder("Filter by name").fill("zebra")
    expect(page.get_by_text("No deals match these filters.")).to_be_visible()
    found += faults(page, "a board without a match")
    make_scene().open(page, "admin")
    found += faults(page, "an empty board")
    assert not found, "\n".join(found)


def test_nothing_that_opens_on_a_phone_has_a_fault(scene: Scene, phone: Page) -> None:
    found: list[str] = []
    scene.open(phone, "admin")
    found += faults(phone, "a board on a phone")
    phone.get_by_role("button", name="Filter", exact=True).tap()
    found += faults(phone, "its filters")
    phone.keyboard.press("Escape")
    phone.get_by_role("navigation", name="Main, phone").get_by_text("More").tap()
    found += faults(phone, "its menu")
    phone.keyboard.press("Escape")
    phone.get_by_role("link", name="Move Ant", exact=True).tap()
    expect(phone.get_by_role("dialog")).to_be_visible()
    found += faults(phone, "its move sheet")
    phone.get_by_role("link", name="To another pipeline").tap()
    expect(phone.get_by_role("dialog", name="Move “Ant” to another pipeline")).to_be_visible()
    found += faults(phone, "its way to another pipeline")
    phone.keyboard.press("Escape")
    with pages.held_card(phone, "Bee") as finger:
        found += faults(phone, "the stages above a thumb")
        finger.over(phone.get_by_role("heading", level=1))
        finger.let_go()
    phone.get_by_role("link", name="Ant", exact=True).tap()
    expect(phone.get_by_role("heading", name="Ant")).to_be_visible()
    found += faults(phone, "its deal")
    assert not found, "\n".join(found)


def test_no_refused_form_has_a_fault(page: Page, console: Console) -> None:
    found: list[str] = []
    pages.sign_in_as(page, "admin")
    console.expect("404")
    page.goto("/no-such-page")
    found += faults(page, "a page that is not there")
    console.expect("422")
    for address, words in (
        ("/deals/new", "Add deal"),
        ("/people/new", "Add"),
        ("/account/password", "Change password"),
    ):
        page.goto(address)
        page.locator("main form").evaluate_all("forms => forms.forEach(form => form.noValidate = true)")
        page.get_by_role("main").get_by_role("button", name=words).click()
        expect(page.locator("main [aria-invalid=true]").first).to_be_visible()
        found += faults(page, f"{address}, refused")
    assert not found, "\n".join(found)
