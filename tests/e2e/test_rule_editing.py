"""Rules by hand: their order by dragging, and texts into which fields of the record are put."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Locator, Page, expect
from sqlalchemy import func, select

from crmweb.extensions import db
from crmweb.models import WorkflowRule
from tests.e2e.scene import make_scene
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import make_rule

NAMES = ["First", "Second", "Third"]


@pytest.fixture
def named(app: Flask) -> list[str]:
    """Three rules of activities, in this order, with names of this test's own."""
    token = make_scene().pipeline_id.hex[-6:]
    names = [f"{name} {token}" for name in NAMES]
    last = db.session.scalar(select(func.max(WorkflowRule.order)).where(WorkflowRule.entity_type == "Entity"))
    for order, name in enumerate(names, (last or 0) + 1):
        make_rule(name, entity_type="Entity", order=order, is_active=False)
    return names


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=name))


def shown(page: Page, named: list[str]) -> list[str]:
    links = page.get_by_role("list", name="Rules in their order").get_by_role("link").all_inner_texts()
    return [name for name in links if name in named]


def stored(named: list[str]) -> list[str]:
    db.session.rollback()
    query = select(WorkflowRule.name).where(WorkflowRule.name.in_(named)).order_by(WorkflowRule.order)
    return list(db.session.scalars(query))


def lift(page: Page, name: str, *, over: str, steps: int = 8) -> None:
    """Take a rule by its grip and bring it to the upper edge of another one."""
    row(page, over).evaluate("row => row.scrollIntoView({block: 'center'})")
    start, end = pages.middle(row(page, name).locator(".grip")), pages.middle(row(page, over), top=True)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=steps)


def drag(page: Page, name: str, above: str, *, steps: int = 8) -> None:
    lift(page, name, over=above, steps=steps)
    page.mouse.up()


@pytest.mark.parametrize("steps", [2, 8, 40], ids=["quick", "steady", "slow"])
def test_a_rule_is_dragged_to_its_place(named: list[str], page: Page, steps: int) -> None:
    first, second, third = named
    pages.sign_in_as(page, "manager")
    page.goto("/rules?of=Entity")
    with page.expect_response(re.compile("/place$")):
        drag(page, third, first, steps=steps)
    expect(pages.announcement(page)).to_contain_text(re.compile(f"{third} is number \\d+ now"))
    assert shown(page, named) == stored(named) == [third, first, second]
    with page.expect_response(re.compile("/place$")):
        drag(page, first, third, steps=steps)
    expect(pages.announcement(page)).to_contain_text(first)
    assert shown(page, named) == stored(named) == [first, third, second]


def test_a_rule_that_is_let_go_beside_the_list_stays_where_it_is_seen(named: list[str], page: Page) -> None:
    first, second, third = named
    pages.sign_in_as(page, "manager")
    page.goto("/rules?of=Entity")
    lift(page, third, over=first, steps=40)
    page.mouse.move(700, 20, steps=3)
    with page.expect_response(re.compile("/place$")):
        page.mouse.up()
    expect(pages.announcement(page)).to_contain_text(third)
    assert shown(page, named) == stored(named) == [third, first, second]


