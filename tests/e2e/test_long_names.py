"""Names as long as people make them: what tells of them stays within its edges, on the narrowest phone too."""

from __future__ import annotations

from uuid import uuid4

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from crmweb.extensions import db
from crmweb.models import Deal, RuleRun, WorkflowRule
from tests.e2e.scene import Scene, demo_person, move_behind
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import make_deal, make_pipeline, make_rule
from tests.support.gates import gate
from tests.support.pages import card

LONG = "Donaudampfschifffahrtsgesellschaftskapitänswahl"
REASON = "Datenschutzgrundverordnungsauftragsverarbeitungsvereinbarung"


@pytest.fixture
def scene(app: Flask) -> Scene:
    """Twelve stages, one of them with a name of one long word, and a deal in it."""
    steps = [(LONG if order == 2 else f"Step {order}", order * 8, "open") for order in range(1, 11)]
    ends = [("Won", 100, "closed_won"), ("Lost", 0, "closed_lost")]
    stages = make_pipeline(f"Long names {uuid4().hex[:8]}", [*steps, *ends])
    gate(stages["Lost"].pipeline, asks_lost_reason=True, lost_reasons=[REASON, "Price"])
    make_deal(stages[LONG], "Ant")
    return Scene(stages[LONG].pipeline_id, stages)


def juts_out(place: Locator) -> list[str]:
    """What lies in `place` and reaches over one of its sides."""
    return place.evaluate("""place => {
        const { left, right } = place.getBoundingClientRect();
        const outside = ({ left: l, right: r }) => r - l > 1 && (l < left - 1 || r > right + 1);
        return [...place.querySelectorAll("*")].filter((part) => outside(part.getBoundingClientRect()))
            .map((part) => `${part.tagName} ${part.className} ${part.textContent.trim()}`);
    }""")


def test_every_dialog_holds_long_names(scene: Scene, phone: Page, console: Console) -> None:
    phone.set_viewport_size({"width": 320, "height": 700})
    scene.open(phone)
    dialog = phone.get_by_role("dialog")
    phone.get_by_role("link", name=LONG, exact=True).last.click()
    expect(dialog.get_by_role("heading", name=LONG)).to_be_visible()
    assert juts_out(dialog) == []
    dialog.get_by_role("link", name="Close").click()
    phone.get_by_role("link", name="Move Ant").click()
    dialog.get_by_role("radio", name=LONG).check()
    assert juts_out(dialog) == []
    console.expect("422")
    pages.answered(phone, lambda: pages.fill_in_move(phone, "Lost"))
    expect(dialog).to_have_accessible_name("Why was this deal lost?")
    assert juts_out(dialog) == []


def test_a_bar_of_many_stages_names_the_present_one_alone(scene: Scene, phone: Page) -> None:
    scene.open(phone)
    card(phone, "Ant").get_by_role("link", name="Ant", exact=True).click()
    bar = phone.get_by_role("list", name="Stages")
    expect(bar.get_by_role("listitem")).to_have_count(11)
    assert juts_out(bar) == []
    box, name = bar.bounding_box(), bar.get_by_text(LONG).bounding_box()
    assert box is not None
    assert name is not None
    assert box["height"] < 100
    assert name["width"] > 100
    # The others keep their names for those who listen.
    expect(bar.get_by_role("listitem").nth(4)).to_have_text("Step 5 – ahead", use_inner_text=False)


def test_a_lanes_head_keeps_its_edge(scene: Scene, page: Page) -> None:
    scene.open(page)
    heads = page.locator(".lane-head")
    edges = heads.evaluate_all("""heads => heads.slice(0, 10).map((head) => {
        const add = head.querySelector("a[aria-label]").getBoundingClientRect();
        return [add.width, Math.round(head.getBoundingClientRect().right - add.right)];
    })""")
    assert len({tuple(edge) for edge in edges}) == 1


@pytest.fixture
def rule(scene: Scene) -> WorkflowRule:
    """A rule that names all at length, and has acted on a deal with such a name."""
    stage, word = str(scene.stages[LONG].id), (LONG * 5)[:196]
    rule = make_rule(
        word, trigger_event="update",
        conditions=[
            {"field": "stage", "operator": "changed_to", "value": stage},
            {"match": "any", "conditions": [
                {"field": f"custom_fields.{LONG}", "operator": "equals", "value": word},
                {"field": "stage", "operator": "one_of", "value": [stage]},
            ]},
        ],
        actions=[
            {"type": "create_activity", "config": {"type": "task", "subject": word, "description": word}},
            {"type": "update_field", "config": {"field_name": f"custom_fields.{LONG}", "value": word}},
        ],
    )  # fmt: skip
    deal = make_deal(scene.stages["Step 1"], word, custom_fields={LONG: word})
    move_behind(deal, scene.stages[LONG], demo_person("manager"))
    return rule


@pytest.mark.parametrize("width", [320, 800, 1440])
def test_no_page_about_rules_is_wider_than_the_screen(rule: WorkflowRule, page: Page, width: int) -> None:
    pages.sign_in_as(page, "manager")
    page.set_viewport_size({"width": width, "height": 800})
    acted = select(RuleRun.change_set_id).where(RuleRun.rule_id == rule.id)
    why = f"/changes/{db.session.scalars(acted).first()}/why"
    wide = {}
    for address in ("/rules", f"/rules/{rule.id}", "/rules/new", "/rules/log", "/rules/recipes", why):
        page.goto(address)
        wide[address] = juts_out(page.locator("main"))
    page.goto(f"/rules/{rule.id}")
    page.get_by_role("button", name="Try it", exact=True).click()
    expect(page.get_by_text("What would happen")).to_be_visible()
    wide["tried"] = juts_out(page.locator("main"))
    assert not any(wide.values()), wide


@pytest.mark.parametrize("width", [320, 800, 1440])
def test_a_test_on_the_past_is_read_at_a_glance(rule: WorkflowRule, page: Page, width: int) -> None:
    pages.sign_in_as(page, "manager")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/rules/{rule.id}")
    page.get_by_role("button", name="Test on 90 days").click()
    for span, most in (("30 days", 6), ("90 days", 14), ("1 year", 13)):
        page.get_by_role("button", name=span).click()
        expect(page.get_by_role("button", name=span)).to_have_attribute("aria-pressed", "true")
        bars = page.get_by_role("list", name="Times per").get_by_role("listitem")
        assert most - 1 <= bars.count() <= most
        newest = bars.first.get_by_text("1", exact=True)
        box = newest.bounding_box()
        assert box is not None
        assert box["height"] > 12
        assert juts_out(page.locator("main")) == []


@pytest.mark.parametrize("width", [320, 1440])
def test_no_page_about_a_deal_is_wider_than_the_screen(rule: WorkflowRule, page: Page, width: int) -> None:
    deal = db.session.scalars(select(Deal).order_by(Deal.id.desc())).first()
    assert deal is not None
    pages.sign_in_as(page, "manager")
    page.set_viewport_size({"width": width, "height": 800})
    board = f"/pipelines/{deal.stage.pipeline_id}?deal={deal.id}"
    wide = {}
    for address in (
        f"/deals/{deal.id}", f"/deals/{deal.id}/edit", f"/entities/{deal.entity_id}", "/deals", "/entities", "/tasks",
        "/notifications", board,
    ):  # fmt: skip
        page.goto(address)
        wide[address] = page.evaluate("document.documentElement.scrollWidth")
    assert not {address for address, reach in wide.items() if reach > width}, wide
