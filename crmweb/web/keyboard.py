"""What the board's keys do."""

from __future__ import annotations

from flask import Blueprint, render_template

from crmweb.web.access import access
from crmweb.web.htmx import is_htmx

bp = Blueprint("keyboard", __name__)


@bp.get("/keyboard")
@access("everyone")
def show() -> str:
    """The keys: for the board's dialog, or as a page."""
    return render_template("keyboard/_keys.html" if is_htmx() else "keyboard/show.html", heading="h2")
