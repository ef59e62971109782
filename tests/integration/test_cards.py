"""A card is rendered once for all who see the same, and never shows one person what is another's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from flask import Flask

from crmweb import clock
from crmweb.models import User
from crmweb.queries.board import Card
from crmweb.web.cards import render_cards

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def shown(priya: User) -> Card:
    """Priya's open deal, four days in its stage."""
    return Card(
        uuid4(), "Yard <cameras>", uuid4(), "Porto & Co", Decimal(89_500), "EUR", priya.id, priya.name,
        date(2026, 11, 20), None, "open", None, datetime(2026, 11, 17, 9, tzinfo=UTC), 3, uuid4(),
    )  # fmt: skip


def render(app: Flask, card: Card, person: User, may_move: bool = True) -> str:
    with app.test_request_context(), clock.at(NOON):
        return render_cards([card], person, lambda _: may_move)


def test_a_card_tells_its_row_and_no_more(app: Flask, shown: Card, priya: User) -> None:
    html = render(app, shown, priya)
    assert "Yard &lt;cameras&gt;" in html
    assert "Porto &amp; Co" in html
    assert "€89,500" in html
    assert "4 d in stage" in html
    assert 'data-version="3"' in html
    assert "late" in html
    assert "csrf" not in html


def test_two_people_who_see_the_same_get_the_same_card(
    app: Flask, shown: Card, ann: User, marek: User
) -> None:
    assert render(app, shown, ann) == render(app, shown, marek)


def test_ones_own_card_and_the_right_to_move_it_make_another_card(
    app: Flask, shown: Card, priya: User, tom: User
) -> None:
    assert "is-own" in render(app, shown, priya)
    assert "is-own" not in render(app, shown, tom)
    assert "/move" not in render(app, shown, tom, may_move=False)


def test_a_changed_row_is_drawn_anew(app: Flask, shown: Card, priya: User) -> None:
    render(app, shown, priya)
    assert "No amount" in render(app, replace(shown, amount=None), priya)
    assert "Won" in render(app, replace(shown, status="closed_won", closed_date=NOON), priya)
    assert "Price" in render(
        app, replace(shown, status="closed_lost", closed_date=NOON, lost_reason="Price"), priya
    )
