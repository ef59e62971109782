"""The pages. One blueprint module per noun; `init_app` puts them together."""

from __future__ import annotations

from flask import Flask

from crmweb.web import assets, cards, filters

BLUEPRINTS: tuple[str, ...] = ()


def init_app(app: Flask) -> None:
    """Give the application its assets, filters and pages."""
    for part in (assets, filters, cards):
        part.init_app(app)
