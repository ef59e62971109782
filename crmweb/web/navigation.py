"""What every page shows around its content: who looks, what is unread, where one can go.

To add a place: one line below. It appears for those who may call its view, and only when the view exists.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, current_app, g

from crmweb.web.access import Person, is_open_to

PLACES = (
    ("board.home", "Board", "square-kanban"),
    ("deals.index", "Deals", "list"),
    ("tasks.index", "Tasks", "square-check-big"),
    ("entities.index", "Contacts", "contact-round"),
    ("rules.index", "Rules", "zap"),
    ("pipelines.index", "Pipelines", "git-branch"),
    ("people.index", "People", "users-round"),
)
"""Endpoint, word, icon; the first four have room on narrow screens."""


def init_app(app: Flask) -> None:
    """Give templates `person`, `unread` and `navigation`."""
    app.context_processor(_context)


def _context() -> dict[str, Any]:
    person: Person | None = g.get("person")
    views = current_app.view_functions
    places = [place for place in PLACES if place[0] in views and is_open_to(views[place[0]], person)]
    return {"person": person, "unread": g.get("unread", 0), "navigation": places}
