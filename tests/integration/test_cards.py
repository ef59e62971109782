"""A card is rendered once for all who see the same, and never shows one person what is another's."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from flask import Flask

from crmweb import clock
from crmweb.models import User
from crmweb.queries.cards import Card
from crmweb.web.cards import render_cards

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def shown(priya: User) -> Card:
    """Priya's open deal, which should have closed yesterday."""
    return Card(
        uuid4(), "Yard <cameras>", "Porto & Co", Decimal(89_500), "EUR", priya.id, priya.name,
        date(2026, 11, 20), None, "open", None, 3, uuid4(),
    )  # fmt: skip


def render(app: Flask, card: Card, person: User, may_move: bool = True) -> str:
    with app.test_request_context(), clock.at(NOON):
        return render_cards([card], person, lambda _: may_move)


def test_a_card_tells_its_row_and_no_more(app: Flask, shown: Card, priya: User) -> None:
    html = render(app, shown, priya)
    assert "Yard &lt;cameras&gt;" in html
    assert "Porto &amp; Co" in html
    assert "€89,500" in html
    assert "Add next step" in html
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


def test_a_card_says_what_is_next_and_how_late_it_is(app: Flask, shown: Card, priya: User) -> None:
    def says(step: str, due: datetime | None = None) -> str:
        html = render(app, replace(shown, step=step, step_due_at=due), priya)
        link = rf'<a class="([^"]*)" href="/deals/{shown.id}/next-step"[^>]*>.*?#([^"]*)".*?</svg>(.*?)</a>'
        found = re.search(link, html)
        assert found
        return f"{re.sub('</?span>', '', found[3])} [{found[1]}, {found[2]}]"

    assert says("Call") == "Call [step, square-check-big]"
    assert says("Call", NOON) == "Call, today [step, square-check-big]"
    assert says("Call", NOON + timedelta(days=1)) == "Call, tomorrow [step, square-check-big]"
    assert says("Call", NOON - timedelta(days=2)) == "Call, 2 d late [step late, clock]"
    assert says("<b>") == "&lt;b&gt; [step, square-check-big]"


def test_a_card_says_that_nobody_touched_its_deal_or_that_it_sleeps(
    app: Flask, shown: Card, priya: User
) -> None:
    quiet = replace(shown, quiet_days=16, rot_days=10)
    assert "Quiet 16 d, limit 10" in render(app, quiet, priya)
    assert f'href="/deals/{shown.id}/snooze"' in render(app, quiet, priya)
    assert "/snooze" not in render(app, quiet, priya, may_move=False)
    asleep = replace(shown, asleep_until=date(2026, 12, 3))
    assert "Sleeps until 3 Dec" in render(app, asleep, priya)
    assert "Quiet" not in render(app, asleep, priya)
