"""The one door: nothing but `commit` commits.

One transaction: the work, the rules until they are quiet, the history, the totals, COMMIT; then the signals. Whatever
the database asks to try again is done again from the start, so work takes ids and does nothing but talk to its session.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from crmweb import models, noting, signals, transactions, workflow
from crmweb.errors import UnsavedChangesError, WorkflowExecutionError
from crmweb.extensions import db
from crmweb.ledger import TRACKED, UNTRACKED, Ledger
from crmweb.models import guards
from crmweb.models.base import text
from crmweb.models.moving import LONGEST_KEY
from crmweb.models.user import SYSTEM, Actor, Author
from crmweb.totals import Effects

__all__ = ["TRACKED", "TRIES", "UNTRACKED", "begin", "commit", "refuse_unsaved", "rehearse"]

T = TypeVar("T")
TRIES = 8


@overload
def commit(
    work: None = None, *, by: Author | None = ..., cause: str = ..., key: str | None = ..., parent: UUID | None = ...
) -> None: ...  # fmt: skip
@overload
def commit(
    work: Callable[[Session], T], *, by: Author | None = ..., cause: str = ..., key: str | None = ...,
    parent: UUID | None = ...,
) -> T: ...  # fmt: skip
def commit(
    work: Callable[[Session], T] | None = None, *, by: Author | None = None, cause: str = "person",
    key: str | None = None, parent: UUID | None = None,
) -> T | None:  # fmt: skip
    """Run `work(session)` in one write transaction with everything that follows from it, and return its result.

    `by` is the author, `cause` one of `models.history.CAUSES`, `key` kept with the change set, `parent` the change set
    that this one undoes. `work` may run up to TRIES times. Without `work` the session's own pending objects are saved,
    in one try. Cause `bookkeeping` (sessions, throttles) leaves no change set.

    Raises what `work` raises; UnsavedChangesError when the session holds changes that `work` would lose; FieldError
    or ConflictError when the database refuses (a name was just taken, a pending object was stale);
    WorkflowExecutionError when a rule with on_failure `undo` failed.
    """
    session, author, key = db.session(), Actor.of(by) if by else SYSTEM, _checked(key)
    if work is None:
        _commit_pending(session, Ledger(author, cause, parent, key), is_signed=by is not None)
        return None
    refuse_unsaved(session)
    session.rollback()
    for tried in range(1, TRIES + 1):
        session.expire_all()
        ledger = Ledger(author, cause, parent, key)
        try:
            result = _run(session, ledger, work)
        except Exception as error:
            session.rollback()
            if tried == TRIES or not transactions.is_retryable(error):
                _explain(ledger, error)
                raise
            time.sleep(random.uniform(0, 0.0025 * 2**tried))  # noqa: S311  nobody gains by guessing it
        else:
            _announce(session, ledger)
            return result
    raise AssertionError("unreachable")


def rehearse(work: Callable[[Session], T], *, by: Author) -> tuple[T | None, Ledger]:
    """Run `work(session)` and the rules as `commit` would, then take all of it back; what the ledger had noted.

    Nothing is saved, told or sent. A rule that would undo the change ends it, and there is no result but its failed
    run in the ledger. Raises what `work` raises.
    """
    session = db.session()
    refuse_unsaved(session)
    session.rollback()
    for tried in range(1, TRIES + 1):
        session.expire_all()
        ledger = Ledger(Actor.of(by))
        session.info["is_working"] = True
        try:
            _open(session, ledger)
            result = work(session)
            session.flush()
            workflow.run(session, ledger)
        except WorkflowExecutionError:
            return None, ledger
        except Exception as error:
            if tried == TRIES or not transactions.is_retryable(error):
                raise
        else:
            return result, ledger
        finally:
            del session.info["is_working"]
            session.rollback()
    raise AssertionError("unreachable")


def begin(session: Session) -> Ledger:
    """The change set that the session is writing; begins one, by System, when there is none."""
    if "ledger" not in session.info:
        _open(session, Ledger())
    ledger: Ledger = session.info["ledger"]
    return ledger


def refuse_unsaved(session: Session) -> None:
    """UnsavedChangesError when the session holds changes that a piece of work would lose."""
    if session.info.get("is_working"):
        raise UnsavedChangesError(
            "This runs inside the work of a changes.commit() already; it cannot begin another."
        )
    if unsaved := _unsaved(session):
        raise UnsavedChangesError(
            f"The session holds unsaved changes of {unsaved!r}. "
            "Save them with changes.commit() first, or make them inside the work."
        )


def _run(session: Session, ledger: Ledger, work: Callable[[Session], T]) -> T:
    session.info["is_working"] = True
    try:
        _open(session, ledger)
        result = work(session)
        _settle(session, ledger)
    finally:
        del session.info["is_working"]
    return result


def _commit_pending(session: Session, ledger: Ledger, *, is_signed: bool) -> None:
    if session.info.get("is_working"):
        refuse_unsaved(session)
    begun: Ledger | None = session.info.get("ledger")
    try:
        if begun is None:
            _open(session, ledger)
        else:  # by an earlier flush
            begun.by = ledger.by if is_signed else begun.by
            begun.cause, begun.key, ledger = ledger.cause, ledger.key, begun
        _settle(session, ledger)
    except Exception as error:
        session.rollback()
        _explain(ledger, error)
        raise
    _announce(session, ledger)


def _open(session: Session, ledger: Ledger) -> None:
    transactions.begin_write(session)
    session.info["ledger"], session.info["effects"] = ledger, Effects()
    ledger.rules_version = session.info.pop("rules_version", None)


def _settle(session: Session, ledger: Ledger) -> None:
    """Everything between the work and the end of the transaction, in this order."""
    session.flush()
    if ledger.cause not in ("undo", "bookkeeping"):
        workflow.run(session, ledger)
    for record, changed in ledger.changed:
        guards.check_dependents(session, record, changed)
    if ledger.are_rules_changed:
        workflow.raise_rules_version(session)
    ledger.write(session)
    session.info["effects"].write(session)
    session.info["is_committing"] = True
    try:
        session.commit()
    finally:
        del session.info["is_committing"]


def _explain(ledger: Ledger, error: Exception) -> None:
    """Leave the failed run of a rule that undid everything; say in words what the database refused."""
    if isinstance(error, WorkflowExecutionError) and ledger.runs:
        failed = [{**run, "change_set_id": None} for run in ledger.runs if run["outcome"] == "failed"]
        commit(lambda session: workflow.keep_failures(session, failed), cause="bookkeeping")
    elif refusal := transactions.refusal(error):
        raise refusal from error


def _announce(session: Session, ledger: Ledger) -> None:
    """Tell the subscribers. All is saved: whatever they do, it stays, and the session is as good as before."""
    heard = [told for told in ledger.events if told.signal.receivers]
    if not heard:
        return
    for deal_id in dict.fromkeys(told.payload["deal"].id for told in heard):
        session.get(models.Deal, deal_id, populate_existing=True)
    if not signals.announce(heard) or _unsaved(session):
        session.rollback()


def _checked(key: str | None) -> str | None:
    return text("idempotency_key", key, most=LONGEST_KEY, required=False, label="The key")


def _unsaved(session: Session) -> Any:
    """The first record whose change is not saved yet; None when there is none."""
    changed = (dirty for dirty in session.dirty if session.is_modified(dirty))
    ledger: Ledger | None = session.info.get("ledger")
    flushed = ledger.flushed if ledger else None
    return next(iter([*session.new, *session.deleted, *changed]), flushed)


def _before_flush(session: Session, *_: Any) -> None:
    changed = [*session.new, *session.dirty, *session.deleted]
    if not changed:
        return
    ledger = begin(session)
    ledger.flushed = ledger.flushed or changed[0]
    workflow.prepare_rules(session, ledger)
    noting.note(session, ledger)
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
