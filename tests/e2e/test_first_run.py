"""The first quarter of an hour without the demo: from the console's code to the first deal that was dragged."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.support import pages
from tests.support.accessibility import faults
from tests.support.console import Console
from tests.support.pages import cards_in, count_of
from tests.support.starting import Start, said_until


def test_an_empty_install_becomes_a_board_with_a_dragged_deal(
    start: Start, port: int, new_context: Callable[..., BrowserContext], console: Console
) -> None:
    code = said_until(start(), "Nobody has an account").rsplit(maxsplit=1)[-1]
    page, site = new_context().new_page(), f"http://127.0.0.1:{port}"
    page.goto(site)
    expect(page.get_by_role("heading", name="Set up Crmweb")).to_be_visible()
    found = faults(page, "the set-up page")

    console.expect("422")
    become_admin(page, "WRNG-WRNG-WRNG-WRNG")
    expect(page.get_by_label("code")).to_have_attribute("aria-invalid", "true")
    found += faults(page, "the set-up page, refused")
    become_admin(page, code)
    expect(page.get_by_role("link", name="Board")).to_be_visible()

    page.get_by_role("link", name="Make the first one").click()
    page.get_by_label("Name", exact=True).fill("Sales")
    page.get_by_role("button", name="Add pipeline").click()
    expect(page.get_by_role("heading", name="Sales", level=1)).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Board").click()
    expect(page.get_by_role("heading", name="Put your first deal on the board")).to_be_visible()
    found += faults(page, "the first, empty board")

    page.get_by_role("link", name=re.compile("^Add a deal")).click()
    form = page.get_by_role("form", name="Add deal")
    form.get_by_label("Name", exact=True).fill("Night couriers")
    form.get_by_label("Company or person").fill("Northwind Traders")
    form.get_by_label("Amount").fill("50,000")
    form.get_by_role("button", name="Add deal").click()
    expect(page).to_have_url(re.compile("#deal-"))
    assert cards_in(page, "Lead") == ["Night couriers"]
    expect(page.get_by_role("heading", name="Put your first deal on the board")).to_be_hidden()

    assert pages.drag_card(page, "Night couriers", "Qualified").status == 200
    assert (cards_in(page, "Qualified"), count_of(page, "Lead")) == (["Night couriers"], 0)
    page.get_by_role("link", name="Night couriers", exact=True).click()
    newest = pages.timeline(page).first
    expect(newest).to_contain_text("Deal moved: Lead → Qualified")
    expect(newest).to_contain_text("Ann Berg")

    console.expect("404")
    answer = page.goto(f"{site}/setup")
    assert answer
    assert answer.status == 404, "it works once"
    assert not found, "\n".join(found)


def become_admin(page: Page, code: str) -> None:
    page.get_by_label("code").fill(code)
    page.get_by_label("Your name").fill("Ann Berg")
    page.get_by_label("E-mail").fill("ann@example.org")
    page.get_by_label("Password").fill("quick brown fox")
    page.get_by_role("button", name="Make me the admin").click()
