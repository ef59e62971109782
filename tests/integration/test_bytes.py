"""What the first look at a board of 150 cards weighs on the wire."""

from __future__ import annotations

import re
from functools import partial

import pytest
from sqlalchemy import select

from crmweb import seeds
from crmweb.extensions import db
from crmweb.models import Pipeline, User
from tests.support.outside import Browser
from tests.support.people import sign_in

BROWSER = "gzip, deflate, br, zstd"
"""What browsers say they take, over TLS and on the computer itself."""
ASSET = re.compile(r'(?:href|src)="(/assets/[^"#]+)')


@pytest.fixture
def first_view(client: Browser, ann: User) -> dict[str, int]:
    """Address → bytes of its compressed body, for all that a browser fetches for a board it has never shown."""
    seeds.generate(1_000)
    board = f"/pipelines/{db.session.scalar(select(Pipeline.id))}"
    get = partial(sign_in(client, ann).get, headers={"Accept-Encoding": BROWSER})
    page = client.get(board).text
    assert page.count("data-deal-id=") == 150
    return {path: len(get(path).data) for path in [board, *dict.fromkeys(ASSET.findall(page))]}


def test_the_first_view_of_a_board_is_small_and_takes_few_requests(
    first_view: dict[str, int],
) -> None:
    assert sum(first_view.values()) <= 70_000, first_view
    assert len(first_view) <= 10, first_view


def test_a_boards_scripts_are_small(first_view: dict[str, int]) -> None:
    assert sum(size for path, size in first_view.items() if path.endswith(".js")) <= 40_000, first_view


def test_another_look_at_a_board_is_its_page_alone(client: Browser, first_view: dict[str, int]) -> None:
    page, *assets = first_view
    assert all("immutable" in client.get(asset).headers["Cache-Control"] for asset in assets)
    assert first_view[page] <= 15_500, first_view
