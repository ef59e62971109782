"""A drop that is not made: the card goes back, the columns tell the truth, and a sentence says why."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Page, Response, expect

from crmweb import changes
from crmweb.models import Deal
from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import save
from tests.support.pages import card, cards_in


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", "Cat")
    scene.add("Proposal", "Dog", "Eel")
    return scene


def settled(page: Page) -> None:
    expect(page.locator("[aria-busy=true]")).to_have_count(0)


def refused(
    page: Page, console: Console, status: int, deal: str = "Bee", stage: str = "Proposal"
) -> Response:
    """Drag a card and expect this status; the browser's own console line about it is expected too."""
    console.expect(str(status))
    answer = pages.drag_card(page, deal, stage)
    assert answer.status == status
    return answer


def test_a_deal_that_somebody_moved_meanwhile_is_shown_where_it_is(
    scene: Scene, page: Page, console: Console
) -> None:
    bee, *_ = scene.add("Lead", "Gnu")
    scene.open(page)
    pages.pause_live(page)
    move_behind(bee, scene.stages["Closed Won"], demo_person("admin"))
    refused(page, console, 409, "Gnu")
    expect(pages.refusal(page).first).to_contain_text("Ann Björklund moved this deal to Closed Won")
    expect(pages.refusal(page).first).to_contain_text("Your move was not made.")
    assert cards_in(page, "Closed Won") == ["Gnu"]
    assert scene.is_true(page)
    expect(pages.announcement(page)).to_be_empty()


def test_a_deal_that_is_no_longer_mine_goes_back(scene: Scene, page: Page, console: Console) -> None:
    deal, *_ = scene.add("Lead", "Hen", owner=demo_person("rep"))
    scene.open(page, "rep")
    pages.pause_live(page)
    owner, deal_id = demo_person("admin").id, deal.id

    def hand_over(session: object) -> None:
        Deal.locked(session, deal_id).assigned_to_id = owner  # type: ignore[arg-type]

    changes.commit(hand_over)
    refused(page, console, 403, "Hen")
    expect(pages.refusal(page).first).to_contain_text("Only the owner or a manager can move this deal.")
    assert cards_in(page, "Lead") == ["Hen", "Ant", "Bee", "Cat"]
    assert page.get_by_role("link", name="Move Hen", exact=True).count() == 0
    assert scene.is_true(page)


def test_a_pipeline_that_was_closed_meanwhile_takes_no_deals(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    pages.pause_live(page)
    pipeline = scene.stages["Lead"].pipeline
    pipeline.is_active = False
    save(pipeline)
    refused(page, console, 422)
    expect(pages.refusal(page).first).not_to_be_empty()
    assert scene.is_true(page)


def test_a_server_that_breaks_costs_nothing_and_the_same_move_can_be_tried_again(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    page.route("**/stage", lambda route: route.fulfill(status=500, body="broken"), times=1)
    refused(page, console, 500)
    expect(pages.refusal(page).first).to_contain_text("Not saved: the server has a problem (500).")
    expect(pages.refusal(page).first).to_contain_text("The card is back where it was.")
    assert scene.is_true(page)
    pages.answered(page, lambda: page.get_by_role("button", name="Try again").click())
    assert "Bee" in cards_in(page, "Proposal")
    assert scene.is_true(page)


def test_without_a_connection_the_card_goes_back(scene: Scene, page: Page, console: Console) -> None:
    scene.open(page)
    page.context.set_offline(True)
    console.expect("ERR_INTERNET_DISCONNECTED")
    console.expect("Failed to fetch")
    pages.drop_card(page, "Bee", "Proposal")
    expect(pages.refusal(page).first).to_contain_text("Not saved: no connection.")
    settled(page)
    assert scene.is_true(page)
    page.context.set_offline(False)
    pages.answered(page, lambda: page.get_by_role("button", name="Try again").click())
    assert cards_in(page, "Proposal")[0] == "Bee"
    assert scene.is_true(page)
    expect(pages.refusal(page).first).to_be_empty()


def test_a_move_whose_answer_got_lost_is_made_once(scene: Scene, page: Page, console: Console) -> None:
    scene.open(page)
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.route("**/stage", lambda route: (route.fetch(), route.abort())[-1], times=1)
    pages.drop_card(page, "Bee", "Proposal")
    expect(pages.refusal(page).first).to_contain_text("Not saved: no answer.")
    # It was made after all: the page asks at once and shows it.
    expect(
        page.locator(f"#stage-{scene.stages['Proposal'].id}").get_by_role("link", name="Bee", exact=True)
    ).to_be_visible()
    pages.answered(page, lambda: page.get_by_role("button", name="Try again").click())
    assert scene.is_true(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]


def test_a_refusal_stays_until_it_is_put_away(scene: Scene, page: Page, console: Console) -> None:
    scene.open(page)
    page.route("**/stage", lambda route: route.fulfill(status=500, body="broken"), times=1)
    refused(page, console, 500)
    page.get_by_role("button", name="Dismiss").click()
    expect(pages.refusal(page).first).to_be_empty()


def test_without_javascript_a_refusal_is_the_form_with_the_reason(
    scene: Scene, plain_page: Page, console: Console
) -> None:
    deal, *_ = scene.add("Lead", "Imp")
    scene.open(plain_page)
    plain_page.get_by_role("link", name="Move Imp", exact=True).click()
    move_behind(deal, scene.stages["Negotiation"], demo_person("admin"))
    console.expect("409")
    pages.fill_in_move(plain_page, "Proposal", note="Too late")
    expect(plain_page.get_by_role("alert").first).to_contain_text(
        "Ann Björklund moved this deal to Negotiation"
    )
    expect(plain_page.get_by_label("Note")).to_have_value("Too late")
    assert scene.stored("Negotiation") == ["Imp"]
    assert card(plain_page, "Imp").count() == 0
