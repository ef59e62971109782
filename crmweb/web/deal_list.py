"""The list of all deals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import render_template, request, url_for

from crmweb.extensions import db
from crmweb.queries import deal_list, entities
from crmweb.web import paging
from crmweb.web.access import access, me
from crmweb.web.deals import bp
from crmweb.web.htmx import is_htmx


@bp.get("/deals")
@access("everyone")
def index() -> str:
    """The deals of all pipelines, newest first: filtered by text, one's own, those of one company or person."""
    person, session = me(), db.session()
    text, mine, after = paging.words(), paging.mine(), paging.after()
    entity_id = request.args.get("entity", type=UUID)
    entity = entities.load(session, entity_id) if entity_id else None
    page = deal_list.page(
        session, text, owner_id=person.id if mine else None, entity_id=entity_id, after=after
    )
    asked: dict[str, Any] = {"q": text or None, "mine": 1 if mine else None, "entity": entity_id}
    return render_template(
        "deals/_list.html" if is_htmx() else "deals/index.html",
        deals=page.rows, text=text, mine=mine, entity=entity, is_first=after is None,
        mine_url=url_for(".index", **{**asked, "mine": None if mine else 1}),
        first_url=url_for(".index", **asked),
        next_url=url_for(".index", **asked, after=page.after) if page.after else "",
    )  # fmt: skip
