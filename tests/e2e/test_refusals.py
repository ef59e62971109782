"""A move that is not made: the card lies where the database has it, a sentence says why, and nothing claims success."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, render_template
from playwright.sync_api import Page, Request, expect
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Deal, MoveKey
from crmweb.models.arranging import archive_stage
from tests.e2e.scene import Scene, demo_person, make_scene, move_behind
from tests.support import pages
from tests.support.console import Console
from tests.support.factories import make_pipeline, make_rule, save
from tests.support.server import Server


@pytest.fixture
def scene(app: Flask) -> Scene:
    scene = make_scene()
    scene.add("Lead", "Ant", "Bee", "Cat", owner=demo_person("rep"))
    scene.add("Proposal", "Dog", "Eel", owner=demo_person("rep"))
    return scene


@pytest.fixture
def sent(page: Page) -> list[Request]:
    """The moves that the page sends."""
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if request.url.endswith("/stage") else None)
    return sent


@pytest.fixture
def refused(scene: Scene, page: Page, console: Console) -> Callable[..., None]:
    """`refused(409, "somebody moved it", deal=…, stage=…)`: drag a card; it is refused, with these words."""

    def drag(status: int, *words: str, deal: str = "Bee", stage: str = "Proposal") -> None:
        console.expect(str(status))
        assert pages.drag_card(page, deal, stage).status == status
        expect_refusal(scene, page, *words)

    return drag


def expect_refusal(scene: Scene, page: Page, *words: str) -> None:
    """The page says so, claims nothing, and shows what the database has."""
    for sentence in words:
        expect(pages.refusal(page)).to_contain_text(sentence)
    expect(pages.announcement(page)).to_be_empty()
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    scene.expect_truth(page)


def change(deal: Deal, **fields: object) -> None:
    """Somebody else changes a deal while the page is open."""

    def work(session: Session) -> None:
        stored = Deal.locked(session, deal_id)
        for name, value in fields.items():
            setattr(stored, name, value)

    deal_id = deal.id
    changes.commit(work, by=demo_person("admin"))


@contextmanager
def kept_waiting(deal: Deal) -> Iterator[None]:
    """Inside, whoever wants to write to the deal waits."""
    with db.engine.connect() as other:
        other.execute(update(Deal).where(Deal.id == deal.id).values(position=Deal.position))
        yield
        other.rollback()


def try_again(page: Page) -> None:
    pages.refusal(page).get_by_role("button", name="Try again").click()


def keys_of(sent: list[Request]) -> set[str]:
    return {(request.post_data or "").partition("idempotency_key=")[2].partition("&")[0] for request in sent}


def test_a_deal_that_became_somebody_elses_is_not_moved(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.open(page, "rep")
    pages.pause_live(page)
    change(scene.deal("Bee"), assigned_to_id=demo_person("manager").id)
    refused(403, "Only the owner or a manager can move this deal.")
    expect(page.get_by_role("link", name="Move Bee", exact=True)).to_have_count(0)


def test_a_page_that_was_tampered_with_moves_nothing(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.add("Lead", "Owl", owner=demo_person("manager"))
    scene.open(page, "rep")
    pages.card(page, "Owl").evaluate(
        "card => card.append(Object.assign(document.createElement('a'), {className: 'mv'}))"
    )
    refused(403, "Only the owner or a manager can move this deal.", deal="Owl")


@pytest.mark.both_databases
def test_a_deal_that_somebody_moved_first_stays_where_they_put_it(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.open(page)
    pages.pause_live(page)
    move_behind(scene.deal("Bee"), scene.stages["Closed Won"], demo_person("admin"))
    who = demo_person("admin").name
    refused(409, f"{who} moved this deal to Closed Won", "Your move was not made.")
    assert pages.cards_in(page, "Closed Won") == ["Bee"]


def test_a_deal_that_was_deleted_leaves_the_board(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.open(page)
    pages.pause_live(page)
    change(scene.deal("Bee"), deleted_at=clock.now())
    page.unroute_all()
    refused(404, "This deal is not there any more.")


def test_a_stage_that_was_archived_takes_no_deal_and_leaves_the_board(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    pages.pause_live(page)
    manager, stage_id = demo_person("manager"), scene.stages["Negotiation"].id
    changes.commit(lambda session: archive_stage(session, stage_id, None, manager), by=manager)
    console.expect("422")
    assert pages.drag_card(page, "Bee", "Negotiation").status == 422
    expect(page.locator(f"#stage-{scene.stages.pop('Negotiation').id}")).to_have_count(0)
    expect_refusal(scene, page, "The stage Negotiation is archived and takes no deals.")


def test_a_pipeline_that_was_closed_takes_no_deals(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.open(page)
    pages.pause_live(page)
    pipeline = scene.stages["Lead"].pipeline
    pipeline.is_active = False
    save(pipeline)
    refused(422, f"{pipeline.name} is archived and takes no deals.")


@pytest.mark.both_databases
def test_a_rule_that_undoes_the_move_is_named_with_its_reason(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    elsewhere = make_pipeline(f"Elsewhere {scene.pipeline_id}")["Lead"]
    make_rule(
        "No proposal without a visit", trigger_event="update", on_failure="undo",
        conditions=[{"field": "stage", "operator": "equals", "value": str(scene.stages["Proposal"].id)}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(elsewhere.id)}}],
    )  # fmt: skip
    scene.open(page)
    refused(422, "Not moved: “No proposal without a visit” stopped it.")


def test_a_session_that_ended_leads_to_the_sign_in_and_back(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    page.context.clear_cookies()
    console.expect("401")
    pages.drop_card(page, "Bee", "Proposal")
    expect(page).to_have_url(re.compile("/login"))
    assert scene.stored("Lead") == ["Ant", "Bee", "Cat"]
    page.get_by_label("E-mail").fill("manager@example.com")
    page.get_by_label("Password").fill(pages.DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(f"/pipelines/{scene.pipeline_id}$"))
    scene.expect_truth(page)


@pytest.mark.parametrize("whose", ["nobody's", "a proxy's", "our own"])
def test_a_server_that_breaks_costs_nothing_and_the_same_move_can_be_tried_again(
    app: Flask, scene: Scene, page: Page, refused: Callable[..., None], sent: list[Request], whose: str
) -> None:
    scene.open(page)
    body, headers, name = {"a proxy's": "<h1>Bad gateway</h1>"}.get(whose, ""), {}, "500"
    if whose == "our own":
        with app.test_request_context():
            body = render_template("errors/_broken.html", reference="f00d")
        headers, name = {"X-Request-ID": "f00d"}, "500, f00d"
    page.route("**/stage", lambda route: route.fulfill(status=500, body=body, headers=headers), times=1)
    refused(500, f"Not saved: the server has a problem ({name}).", "The card is back where it was.")
    assert pages.answered(page, lambda: try_again(page)).status == 200
    assert scene.stored("Proposal") == ["Bee", "Dog", "Eel"]
    expect(pages.refusal(page)).to_be_empty()
    expect(pages.announcement(page)).to_contain_text("Bee moved to Proposal")
    scene.expect_truth(page)
    assert len(keys_of(sent)) == 1


def test_without_a_connection_the_card_goes_back_until_there_is_one(
    scene: Scene, page: Page, console: Console, sent: list[Request]
) -> None:
    scene.open(page)
    page.context.set_offline(True)
    console.expect("ERR_INTERNET_DISCONNECTED")
    console.expect("Failed to fetch")
    pages.drop_card(page, "Bee", "Proposal", above="Eel")
    expect_refusal(scene, page, "Not saved: no connection.")
    page.context.set_offline(False)
    assert pages.answered(page, lambda: try_again(page)).status == 200
    assert scene.stored("Proposal") == ["Dog", "Bee", "Eel"]
    expect(pages.refusal(page)).to_be_empty()
    scene.expect_truth(page)
    assert len(keys_of(sent)) == 1


@pytest.mark.both_databases
def test_a_move_whose_answer_got_lost_is_made_once(
    scene: Scene, page: Page, console: Console, sent: list[Request]
) -> None:
    scene.open(page)
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.route("**/stage", lambda route: (route.fetch(), route.abort()), times=1)
    pages.drop_card(page, "Bee", "Proposal", above="Eel")
    expect_refusal(scene, page, "Not saved: no answer.")
    assert scene.stored("Proposal") == ["Dog", "Bee", "Eel"], "it was made after all, and the page shows it"
    assert pages.answered(page, lambda: try_again(page)).status == 200
    assert scene.stored("Proposal") == ["Dog", "Bee", "Eel"]
    scene.expect_truth(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]
    assert len(keys_of(sent)) == 1
    kept = select(func.count()).where(MoveKey.deal_id == scene.deal("Bee").id)
    assert db.session.scalar(kept) == 1


@pytest.mark.both_databases
def test_a_server_that_dies_with_a_move_in_its_hands_costs_nothing(
    scene: Scene, page: Page, console: Console, sent: list[Request], server: Server
) -> None:
    scene.open(page)
    console.expect("net::ERR_")
    console.expect("Failed to fetch")
    with kept_waiting(scene.deal("Bee")):
        pages.drop_card(page, "Bee", "Proposal", above="Eel")
        server.kill_who_answers()
        expect_refusal(scene, page, "Not saved: no answer.", "The card is back where it was.")
    assert pages.answered(page, lambda: try_again(page)).status == 200
    assert scene.stored("Proposal") == ["Dog", "Bee", "Eel"]
    scene.expect_truth(page)
    assert scene.notes("Bee") == ["Deal moved: Lead → Proposal"]
    assert len(keys_of(sent)) == 1


@pytest.mark.both_databases
def test_a_move_that_was_lost_and_overtaken_is_a_conflict_when_tried_again(
    scene: Scene, page: Page, console: Console
) -> None:
    scene.open(page)
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.route("**/stage", lambda route: route.abort(), times=1)
    pages.drop_card(page, "Bee", "Proposal")
    expect_refusal(scene, page, "Not saved: no answer.")
    move_behind(scene.deal("Bee"), scene.stages["Closed Won"], demo_person("admin"))
    console.expect("409")
    assert pages.answered(page, lambda: try_again(page)).status == 409
    expect_refusal(scene, page, f"{demo_person('admin').name} moved this deal to Closed Won")
    assert pages.cards_in(page, "Closed Won") == ["Bee"]


def test_moves_that_were_lost_together_are_tried_again_together(
    scene: Scene, page: Page, console: Console, sent: list[Request]
) -> None:
    scene.open(page)
    console.expect("ERR_FAILED")
    console.expect("Failed to fetch")
    page.route("**/stage", lambda route: route.abort(), times=2)
    for deal in ("Ant", "Bee"):
        pages.drop_card(page, deal, "Proposal")
    expect_refusal(scene, page, "Not saved: no answer.", "2 cards are back where they were.")
    pages.drag_card(page, "Cat", "Qualified")
    expect(pages.refusal(page)).to_contain_text("Not saved: no answer.")
    with page.expect_response(lambda response: response.url.endswith("/stage")):
        pages.answered(page, lambda: try_again(page))
    expect(pages.refusal(page)).to_be_empty()
    assert sorted(scene.stored("Proposal")) == ["Ant", "Bee", "Dog", "Eel"]
    scene.expect_truth(page)
    assert len(keys_of(sent)) == 3


def test_a_server_that_stays_silent_is_waited_for_ten_seconds(
    scene: Scene, page: Page, console: Console
) -> None:
    page.clock.install()
    scene.open(page)
    pages.hold(page, "**/stage")
    pages.drop_card(page, "Bee", "Proposal")
    console.expect("htmx:error: timeout")
    page.clock.run_for(9_000)
    expect(pages.card(page, "Bee")).to_have_attribute("aria-busy", "true")
    page.clock.run_for(2_000)
    expect_refusal(scene, page, "Not saved: no answer.")


def test_a_refusal_takes_back_what_the_last_success_said_and_the_other_way_round(
    scene: Scene, page: Page, refused: Callable[..., None]
) -> None:
    scene.open(page)
    pages.drag_card(page, "Ant", "Proposal")
    expect(pages.announcement(page)).to_contain_text("Ant moved to Proposal")
    pages.pause_live(page)
    move_behind(scene.deal("Cat"), scene.stages["Closed Won"], demo_person("admin"))
    refused(409, "Your move was not made.", deal="Cat")
    pages.drag_card(page, "Bee", "Proposal")
    expect(pages.announcement(page)).to_contain_text("Bee moved to Proposal")
    expect(pages.refusal(page)).to_be_empty()


def test_a_refusal_stays_until_it_is_put_away(scene: Scene, page: Page, refused: Callable[..., None]) -> None:
    scene.open(page)
    page.route("**/stage", lambda route: route.fulfill(status=500, body=""), times=1)
    refused(500)
    expect(page.locator(":focus")).to_have_text("Bee")
    page.get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Enter")
    expect(pages.refusal(page)).to_be_empty()
    expect(page.locator(":focus")).to_have_text("Bee")
