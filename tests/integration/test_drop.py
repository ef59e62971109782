"""The stage-move endpoint: what a drop does, what its answer carries, how each refusal looks."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Change,
    ChangeSet,
    Deal,
    MoveKey,
    Pipeline,
    RuleRun,
    Stage,
    StageChange,
    User,
)
from tests.support.factories import make_deal, make_note, make_pipeline, make_rule, save
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import Statements, count_statements

HTMX = {"HX-Request": "true"}


@pytest.fixture
def deal(stages: dict[str, Stage], priya: User) -> Deal:
    """Priya's deal in Lead."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya, currency="EUR")


def drop(
    client: Browser, deal: Deal, stage: Stage | object, *, headers: Any = HTMX, **fields: Any
) -> TestResponse:
    """Post a move as the board does."""
    target = stage.id if isinstance(stage, Stage) else stage
    return client.post(f"/deals/{deal.id}/stage", data={"stage_id": target, **fields}, headers=headers)


def counts() -> tuple[int, ...]:
    """How many rows each kind of trace has."""
    kinds = (Activity, StageChange, ChangeSet, Change, MoveKey)
    return tuple(db.session.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds)


def cost(client: Browser, deal: Deal, stage: Stage) -> Statements:
    """The statements of one drop."""
    address, target = f"/deals/{deal.id}/stage", stage.id
    with count_statements() as statements:
        client.post(address, data={"stage_id": target}, headers=HTMX)
    return statements


def stored(deal: Deal) -> Deal:
    """The deal as the database has it."""
    return db.session.get_one(Deal, deal.id, populate_existing=True)


def columns_in(answer: TestResponse) -> list[str]:
    return re.findall(r'hx-target="#stage-([^"]+)"', answer.text)


def test_a_drop_moves_the_deal_and_answers_with_both_columns(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], note="They want a price")
    assert answer.status_code == 200
    assert stored(deal).stage_id == stages["Proposal"].id
    assert set(columns_in(answer)) == {str(stages["Lead"].id), str(stages["Proposal"].id)}
    assert "Night couriers moved to Proposal, position 1 of 1. Total 50,000 euros." in answer.text
    note = db.session.scalars(select(Activity).where(Activity.kind == "audit")).one()
    assert (note.subject, note.description, note.author_id) == (
        "Deal moved: Lead → Proposal",
        "They want a price",
        priya.id,
    )


def test_without_htmx_a_drop_leads_back_to_the_board_at_the_card(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], headers={}, view="mine=1")
    assert answer.status_code == 303
    assert answer.location == f"/pipelines/{stages['Lead'].pipeline_id}?mine=1#deal-{deal.id}"


