"""Cards as HTML: each is rendered once for all people who see the same, and kept.

A card shows nothing but its row, the viewer's locale, the company's day and two facts about the viewer (may move it,
owns it), so these are the key of the cache: whatever changes a card changes its key.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Flask, current_app, request
from markupsafe import Markup

from crmweb import clock, config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date
    from uuid import UUID

    from crmweb.queries.cards import Card

KEPT = 20_000  # about 1 kB each


def render_cards(cards: Iterable[Card], person: object, may_move: Callable[[UUID | None], bool]) -> Markup:
    """The cards of one lane as list items. `may_move` tells from a deal's owner whether the viewer may move it."""
    today, root = clock.today(), request.script_root
    locale = getattr(person, "locale", None) or config.settings.locale
    viewer = getattr(person, "id", None)
    return Markup("\n").join(
        _card(card, may_move(card.owner_id), card.owner_id == viewer, today, locale, root) for card in cards
    )


@lru_cache(maxsize=KEPT)
def _card(card: Card, may_move: bool, mine: bool, today: date, locale: str, root: str) -> Markup:
    # Not `render_template`: its context processors would let the viewer's session into a card that others get.
    jinja = current_app.jinja_env
    facts = {"card": card, "may_move": may_move, "mine": mine, "today": today, "locale": locale, "root": root}
    facts["ui"] = jinja.get_template("_ui.html").module  # quicker by a tenth than an import by each card
    return Markup(jinja.get_template("board/_card.html").render(facts))  # noqa: S704  the template's own escaped output


def init_app(app: Flask) -> None:
    """Give templates `render_cards`."""
    app.jinja_env.globals["render_cards"] = render_cards
