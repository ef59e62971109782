"""The one door: nothing but `commit` commits.

One transaction: the work, the rules until they are quiet, the history, the totals, COMMIT; then the signals. Whatever
the database asks to try again is done again from the start, so work takes ids and does nothing but talk to its session.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import event, insert, update
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.exc import StaleDataError

from crmweb import models, signals, transactions, workflow
from crmweb.errors import ConflictError, UnsavedChangesError, WorkflowExecutionError
from crmweb.extensions import db
from crmweb.ledger import TRACKED, UNTRACKED, Ledger
from crmweb.models.user import SYSTEM, Actor, Author
from crmweb.totals import Effects

__all__ = ["TRACKED", "TRIES", "UNTRACKED", "commit"]

T = TypeVar("T")
TRIES = 8


def commit(
    work: Callable[[Session], T] | None = None, *, by: Author | None = None, cause: str = "person",
    key: str | None = None, parent: UUID | None = None,
) -> T | None:  # fmt: skip
    """Run `work(session)` in one write transaction with everything that follows from it, and return its result.

    `by` is the author, `cause` one of `models.history.CAUSES`, `key` kept with the change set, `parent` the change set
    that this one undoes. `work` may run up to TRIES times. Without `work` the session's own pending objects are saved,
    in one try. Cause `bookkeeping` (sessions, throttles) leaves no change set.

    Raises what `work` raises; UnsavedChangesError when the session holds changes that `work` would lose;
    WorkflowExecutionError when a rule with on_failure `undo` failed; ConflictError when a pending object was stale.
    """
    session = db.session()
    author = Actor.of(by) if by else SYSTEM
    if work is None:
        return _commit_pending(session, author, by is not None, cause, key)
    _refuse_unsaved(session)
    session.rollback()
    for attempt in range(TRIES):
        session.expire_all()
        ledger = Ledger(author, cause, parent, key)
        try:
            _open(session, ledger)
            result = work(session)
            _settle(session, ledger)
        except Exception as error:
            session.rollback()
            if isinstance(error, WorkflowExecutionError) and ledger.runs:
                _keep_failed_run(ledger)
            if not transactions.is_retryable(error) or attempt == TRIES - 1:
                raise
            time.sleep(random.uniform(0, 0.005 * 2**attempt))
        else:
            _announce(session, ledger)
            return result
    raise AssertionError("unreachable")


def _commit_pending(session: Session, author: Author, is_named: bool, cause: str, key: str | None) -> None:
    ledger: Ledger | None = session.info.get("ledger")
    try:
        if ledger is None:
            ledger = Ledger(author, cause, key=key)
            _open(session, ledger)
        elif is_named:
            ledger.by = Actor.of(author)
            values = {"by_user_id": author.id, "by_label": None if author.id else author.name}
            session.connection().execute(
                update(models.ChangeSet).where(models.ChangeSet.id == ledger.id).values(values)
            )
        _settle(session, ledger)
    except StaleDataError as stale:
        session.rollback()
        raise ConflictError(
            "Somebody else changed this in the meantime. Load it again and repeat your change."
        ) from stale
    except Exception as error:
        session.rollback()
        if isinstance(error, WorkflowExecutionError) and ledger is not None and ledger.runs:
            _keep_failed_run(ledger)
        raise
    _announce(session, ledger)


def _open(session: Session, ledger: Ledger) -> None:
    session.info["ledger"], session.info["effects"] = ledger, Effects()
    ledger.rules_version = session.info.pop("rules_version", None)
    transactions.begin_write(session)


def _settle(session: Session, ledger: Ledger) -> None:
    """Everything between the work and the end of the transaction, in this order."""
    session.flush()
    if ledger.cause not in ("undo", "bookkeeping"):
        workflow.run(session, ledger)
    if ledger.are_rules_changed:
        workflow.raise_rules_version(session)
    _write_history(session, ledger)
    session.info["effects"].write(session)
    session.info["is_committing"] = True
    try:
        session.commit()
    finally:
        session.info.pop("is_committing", None)


def _write_history(session: Session, ledger: Ledger) -> None:
    connection = session.connection()
    for model, rows in (
        (models.Change, ledger.rows),
        (models.RuleRun, ledger.runs),
        (models.RuleLook, ledger.looks),
    ):
        if rows:
            connection.execute(insert(model), rows)
    if ledger.active_deals:
        table: Any = models.Deal.__table__
        active = table.update().where(table.c.id.in_(ledger.active_deals))
        connection.execute(active.values(last_human_activity_at=ledger.at, updated_at=table.c.updated_at))


def _keep_failed_run(ledger: Ledger) -> None:
    """A rule undid the whole change: its failed run is written in a short transaction of its own."""
    runs = [{**run, "change_set_id": None} for run in ledger.runs if run["outcome"] == "failed"]
    commit(lambda session: workflow.keep_failures(session, runs), cause="bookkeeping")


def _announce(session: Session, ledger: Ledger) -> None:
    heard = [event for event in ledger.events if event.signal.receivers]
    for deal in {event.payload["deal"].id: event.payload["deal"] for event in heard}.values():
        session.refresh(deal)
    signals.announce(heard)


def _refuse_unsaved(session: Session) -> None:
    unsaved = _unsaved(session)
    if unsaved:
        raise UnsavedChangesError(
            f"The session holds unsaved changes of {unsaved!r}. Save them with changes.commit() first, or make them inside the work."
        )


def _unsaved(session: Session) -> Any:
    for record in [
        *session.new,
        *session.deleted,
        *(dirty for dirty in session.dirty if session.is_modified(dirty)),
    ]:
        if isinstance(record, TRACKED):
            return record
    ledger: Ledger | None = session.info.get("ledger")
    return next((touch.record for touch in ledger.touches.values()), None) if ledger and ledger.rows else None


def _before_flush(session: Session, *_: Any) -> None:
    changed = [*session.new, *session.dirty, *session.deleted]
    if not any(isinstance(record, (*TRACKED, models.StageChange)) for record in changed):
        return
    if "ledger" not in session.info:
        _open(session, Ledger())
    ledger: Ledger = session.info["ledger"]
    workflow.prepare_rules(session, ledger)
    ledger.note(session)
    session.info["effects"].look(session)


def _before_commit(session: Session) -> None:
    if session.info.get("is_committing") or session.in_nested_transaction():
        return
    if unsaved := _unsaved(session):
        raise UnsavedChangesError(
            f"{unsaved!r} has changes. Only changes.commit() saves: it writes the history and runs the rules."
        )


def _after_transaction_end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop("ledger", None)
        session.info.pop("effects", None)


event.listen(db.session, "before_flush", _before_flush)
event.listen(db.session, "before_commit", _before_commit)
event.listen(db.session, "after_transaction_end", _after_transaction_end)
transactions.listen(db.session)
