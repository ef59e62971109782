"""The pages. One blueprint module per noun; `init_app` puts them together."""

from __future__ import annotations

from flask import Flask

from crmweb.web import (
    account,
    activities,
    assets,
    auth,
    backtests,
    board,
    cards,
    deal_forms,
    deal_list,
    deals,
    entities,
    errors,
    filters,
    health,
    history,
    keyboard,
    moves,
    navigation,
    next_steps,
    notifications,
    people,
    pipelines,
    questions,
    rule_forms,
    rules,
    security,
    snoozes,
    stages,
    tasks,
    whys,
)

PARTS = (security, errors, assets, filters, cards, navigation)
PAGES = (
    account,
    activities,
    auth,
    board,
    deals,
    entities,
    health,
    history,
    keyboard,
    notifications,
    people,
    pipelines,
    rules,
    tasks,
)
MORE_OF = {
    deals: (deal_forms, deal_list, moves, next_steps, questions, snoozes),
    history: (whys,),
    pipelines: (stages,),
    rules: (backtests, rule_forms),
}
"""Modules that add routes to another one's blueprint."""


def init_app(app: Flask) -> None:
    """Give the application its assets, filters and pages."""
    for part in PARTS:
        part.init_app(app)
    for page in PAGES:
        app.register_blueprint(page.bp)
