"""The board's page: lanes, totals, cards, filters, and what it costs."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import insert

from crmweb.extensions import db
from crmweb.models import Deal, Entity, Pipeline, Stage, User
from crmweb.models.types import new_id
from tests.support.factories import make_deal, make_entity, make_person, make_pipeline, save
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import count_statements


@pytest.fixture
def board(client: Browser, pipeline: Pipeline, marek: User) -> str:
    """The address of the documents' pipeline's board; Marek is signed in."""
    sign_in(client, marek)
    return f"/pipelines/{pipeline.id}"


def lane(page: str, stage: Stage) -> str:
    """The HTML of one lane."""
    found = re.search(rf'<section class="lane" id="stage-{stage.id}".*?</section>', page, re.DOTALL)
    assert found, f"no lane for {stage.name}"
    return found[0]


def test_each_stage_is_a_region_named_by_it_with_its_count(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    make_deal(stages["Lead"])
    page = client.get(board).text
    for stage in stages.values():
        head = lane(page, stage)
        assert f'data-stage-id="{stage.id}"' in head
        assert f'aria-labelledby="stage-name-{stage.id}"' in head
        assert f'data-count="{1 if stage.name == "Lead" else 0}"' in head


def test_a_card_is_a_list_item_with_its_version_and_a_link_named_by_the_deal(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    deal = make_deal(stages["Lead"], "Night couriers")
    page = client.get(board).text
    assert re.search(rf'<li [^>]*id="deal-{deal.id}" data-deal-id="{deal.id}" data-version="1"', page)
    assert f'href="/deals/{deal.id}">Night couriers</a>' in page


def test_ids_of_stages_and_deals_stand_on_columns_and_cards_only(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    make_deal(stages["Lead"])
    page = client.get(board).text
    assert page.count("data-stage-id=") == 6
    assert page.count("data-deal-id=") == 1


def test_a_rep_gets_a_move_link_on_own_and_unassigned_deals_alone(
    client: Browser, pipeline: Pipeline, stages: dict[str, Stage], priya: User, tom: User
) -> None:
    make_deal(stages["Lead"], "Mine", owner=priya)
    make_deal(stages["Lead"], "Nobody's")
    make_deal(stages["Lead"], "Tom's", owner=tom)
    sign_in(client, priya)
    page = client.get(f"/pipelines/{pipeline.id}").text
    assert 'aria-label="Move Mine"' in page
    assert 'aria-label="Move Nobody&#39;s"' in page
    assert 'aria-label="Move Tom&#39;s"' not in page


def test_totals_are_per_currency_and_never_added_up(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    make_deal(stages["Proposal"], amount=1000, currency="EUR")
    make_deal(stages["Proposal"], amount=500, currency="EUR")
    make_deal(stages["Proposal"], amount=700, currency="USD")
    head = lane(client.get(board).text, stages["Proposal"])
    assert "€1,500" in head
    assert "€750 weighted" in head
    assert "US$700" in head
    assert "US$350" in head
    assert "2,200" not in head


def test_totals_cover_all_deals_not_only_the_cards_shown(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    entity = make_entity()
    save(
        *[
            Deal(name=f"D{n}", amount=100, currency="EUR", entity=entity, stage=stages["Lead"])
            for n in range(30)
        ]
    )
    head = lane(client.get(board).text, stages["Lead"])
    assert 'data-count="30"' in head
    assert "€3,000" in head
    assert head.count("data-deal-id=") == 25
    assert "Show 5 more" in head


def test_more_cards_follow_where_the_lane_ended(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    entity = make_entity()
    rows = [Deal(name=f"D{n:02}", entity=entity, stage=stages["Lead"], position=n) for n in range(80)]
    save(*rows)
    page = client.get(board).text
    first = re.findall(r'class="t"[^>]*>(D\d+)<', page)
    link = re.search(r'hx-get="([^"]*after=[^"]*)"', page)
    assert link
    more = client.get(link[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).text
    second = re.findall(r'class="t"[^>]*>(D\d+)<', more)
    assert first + second == [f"D{n:02}" for n in range(75)]
    assert "Show 5 more" in more


def test_a_forged_cursor_is_refused_in_words(client: Browser, board: str, stages: dict[str, Stage]) -> None:
    answer = client.get(f"{board}/stages/{stages['Lead'].id}/cards?after=1.x.y")
    assert answer.status_code == 422
    assert "Open the board again" in answer.text


def test_the_text_filter_finds_deals_and_entities_whatever_the_case(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    make_deal(stages["Lead"], "Ärger mit Straßen", entity=Entity(name="Zeta"), amount=10, currency="EUR")
    make_deal(stages["Lead"], "Other", entity=Entity(name="ÄRGER AG"), amount=20, currency="EUR")
    make_deal(stages["Lead"], "None of it", amount=40, currency="EUR")
    head = lane(client.get(board, query_string={"q": "ärger"}).text, stages["Lead"])
    assert 'data-count="2"' in head
    assert "€30" in head
    assert "None of it" not in head


@pytest.mark.parametrize("text", ["100%", "a_b", "\\", "'; DROP TABLE deals; --", "\x00", "%"])
def test_signs_of_a_search_language_are_plain_text_in_the_filter(
    client: Browser, board: str, stages: dict[str, Stage], text: str
) -> None:
    make_deal(stages["Lead"], "axb 1000")
    page = client.get(board, query_string={"q": text})
    assert page.status_code == 200
    assert lane(page.text, stages["Lead"]).count("data-deal-id=") == (1 if text == "\x00" else 0)


def test_mine_narrows_cards_counts_and_totals(
    client: Browser, board: str, stages: dict[str, Stage], marek: User
) -> None:
    make_deal(stages["Lead"], "His", owner=marek, amount=10, currency="EUR")
    make_deal(stages["Lead"], "Not his", amount=90, currency="EUR")
    head = lane(client.get(board + "?mine=1").text, stages["Lead"])
    assert 'data-count="1"' in head
    assert "€10" in head
    assert "Not his" not in head


def test_an_unknown_pipeline_is_not_there(client: Browser, board: str) -> None:
    assert client.get(f"/pipelines/{uuid4()}").status_code == 404


def test_a_deal_that_is_not_there_opens_no_panel(client: Browser, board: str) -> None:
    for deal in (uuid4(), "nonsense", ""):
        page = client.get(board, query_string={"deal": str(deal)})
        assert page.status_code == 200
        assert "data-open-deal" not in page.text


def test_names_are_text_on_the_board_never_markup(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    make_deal(
        stages["Lead"], "<script>alert(1)</script>", entity=Entity(name='"><img src=x onerror=alert(1)>')
    )
    page = client.get(board, query_string={"q": "<script>"}).text
    assert "<script>alert" not in page
    assert "<img" not in page


def test_home_leads_to_the_first_pipeline_and_then_to_the_one_seen_last(
    client: Browser, board: str, pipeline: Pipeline
) -> None:
    other = make_pipeline("Partners", order=1)["Lead"].pipeline
    assert client.get("/").location == board
    client.get(f"/pipelines/{other.id}")
    assert client.get("/").location == f"/pipelines/{other.id}"


def test_an_inactive_pipeline_is_hidden_from_the_choice(client: Browser, board: str) -> None:
    hidden = make_pipeline("Old business", is_active=False)["Lead"].pipeline
    page = client.get(board).text
    assert "Old business" not in page
    assert str(hidden.id) not in page


def test_the_poll_answers_304_until_something_changed(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    first = client.get(board + "/changes")
    tag = first.headers["HX-PTag"]
    assert client.get(board + "/changes", headers={"HX-PTag": tag}).status_code == 304
    make_deal(stages["Lead"], "Brand new")
    again = client.get(board + "/changes", headers={"HX-PTag": tag})
    assert again.status_code == 200
    assert "Brand new" in again.text
    assert again.headers["HX-PTag"] != tag


def test_the_poll_sends_only_the_columns_that_the_page_has_not_seen(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    page = client.get(board).text
    seen = re.findall(r'data-stage-id="([^"]+)" data-count="\d+" data-version="(\d+)"', page)
    make_deal(stages["Lead"])
    answer = client.get(
        board + "/changes", query_string={"seen": [f"{stage}:{version}" for stage, version in seen]}
    )
    assert re.findall(r'hx-target="#stage-([^"]+)"', answer.text) == [str(stages["Lead"].id)]


def test_a_renamed_entity_or_owner_changes_the_board(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    owner = make_person("Olga")
    deal = make_deal(stages["Lead"], owner=owner, entity=Entity(name="Before Ltd"))
    tag = client.get(board + "/changes").headers["HX-PTag"]
    deal.entity.name = "After Ltd"
    save(deal.entity)
    changed = client.get(board + "/changes", headers={"HX-PTag": tag})
    assert "After Ltd" in changed.text
    owner.name = "Olga the Second"
    save(owner)
    assert (
        "Olga the Second"
        in client.get(board + "/changes", headers={"HX-PTag": changed.headers["HX-PTag"]}).text
    )


@pytest.mark.parametrize("number", [6, 12])
def test_a_board_takes_at_most_eight_statements(client: Browser, marek: User, number: int) -> None:
    stages = make_pipeline("Wide", [(f"Stage {n}", 50, "open") for n in range(number)])
    for stage in stages.values():
        make_deal(stage)
    sign_in(client, marek)
    address = f"/pipelines/{next(iter(stages.values())).pipeline_id}"
    client.get(address)
    for query in ("", "?mine=1", "?q=fork"):
        with count_statements() as statements:
            assert client.get(address + query).status_code == 200
        assert len(statements) <= 8, statements


def test_a_board_costs_the_same_statements_and_cards_at_100_and_at_10_000_deals(
    client: Browser, board: str, stages: dict[str, Stage]
) -> None:
    entity = make_entity()
    costs = []
    for number in (100, 9_900):
        _bulk(stages["Lead"], entity, number)
        client.get(board)
        with count_statements() as statements:
            page = client.get(board)
        costs.append((len(statements), page.text.count("data-deal-id=")))
    assert costs[0] == costs[1]


def _bulk(stage: Stage, entity: Entity, number: int) -> None:
    """Many deals at once, as rows; nothing but the board's own reading is under test here."""
    moment = stage.created_at
    plain: dict[str, Any] = {
        "name": "Bulk", "name_key": "bulk", "amount": Decimal(5), "currency": "EUR", "entity_id": entity.id,
        "stage_id": stage.id, "status": "open", "version": 1,
        "stage_entered_at": moment, "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    with db.engine.connect().execution_options(crmweb_write=True) as connection, connection.begin():
        connection.execute(
            insert(Deal), [{**plain, "id": new_id(), "position": place} for place in range(number)]
        )