def test_a_repeated_key_answers_200_and_changes_nothing(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    once = {"idempotency_key": "key-1", "from_stage_id": stages["Lead"].id, "seen_version": 1}
    assert drop(client, deal, stages["Proposal"], **once).status_code == 200
    before = counts()
    again = drop(client, deal, stages["Proposal"], **once)
    assert again.status_code == 200
    assert counts() == before
    assert str(stages["Proposal"].id) in columns_in(again)


def test_a_key_used_for_another_stage_is_refused(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    drop(client, deal, stages["Proposal"], idempotency_key="key-1")
    answer = drop(client, deal, stages["Qualified"], idempotency_key="key-1")
    assert answer.status_code == 422
    assert "key" in answer.text
    assert stored(deal).stage_id == stages["Proposal"].id


def test_a_deal_that_somebody_else_moved_is_a_conflict_that_names_them(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User, marek: User
) -> None:
    sign_in(client, marek)
    drop(client, deal, stages["Closed Won"])
    sign_in(client, priya)
    before = counts()
    answer = drop(client, deal, stages["Proposal"], from_stage_id=stages["Lead"].id, seen_version=1)
    assert answer.status_code == 409
    assert re.search(
        r"Marek Nowak moved this deal to Closed Won \d+ s ago|Marek Nowak moved this deal to Closed Won just now",
        answer.text,
    )
    assert "Your move was not made" in answer.text
    assert {str(stages[name].id) for name in ("Lead", "Proposal", "Closed Won")} <= set(columns_in(answer))
    assert "The board now shows where it really is." in answer.text
    page = drop(client, deal, stages["Proposal"], headers={}, from_stage_id=stages["Lead"].id, seen_version=1)
    assert page.status_code == 409
    assert "Your move was not made." in page.text
    assert "The board now shows" not in page.text
    assert counts() == before


def test_a_quick_second_move_of_ones_own_is_no_conflict(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    drop(client, deal, stages["Qualified"], from_stage_id=stages["Lead"].id, seen_version=1)
    answer = drop(client, deal, stages["Proposal"], from_stage_id=stages["Lead"].id, seen_version=1)
    assert answer.status_code == 200
    assert stored(deal).stage_id == stages["Proposal"].id


def test_somebody_elses_deal_is_forbidden_and_nothing_is_written(
    client: Browser, deal: Deal, stages: dict[str, Stage], tom: User
) -> None:
    sign_in(client, tom)
    before = counts()
    answer = drop(client, deal, stages["Proposal"], idempotency_key="k")
    assert answer.status_code == 403
    assert "Only the owner or a manager can move this deal." in answer.text
    assert counts() == before


def test_a_deal_that_is_not_there_is_not_found(
    client: Browser, stages: dict[str, Stage], marek: User
) -> None:
    sign_in(client, marek)
    assert (
        client.post(f"/deals/{uuid4()}/stage", data={"stage_id": stages["Lead"].id}, headers=HTMX).status_code
        == 404
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stage_id": ""}, "Choose the stage"),
        ({"stage_id": "nonsense"}, "is not an id"),
        ({"stage_id": str(uuid4())}, "not there any more"),
        ({"from_stage_id": "nonsense"}, "is not an id"),
        ({"before_id": "'; DROP TABLE deals"}, "is not an id"),
        ({"position": "0"}, "1 for the top"),
        ({"position": "-5"}, "1 for the top"),
        ({"position": "many"}, "is not a number"),
        ({"seen_version": "x"}, "is not a number"),
        ({"note": "n" * 10_001}, "10,000"),
        ({"lost_reason": "n" * 301}, "300"),
        ({"idempotency_key": "k" * 65}, "64"),
    ],
)
def test_a_field_that_cannot_be_used_is_refused_in_words(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User, fields: dict[str, str], words: str
) -> None:
    sign_in(client, priya)
    before = counts()
    answer = (
        drop(client, deal, stages["Proposal"], **fields)
        if "stage_id" not in fields
        else drop(client, deal, fields["stage_id"])
    )
    assert answer.status_code == 422
    assert words in answer.text
    assert counts() == before
    assert stored(deal).stage_id == stages["Lead"].id


def test_a_stage_of_another_pipeline_is_refused(client: Browser, deal: Deal, priya: User) -> None:
    other = make_pipeline("Partners")
    sign_in(client, priya)
    answer = drop(client, deal, other["Proposal"])
    assert answer.status_code == 422
    assert "Partners" in answer.text


def test_a_refusal_without_scripts_is_the_move_page_with_the_reason(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    other = make_pipeline("Partners")
    sign_in(client, priya)
    answer = drop(client, deal, other["Proposal"], headers={}, note="keep my words")
    assert answer.status_code == 422
    assert "<form" in answer.text
    assert "Partners" in answer.text
    assert "keep my words" in answer.text


def test_the_same_stage_only_reorders(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    top = make_deal(stages["Lead"], "On top", owner=priya)
    sign_in(client, priya)
    before = counts()
    answer = drop(client, top, stages["Lead"], after_id=deal.id)
    assert answer.status_code == 200
    assert counts() == before
    names = re.findall(r'class="t"[^>]*>([^<]+)<', answer.text)
    assert names == ["Night couriers", "On top"]


def test_the_answer_keeps_the_number_of_cards_shown_and_the_view(
    client: Browser, stages: dict[str, Stage], marek: User, deal: Deal
) -> None:
    save(
        *[
            Deal(name=f"D{n}", entity=deal.entity, stage=stages["Proposal"], assigned_to=marek)
            for n in range(40)
        ]
    )
    sign_in(client, marek)
    answer = drop(client, deal, stages["Proposal"], shown=f"{stages['Proposal'].id}:38", view="q=d")
    assert answer.text.count("data-deal-id=") == 38
    answer = drop(client, deal, stages["Lead"], view="mine=1")
    assert "Night couriers</a>" not in answer.text


def test_the_open_deals_timeline_comes_with_the_answer(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    make_note(deal, "They called back")
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], view=f"deal={deal.id}")
    assert answer.text.count("Deal moved: Lead → Proposal") == 1
    assert "They called back" in answer.text


def test_a_rule_that_moves_the_deal_on_brings_the_third_column(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    make_rule(
        "Fast lane", trigger_event="update",
        conditions=[{"field": "stage", "operator": "changed_to", "value": str(stages["Proposal"].id)}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Negotiation"].id)}}],
    )  # fmt: skip
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], from_stage_id=stages["Lead"].id, seen_version=1)
    assert {str(stages[name].id) for name in ("Lead", "Proposal", "Negotiation")} <= set(columns_in(answer))
    assert "moved to Negotiation" in answer.text


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
def test_a_failing_rule_keeps_the_move_and_says_so_with_the_way_to_its_log(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User, headers: dict[str, str]
) -> None:
    elsewhere = make_pipeline("Partners")["Lead"]
    rule = make_rule(
        "Wrong way", trigger_event="update",
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(elsewhere.id)}}],
    )  # fmt: skip
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], headers=headers)
    assert stored(deal).stage_id == stages["Proposal"].id
    page = answer if headers else client.get(answer.location)
    assert "Moved." in page.text
    assert "The rule “Wrong way” could not move the deal" in page.text
    assert f'<a href="/rules/{rule.id}#runs">See the log</a>' in page.text


