"""The drop of a card: one request moves the deal, and the answer draws the columns as the database has them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from babel.numbers import get_currency_name
from flask import flash, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, clock, ledger, rights
from crmweb.errors import (
    ConflictError,
    CRMError,
    PermissionDeniedError,
    StageFullError,
    WorkflowExecutionError,
)
from crmweb.extensions import db
from crmweb.forms import open_tasks
from crmweb.forms.moves import MoveForm
from crmweb.ledger import Ledger
from crmweb.models import Deal
from crmweb.models.deal import Elsewhere, Move
from crmweb.queries import deals, runs
from crmweb.queries.board import Board, Money
from crmweb.queries.deals import DealDetail
from crmweb.web import board as board_page
from crmweb.web import filters, questions
from crmweb.web.access import Person, access, me
from crmweb.web.deals import bp, leave_form, move_form
from crmweb.web.htmx import is_htmx
from crmweb.web.outcome import flash_failures, with_undo


@bp.post("/deals/<uuid:deal_id>/stage")
@bp.post("/deals/<uuid:deal_id>/pipeline", endpoint="leave")
@access("everyone")
def stage(deal_id: UUID) -> Response | tuple[str, int] | str:
    """A card was dropped, or a move form sent: move the deal, answer with the columns as they are now."""
    person, seen = me(), deals.load(db.session(), deal_id)
    form = MoveForm.of(request.form, person.locale)
    heard: dict[str, Any] = {}

    def work(session: Session) -> Any:
        deal = Deal.locked(session, deal_id)
        heard.update(ledger=ledger.of(session), deal=deal)
        rights.require_edit_deal(person, deal)
        moved = deal.move_to(by=person, **wanted)
        if form.open_tasks.data == "complete" and moved.kind == "moved" and deal.status != "open":
            open_tasks.complete(session, deal, person)
        return moved

    try:
        if not rights.may_edit_deal(person, seen.owner_id):
            raise PermissionDeniedError("Only the owner or a manager can move this deal.")
        wanted = _wanted(form, person)
        move = changes.commit(work, by=person, key=wanted["key"])
    except CRMError as refusal:
        return _refused(seen, form, refusal, person)
    left = _left_open(heard["deal"], move, form, person)
    told = _told(move, heard["deal"], heard["ledger"], person)
    if not is_htmx():
        if told:
            flash(told, "undo")  # type: ignore[arg-type]
        flash_failures(runs.failures(heard["ledger"].runs), "Moved.")
        if left:
            flash(_open_tasks_link(deal_id, left), "done")
        return redirect(_card_url(seen, heard["deal"]), code=303)
    touched = {move.old_stage_id, move.new_stage_id, heard["deal"].stage_id}
    shown = board_page.shown(_board(seen, form), person, touched)
    said = _said(shown["board"], heard["deal"], person, heard["ledger"].runs)
    return render_template(
        "board/_moved.html", message=said, failures=runs.failures(heard["ledger"].runs), told=told, moved_id=deal_id,
        open_tasks=left, **shown,
    )  # fmt: skip


def _wanted(form: MoveForm, person: Person) -> dict[str, Any]:
    """What `Deal.move_to` takes. Only what is sent to its own address takes a deal out of its pipeline."""
    wanted = form.request(rights.may(person, "overfill_stage"))
    rights.require_give_deal(person, wanted["asked"].given.get("assigned_to"))
    return {**wanted, "stage": Elsewhere(wanted["stage"])} if _is_leaving() else wanted


def _is_leaving() -> bool:
    return request.endpoint == "deals.leave"


def _board(seen: DealDetail, form: MoveForm) -> UUID:
    """The pipeline whose board the person looks at; the deal may have left it."""
    came_from = form.from_stage_id.data
    if came_from is None or came_from == seen.stage_id:
        return seen.pipeline_id
    return deals.pipeline_of(db.session(), came_from) or seen.pipeline_id


def _told(move: Move, deal: Deal, made: Ledger, person: Person) -> dict[str, str] | None:
    """The toast that offers to undo a move; None when it was none, or the deal is now another's to change."""
    if move.kind != "moved" or not rights.may_edit_deal(person, deal.assigned_to_id):
        return None
    acted = sum(run["outcome"] == "acted" for run in made.runs)
    rules = f"{acted} rule{'s' if acted > 1 else ''} acted." if acted else ""
    return with_undo(f"Moved to {_place(deal)}.", made.id, rules, deal.id)


