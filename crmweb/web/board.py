"""The board: its page, its filter, what changed on it, more of its cards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from crmweb import rights, sign_in
from crmweb.extensions import db
from crmweb.forms.moves import pairs
from crmweb.queries import board as boards
from crmweb.queries import stage_facts
from crmweb.queries.lanes import MARKS, Filter
from crmweb.web import deals as deal_pages
from crmweb.web.access import Person, access, me, this_sign_in
from crmweb.web.htmx import is_htmx, tagged

bp = Blueprint("board", __name__)
LONGEST_FILTER = 200


@dataclass(frozen=True, slots=True)
class View:
    """What a board's address asks for: the filter, and the deal that is open beside it."""

    filter: Filter
    deal_id: UUID | None
    query: str

    @classmethod
    def of(cls, query: str, person: Person) -> View:
        """The view of a query string; what cannot be read counts as not asked for."""
        asked = {name: values[-1] for name, values in parse_qs(query.lstrip("?"), max_num_fields=50).items()}
        marks: dict[str, Any] = {name: asked.get(name) == "1" for name in MARKS}
        words = asked.get("q", "").replace("\x00", "").strip()[:LONGEST_FILTER]
        chosen = Filter(words, owner_id=person.id if marks["mine"] else None, **marks)
        try:
            deal_id = UUID(asked["deal"]) if "deal" in asked else None
        except ValueError:
            deal_id = None
        return cls(chosen, deal_id, query)


@bp.get("/")
@access("everyone")
def home() -> BaseResponse | str:
    """The board last seen, else the first one."""
    choices = boards.choices(db.session())
    if not choices:
        return render_template("board/none.html")
    seen = this_sign_in().board_id
    chosen = seen if seen in dict(choices) else choices[0][0]
    return redirect(url_for(".show", pipeline_id=chosen), code=303)


@bp.get("/pipelines/<uuid:pipeline_id>")
@access("everyone")
def show(pipeline_id: UUID) -> str:
    """The board as a page; for htmx what a changed filter changes."""
    person, session = me(), db.session()
    view = View.of(request.query_string.decode(errors="replace"), person)
    board = boards.fill(session, boards.load(session, pipeline_id, view.filter, person.id, view.query))
    if is_htmx():
        return render_template("board/_filtered.html", board=board, may_move=_may_move(person))
    sign_in.notice_board(this_sign_in(), pipeline_id)
    board.pipelines.extend(boards.choices(session))
    panel = deal_pages.open_panel(view.deal_id, person)
    return render_template("board/show.html", board=board, may_move=_may_move(person), **panel)


@bp.get("/pipelines/<uuid:pipeline_id>/changes", endpoint="changes")
@access("everyone")
def changes_since(pipeline_id: UUID) -> Response | tuple[str, int]:
    """The columns that changed since the state in HX-PTag; 304 when none did."""
    now = boards.version(db.session(), pipeline_id)
    if request.headers.get("HX-PTag") == str(now):
        return "", 304
    return tagged(render_template("board/_changes.html", **shown(pipeline_id, me())), str(now))


@bp.get("/pipelines/<uuid:pipeline_id>/stages/<uuid:stage_id>/cards")
@access("everyone")
def more(pipeline_id: UUID, stage_id: UUID) -> str:
    """The next cards of a lane."""
    person, session = me(), db.session()
    view = View.of(request.query_string.decode(errors="replace"), person)
    board = boards.load(session, pipeline_id, view.filter, person.id, view.query)
    column = boards.more(session, board, stage_id, request.args.get("after", ""))
    page = "board/_cards.html" if is_htmx() else "board/cards.html"
    return render_template(page, board=board, column=column, may_move=_may_move(person), first_run=False)


@bp.get("/pipelines/<uuid:pipeline_id>/stages/<uuid:stage_id>/statistics")
@access("everyone")
def statistics(pipeline_id: UUID, stage_id: UUID) -> str:
    """How long deals stay in a stage and where they go from there: for the board's dialog, or as a page."""
    stage = stage_facts.load(db.session(), pipeline_id, stage_id)
    if is_htmx():
        return render_template("board/_stage_facts.html", stage=stage, heading="h2")
    return render_template("board/stage_facts.html", stage=stage)


def shown(pipeline_id: UUID, person: Person, touched: set[UUID | None] | None = None) -> dict[str, Any]:
    """What the partials of the columns that changed need, at the number of cards that the page shows, under its view.

    Changed are those in `touched` and those whose version the page has not seen. A page that shows other stages, or in
    another order, gets the whole board.
    """
    values, session = request.values, db.session()
    view, seen = View.of(values.get("view", ""), person), pairs(values.getlist("seen"))
    board = boards.load(session, pipeline_id, view.filter, person.id, view.query)
    changed = touched
    is_rearranged = bool(seen) and list(seen) != [column.id for column in board.columns]
    if is_rearranged:
        changed = None
    elif seen:
        changed = {column.id for column in board.columns if seen.get(column.id) != column.version} | (
            touched or set()
        )
    board = boards.fill(session, board, pairs(values.getlist("shown")), changed)
    columns = [column for column in board.columns if changed is None or column.id in changed]
    others = [column for column in board.columns if column not in columns]
    return {
        "board": board, "columns": columns, "others": others, "is_rearranged": is_rearranged,
        "may_move": _may_move(person), **deal_pages.open_panel(view.deal_id, person),
    }  # fmt: skip


def _may_move(person: Person) -> Any:
    """Whether the person may move a deal, by its owner."""
    return partial(rights.may_edit_deal, person)