def test_escape_gives_a_drag_up(named: list[str], page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    first, _, third = named
    pages.sign_in_as(page, "manager")
    page.goto("/rules?of=Entity")
    lift(page, third, over=first)
    expect(page.locator(".ghost")).to_have_count(1)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(pages.announcement(page)).to_have_text("Move cancelled")
    assert shown(page, named) == stored(named) == named
    assert not [url for url in asked if url.endswith("/place")]


def test_a_rule_whose_drop_gets_no_answer_goes_back(named: list[str], page: Page, console: Console) -> None:
    first, _, third = named
    pages.sign_in_as(page, "manager")
    page.goto("/rules?of=Entity")
    for part in ("ERR_FAILED", "Failed to fetch"):
        console.expect(part)
    page.route("**/place", lambda route: route.abort())
    drag(page, third, first)
    expect(page.locator("#say")).to_have_text("Not moved. Try again.")
    assert shown(page, named) == stored(named) == named


def test_a_rule_is_moved_by_a_finger(
    named: list[str], phone: Page, new_context: Callable[..., BrowserContext]
) -> None:
    first, second, third = named
    pages.sign_in_as(phone, "manager")
    phone.goto("/rules?of=Entity")
    row(phone, second).scroll_into_view_if_needed()
    grip, above = row(phone, second).locator(".grip"), row(phone, first)
    with phone.expect_response(re.compile("/place$")):
        pages.touch_drag(phone, grip, above)
    expect(pages.announcement(phone)).to_contain_text(second)
    assert stored(named) == [second, first, third]


def test_the_keyboard_orders_rules_too(named: list[str], page: Page) -> None:
    first, second, third = named
    pages.sign_in_as(page, "manager")
    page.goto("/rules?of=Entity")
    up = page.get_by_role("button", name=f"Move {second} up")
    up.focus()
    page.keyboard.press("Enter")
    expect(pages.announcement(page)).to_contain_text(f"{second} is number")
    assert stored(named) == [second, first, third]
    expect(up).to_be_focused()
    expect(up).to_have_css("opacity", "1")


def test_a_field_goes_where_the_cursor_is_and_the_text_shows_how_it_reads(
    named: list[str], page: Page
) -> None:
    pages.sign_in_as(page, "manager")
    page.goto("/rules/new")
    form = page.get_by_role("form", name="Rule")
    text = form.get_by_role("textbox", name="What to do")
    text.fill("Call  today")
    for _ in " today":
        text.press("ArrowLeft")
    form.get_by_label("Insert a field").first.select_option(label="Name")
    expect(text).to_have_value("Call {deal.name} today")
    expect(text).to_be_focused()
    on = page.get_by_label("Try it on").locator("option:checked").inner_text()
    expect(form.get_by_text(f"Reads: Call {on} today")).to_be_visible()
    expect(page.locator("#rule-sentence")).to_contain_text("Call ‹name› today")
    page.keyboard.type("! ")
    expect(form.get_by_text(f"Reads: Call {on}! today")).to_be_visible()
    text.fill("Call")
    expect(form.get_by_text("Reads:")).to_have_count(0)


def test_a_field_ends_a_text_that_nobody_put_the_cursor_in(named: list[str], page: Page) -> None:
    pages.sign_in_as(page, "manager")
    page.goto("/rules/new?recipe=big")
    form = page.get_by_role("form", name="Rule")
    form.get_by_label("Insert a field").select_option(label="Stage")
    expect(form.get_by_role("textbox", name="What to say")).to_have_value(
        re.compile(r"\{deal\.currency\} \{deal\.stage\}$")
    )


def test_the_cursor_stays_where_one_works_when_rows_come_and_go(named: list[str], page: Page) -> None:
    pages.sign_in_as(page, "manager")
    page.goto("/rules/new")
    form = page.get_by_role("form", name="Rule")
    steps = [
        (
            form.get_by_role("button", name="Add a group of conditions"),
            form.get_by_label("Field", exact=True).nth(1),
        ),
        (
            form.get_by_role("button", name="Add a condition to the group"),
            form.get_by_label("Field", exact=True).nth(2),
        ),
        (
            form.get_by_role("group", name="Group 1").get_by_role("button", name="Remove condition 2"),
            form.get_by_role("button", name="Add a condition to the group"),
        ),
        (
            form.get_by_role("button", name="Remove group 1"),
            form.get_by_role("button", name="Add a group of conditions"),
        ),
        (
            form.get_by_role("button", name="Remove condition 1"),
            form.get_by_role("button", name="Condition", exact=True),
        ),
        (
            form.get_by_role("button", name="Remove action 1"),
            form.get_by_role("button", name="Action", exact=True),
        ),
    ]
    for button, focused in steps:
        button.focus()
        page.keyboard.press("Enter")
        expect(focused).to_be_focused()


def test_the_way_back_from_a_test_leads_to_the_form_as_it_was_left(named: list[str], page: Page) -> None:
    pages.sign_in_as(page, "manager")
    page.goto("/rules/new")
    page.get_by_label("Name", exact=True).fill("Half a rule")
    page.get_by_role("button", name="Condition", exact=True).click()
    second = page.get_by_role("group", name="Condition 2")
    second.get_by_label("Field", exact=True).select_option(label="Amount")
    second.get_by_label("Comparison").select_option(label="is more than")
    second.get_by_label("Value").fill("70,000")
    page.get_by_role("group", name="Condition 1").get_by_label("Value").select_option(index=1)
    page.get_by_label("What to do").fill("Call {deal.name}")
    page.get_by_role("button", name="Test on 90 days").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Would have acted")
    page.go_back()
    expect(second.get_by_label("Value")).to_have_value("70,000")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Half a rule")
    expect(page.get_by_label("What to do")).to_have_value("Call {deal.name}")
    expect(page.locator("#rule-sentence")).to_contain_text("the amount is more than 70,000")
    page.goto("/rules/new")
    expect(page.get_by_label("Name", exact=True)).to_have_value("")
