"""The pages. One blueprint module per noun; `init_app` puts them together."""

from __future__ import annotations

from flask import Flask

from crmweb.web import (
    account,
    assets,
    auth,
    board,
    cards,
    deals,
    errors,
    filters,
    health,
    navigation,
    people,
    security,
)

PARTS = (security, errors, assets, filters, cards, navigation)
PAGES = (account, auth, board, deals, health, people)


def init_app(app: Flask) -> None:
    """Give the application its assets, filters and pages."""
    for part in PARTS:
        part.init_app(app)
    for page in PAGES:
        app.register_blueprint(page.bp)
