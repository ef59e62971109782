"""The board, and the drop of a card on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from babel.numbers import get_currency_name
from flask import Blueprint, Response, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from crmweb import changes, clock, ledger, rights, sign_in
from crmweb.errors import ConflictError, CRMError, PermissionDeniedError, WorkflowExecutionError
from crmweb.extensions import db
from crmweb.forms.moves import MoveForm, pairs
from crmweb.models import Deal
from crmweb.queries import board as boards
from crmweb.queries import deals
from crmweb.queries.board import Board
from crmweb.queries.deals import DealDetail
from crmweb.queries.lanes import Filter
from crmweb.web import deals as deal_pages
from crmweb.web import filters
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
        mine = asked.get("mine") == "1"
        chosen = Filter(
            asked.get("q", "").replace("\x00", "").strip()[:LONGEST_FILTER], mine, person.id if mine else None
        )
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
    return tagged(_columns("board/_changes.html", pipeline_id, me()), str(now))


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


@deal_pages.bp.post("/deals/<uuid:deal_id>/stage")
@access("everyone")
def stage(deal_id: UUID) -> BaseResponse | tuple[str, int] | str:
    """A card was dropped, or the move form sent: move the deal, answer with the columns as they are now."""
    person, seen = me(), deals.load(db.session(), deal_id)
    form = MoveForm(request.form)
    heard: dict[str, Any] = {}

    def work(session: Session) -> Any:
        deal = Deal.locked(session, deal_id)
        heard.update(ledger=ledger.of(session), deal=deal)
        rights.require_edit_deal(person, deal)
        return deal.move_to(by=person, **wanted)

    try:
        if not rights.may_edit_deal(person, seen.owner_id):
            raise PermissionDeniedError("Only the owner or a manager can move this deal.")
        wanted = form.request()
        move = changes.commit(work, by=person, key=wanted["key"])
    except CRMError as refusal:
        return _refused(seen, form, refusal, person)
    if not is_htmx():
        return redirect(_card_url(seen), code=303)
    touched = {move.old_stage_id, move.new_stage_id, heard["deal"].stage_id}
    return _columns(
        "board/_moved.html", seen.pipeline_id, person, touched, moved=deal_id, runs=heard["ledger"].runs
    )


def _refused(seen: DealDetail, form: MoveForm, refusal: CRMError, person: Person) -> tuple[str, int]:
    """The true columns and the reason; without scripts the move form and the reason."""
    fact, meaning = _words(refusal, person)
    deal = deals.load(db.session(), seen.id)
    if not is_htmx():
        typed = {"chosen": form.stage_id.data, "note": form.note.data, "lost_reason": form.lost_reason.data}
        return deal_pages.move_form(deal, f"{fact} {meaning}".strip(), **typed), refusal.status
    touched = {seen.stage_id, deal.stage_id, form.from_stage_id.data, form.stage_id.data}
    context: dict[str, Any] = {
        "message": fact,
        "meaning": meaning,
        "deal_url": url_for("deals.show", deal_id=deal.id),
    }
    return _columns("board/_refused.html", seen.pipeline_id, person, touched, **context), refusal.status


def _words(refusal: CRMError, person: Person) -> tuple[str, str]:
    """What is so, and what it means for the person's move."""
    if isinstance(refusal, ConflictError) and refusal.who and refusal.at:
        when = filters.ago(refusal.at, clock.now(), person.timezone, person.locale)
        return (
            f"{refusal.who} moved this deal to {refusal.where} {when}.",
            "Your move was not made. The board now shows where it really is.",
        )
    if isinstance(refusal, ConflictError):
        return (
            f"This deal is in {refusal.where} by now.",
            "Your move was not made. The board now shows where it really is.",
        )
    if isinstance(refusal, WorkflowExecutionError):
        return f"Not moved: “{refusal.rule_name}” stopped it.", str(refusal.cause)
    return str(refusal), ""


def _columns(
    template: str, pipeline_id: UUID, person: Person, touched: set[UUID | None] | None = None, *,
    moved: UUID | None = None, runs: Any = (), **context: Any,
) -> str:  # fmt: skip
    """Partials of the columns that changed, at the number of cards that the page shows, under its view.

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
    if moved is not None:
        context |= {"message": _said(board, moved, person, runs), "failures": _failures(runs)}
    panel = deal_pages.open_panel(view.deal_id, person)
    return render_template(
        template, board=board, columns=columns, others=others, is_rearranged=is_rearranged,
        may_move=_may_move(person), **panel, **context,
    )  # fmt: skip


def _said(board: Board, deal_id: UUID, person: Person, runs: Any) -> str:
    """What a screen reader hears of a move: the deal, its stage, its place, the stage's total."""
    for column in board.columns:
        for place, card in enumerate(column.cards, 1):
            if card.id == deal_id:
                sums = " and ".join(_spoken(money, person.locale) for money in column.totals)
                total = f" Total {sums}." if sums else ""
                acted = sum(run["outcome"] == "acted" for run in runs)
                rules = f" {acted} rule{'s' if acted > 1 else ''} acted." if acted else ""
                return (
                    f"{card.name} moved to {column.name}, position {place} of {column.count}.{total}{rules}"
                )
    return "Moved. The deal is not among the cards shown."


def _spoken(money: boards.Money, locale: str) -> str:
    """A sum as it is read out: "1,382,000 euros"."""
    return f"{filters.number(money.amount, locale)} {get_currency_name(money.currency, money.amount, locale='en')}"


def _failures(runs: Any) -> list[str]:
    """A sentence for each rule that did not run although the move stands."""
    return [run["error"] for run in runs if run["outcome"] == "failed"]


def _card_url(deal: DealDetail) -> str:
    """The board at the card, under the view that the form came from."""
    query = request.form.get("view", "").lstrip("?")[:500]
    url = url_for("board.show", pipeline_id=deal.pipeline_id)
    return f"{url}{'?' if query else ''}{query}#deal-{deal.id}"


def _may_move(person: Person) -> Any:
    """Whether the person may move a deal, by its owner."""
    return partial(rights.may_edit_deal, person)