def _refused(seen: DealDetail, form: MoveForm, refusal: CRMError, person: Person) -> tuple[str, int]:
    """The true columns, and the reason or a question; without scripts the question, or the move form and the reason."""
    deal = deals.load(db.session(), seen.id)
    question = questions.asked(deal, refusal, person)
    may_let_in = isinstance(refusal, StageFullError) and rights.may(person, "overfill_stage")
    fact, meaning = _words(refusal, person)
    if not is_htmx():
        if question:
            return render_template("deals/ask.html", **question), refusal.status
        typed = {"chosen": form.stage_id.data, "note": form.note.data, "lost_reason": form.lost_reason.data}
        again = leave_form if _is_leaving() else move_form
        return again(deal, f"{fact} {meaning}".strip(), may_let_in=may_let_in, **typed), refusal.status
    touched = {seen.stage_id, deal.stage_id, form.from_stage_id.data, form.stage_id.data}
    shown = board_page.shown(_board(seen, form), person, touched)
    if question:
        return render_template("board/_asked.html", **shown, **question), refusal.status
    answer = render_template(
        "board/_refused.html", message=fact, meaning=meaning, deal=deal,
        again=_again() if may_let_in else [], **shown,
    )  # fmt: skip
    return answer, refusal.status


def _words(refusal: CRMError, person: Person) -> tuple[str, str]:
    """What is so, and what it means for the person's move."""
    if isinstance(refusal, ConflictError):
        fact = f"This deal is in {refusal.where} by now."
        if refusal.who and refusal.at:
            when = filters.ago(refusal.at, clock.now(), person.timezone, person.locale)
            fact = f"{refusal.who} moved this deal to {refusal.where} {when}."
        shown = " The board now shows where it really is." if is_htmx() else ""
        return fact, f"Your move was not made.{shown}"
    if isinstance(refusal, StageFullError):
        whom = "let it in." if rights.may(person, "overfill_stage") else "ask a manager to let it in."
        return f"{refusal.stage} is full: {refusal.held} of {refusal.most}.", f"Move one on first, or {whom}"
    if isinstance(refusal, WorkflowExecutionError):
        return f"Not moved: “{refusal.rule_name}” stopped it.", str(refusal.cause)
    return str(refusal), ""


def _place(deal: Deal) -> str:
    """The stage where a deal is now; with its pipeline when it came from another one."""
    return f"{deal.stage.name} in {deal.stage.pipeline.name}" if _is_leaving() else deal.stage.name


def _said(board: Board, deal: Deal, person: Person, runs: Any) -> str:
    """What a screen reader hears of a move: the deal, its stage, its place, the stage's total."""
    for column in board.columns:
        for place, card in enumerate(column.cards, 1):
            if card.id == deal.id:
                sums = " and ".join(_spoken(money, person.locale) for money in column.totals)
                total = f" Total {sums}." if sums else ""
                acted = sum(run["outcome"] == "acted" for run in runs)
                rules = f" {acted} rule{'s' if acted > 1 else ''} acted." if acted else ""
                return (
                    f"{card.name} moved to {column.name}, position {place} of {column.count}.{total}{rules}"
                )
    return f"{deal.name} moved to {_place(deal)}. It is not among the cards shown."


def _spoken(money: Money, locale: str) -> str:
    """A sum as it is read out: "1,382,000 euros"."""
    return f"{filters.number(money.amount, locale)} {get_currency_name(money.currency, money.amount, locale='en')}"


def _left_open(deal: Deal, move: Move, form: MoveForm, person: Person) -> int:
    """How many tasks the person might still complete of a deal that was just won or lost, and was not asked about."""
    if move.kind != "moved" or deal.status == "open" or form.open_tasks.data:
        return 0
    return len(open_tasks.listed(db.session(), deal, person))


def _open_tasks_link(deal_id: UUID, count: int) -> Markup:
    """The same question for browsers without scripts."""
    words = "1 task is still open." if count == 1 else f"{count} tasks are still open."
    url = url_for("deals.tasks", deal_id=deal_id)
    return Markup('{} <a href="{}">Complete or keep {}</a>').format(
        words, url, "it" if count == 1 else "them"
    )


def _again() -> list[tuple[str, str]]:
    """The same request as fields, for whoever may open what refused it."""
    once = ("csrf_token", "idempotency_key", "shown", "seen", "view", "let_in")
    return [(name, value) for name, value in request.form.items(multi=True) if name not in once]


def _card_url(seen: DealDetail, deal: Deal) -> str:
    """The board at the card, under the view that the form came from when it is the same board."""
    pipeline_id = deal.stage.pipeline_id
    query = request.form.get("view", "").lstrip("?")[:500] if pipeline_id == seen.pipeline_id else ""
    return f"{url_for('board.show', pipeline_id=pipeline_id)}{'?' if query else ''}{query}#deal-{deal.id}"
