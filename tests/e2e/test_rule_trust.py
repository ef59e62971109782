"""A sales manager who has never seen the rules writes one, tries it, tests it, switches it on and sees it act."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import User, WorkflowRule
from crmweb.workflow import ordering
from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support.accessibility import faults
from tests.support.pages import drag_card, sign_in_as

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def scene() -> Scene:
    """A board on which a big deal and a small one came to Negotiation before."""
    scene = make_scene()
    rep = demo_person("rep")
    for name, amount in (("Past big", 50_000), ("Past small", 5)):
        (deal,) = scene.add("Lead", name, owner=rep, amount=amount)
        move_behind(deal, scene.stages["Negotiation"], rep)
    scene.add("Proposal", "Fleet renewal", owner=rep, amount=40_000)
    return scene


def write_the_rule(page: Page, scene: Scene, me: User) -> None:
    page.get_by_label("Name", exact=True).fill("Big deals in negotiation")
    page.get_by_label("What happens to it").select_option(label="moves to another stage")
    stage = scene.stages["Negotiation"]
    page.get_by_label("To which stage").select_option(value=str(stage.id))
    page.get_by_role("button", name="Condition", exact=True).click()
    condition = page.get_by_role("group", name="Condition 1")
    condition.get_by_label("Field", exact=True).select_option(label="Amount")
    condition.get_by_label("Comparison").select_option(label="is more than")
    condition.get_by_label("Value").fill("10,000")
    page.get_by_label("What to do").fill("Prepare the contract")
    page.get_by_label("Due in days").fill("2")
    page.get_by_role("button", name="Action", exact=True).click()
    page.get_by_role("group", name="Action 2").get_by_label("Action", exact=True).select_option(
        label="Notify"
    )
    page.get_by_label("Whom").select_option(label=me.name)
    expect(page.locator("#rule-sentence")).to_have_text(
        re.compile(
            "When a deal moves to .*Negotiation.* the amount is more than.*, add a task Prepare the contract "
            f"for the owner, due in 2 days and notify {me.name}"
        )
    )


def test_from_a_blank_form_to_a_rule_that_is_tried_tested_on_and_seen_to_act(
    page: Page, scene: Scene
) -> None:
    me = demo_person("manager")
    sign_in_as(page, "manager")
    page.goto("/rules/new")
    write_the_rule(page, scene, me)

    aside = page.get_by_role("region", name="Try it")
    aside.get_by_label("Find a deal").fill("Fleet renewal")
    expect(aside.get_by_label("Try it on").locator("option:checked")).to_have_text("Fleet renewal")
    aside.get_by_role("button", name="Try it", exact=True).click()
    expect(aside).to_contain_text("It would act")
    expect(aside).to_contain_text("Add a task: Prepare the contract")
    assert not faults(page, "a rule's trial")
    db.session.rollback()
    assert not [rule for rule in db.session.query(WorkflowRule) if rule.name == "Big deals in negotiation"]

    aside.get_by_role("button", name="Test on 90 days").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Would have acted once")
    expect(page.get_by_role("link", name="Past big")).to_be_visible()
    expect(page.get_by_role("link", name="Past small")).to_have_count(0)
    assert not faults(page, "a rule's test")
    page.get_by_role("button", name="Save and switch on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Big deals in negotiation")

    scene.open(page)
    drag_card(page, "Fleet renewal", "Negotiation")
    scene.expect_truth(page)
    page.get_by_role("link", name="Fleet renewal", exact=True).click()
    timeline = page.get_by_role("list", name="Timeline")
    made = timeline.get_by_role("listitem").filter(has_text="Prepare the contract")
    expect(made).to_contain_text("Big deals in negotiation")
    made.get_by_text("Why?").click()
    expect(made).to_contain_text("The amount is more than")
    expect(made).to_contain_text("was")
    assert not faults(page, "why a rule acted")
    switch_off("Big deals in negotiation")


def switch_off(name: str) -> None:
    """The run's server is shared: later tests are not to meet this rule."""
    rule = next(one for one in db.session.query(WorkflowRule) if one.name == name)
    rule_id = rule.id
    changes.commit(lambda session: ordering.archive(ordering.locked(session, rule_id)))