def test_a_rule_that_undoes_the_change_refuses_the_drop_and_keeps_its_failed_run(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    elsewhere = make_pipeline("Partners")["Lead"]
    make_rule(
        "Strict", trigger_event="update", on_failure="undo",
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(elsewhere.id)}}],
    )  # fmt: skip
    sign_in(client, priya)
    before = counts()
    answer = drop(client, deal, stages["Proposal"])
    assert answer.status_code == 422
    assert "Strict" in answer.text
    assert counts() == before
    assert stored(deal).stage_id == stages["Lead"].id
    assert db.session.scalars(select(RuleRun.outcome)).all() == ["failed"]


def test_a_move_with_ten_idle_rules_keeps_its_budget_of_statements(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    for number in range(10):
        make_rule(
            f"Idle {number}", trigger_event="update", order=number + 1,
            conditions=[{"field": "amount", "operator": "greater_than", "value": 10**9}],
        )  # fmt: skip
    sign_in(client, priya)
    drop(client, deal, stages["Qualified"])
    seen = {"from_stage_id": stages["Qualified"].id, "seen_version": 2, "idempotency_key": "k"}
    shown = [f"{stage.id}:25" for stage in stages.values()]
    address, target = f"/deals/{deal.id}/stage", stages["Proposal"].id
    with count_statements() as statements:
        answer = client.post(address, data={"stage_id": target, **seen, "shown": shown}, headers=HTMX)
    assert answer.status_code == 200
    assert len(statements) <= 20, statements
    assert len(statements.writing) <= 14, statements


def test_an_acting_rule_adds_at_most_three_statements(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User
) -> None:
    sign_in(client, priya)
    drop(client, deal, stages["Qualified"])
    quiet = cost(client, deal, stages["Proposal"])
    make_rule("Add a note", trigger_event="update")
    make_rule(
        "Set a date",
        trigger_event="update",
        order=2,
        actions=[
            {"type": "update_field", "config": {"field_name": "expected_close_date", "value": "2027-01-01"}}
        ],
    )
    drop(client, deal, stages["Negotiation"])
    busy = cost(client, deal, stages["Closed Won"])
    acted = select(func.count()).select_from(RuleRun).where(RuleRun.outcome == "acted")
    assert db.session.scalar(acted) == 3
    assert len(busy) <= len(quiet) + 6, busy


@pytest.mark.parametrize("field", ["before_id", "after_id"])
def test_a_card_that_is_gone_means_the_top(
    client: Browser, deal: Deal, stages: dict[str, Stage], priya: User, pipeline: Pipeline, field: str
) -> None:
    make_deal(stages["Proposal"], "There before")
    sign_in(client, priya)
    answer = drop(client, deal, stages["Proposal"], **{field: uuid4()})
    assert answer.status_code == 200
    assert re.findall(r'class="t"[^>]*>([^<]+)<', answer.text) == ["Night couriers", "There before"]
