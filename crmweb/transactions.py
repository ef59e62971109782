"""How transactions begin: SQLite as it must be set up, reads deferred, writes at once and one after the other.

SQLite: `BEGIN` for reads, `BEGIN IMMEDIATE` for writes, and around each write a lock on a side file (the gate), so that
writers queue fairly instead of polling. PostgreSQL: READ COMMITTED, nothing special; rows are locked by primary key.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.exc import StaleDataError

from crmweb import config
from crmweb.errors import ConflictError, CRMError, FieldError

try:
    import fcntl
except ImportError:
    HAS_GATE = False  # a system without it waits by busy_timeout alone
else:
    HAS_GATE = True

RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})


def prepare_engine(engine: Engine) -> None:
    """Give each connection of a SQLite engine its pragmas and explicit transactions; PostgreSQL needs nothing."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _pragmas(dbapi: Any, _: Any) -> None:
        dbapi.isolation_level = None
        for pragma in (
            "busy_timeout=10000",  # first: switching to WAL may have to wait, too
            "journal_mode=WAL",
            "foreign_keys=ON",
            f"synchronous={config.settings.sqlite_synchronous}",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_write = connection.get_execution_options().get("crmweb_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def begin_write(session: Session) -> None:
    """Turn the session's transaction into a write transaction, keeping its pending objects.

    What was read before is forgotten by SQLite, not by the session: only freshly loaded objects are true.
    """
    if session.info.get("is_writing"):
        return
    if session.get_bind().dialect.name == "sqlite":
        is_reading = session.in_transaction() and bool(
            getattr(session.get_transaction(), "_connections", None)
        )
        session.info["gate"] = _enter_gate(session)
        if is_reading:
            for statement in ("ROLLBACK", "BEGIN IMMEDIATE"):
                session.connection().exec_driver_sql(statement)
        else:
            session.connection(execution_options={"crmweb_write": True})
    session.info["is_writing"] = True


def listen(session_class: Any) -> None:
    """Open the gate again when a session's outermost transaction has ended."""

    @event.listens_for(session_class, "after_transaction_end")
    def _leave(session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            session.info.pop("is_writing", None)
            if (gate := session.info.pop("gate", None)) is not None:
                os.close(gate)


def is_retryable(error: Exception) -> bool:
    """Whether the database asked for another try: serialization failure, deadlock, lock time-out, stale row."""
    if isinstance(error, StaleDataError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    return state in RETRIED_STATES or "database is locked" in str(error.orig)


def refusal(error: Exception) -> CRMError | None:
    """What the database refused, in words for people; None when it is another fault."""
    if isinstance(error, StaleDataError):
        return ConflictError(
            "Somebody else changed this in the meantime. Load it again and repeat your change."
        )
    state, said = getattr(getattr(error, "orig", None), "sqlstate", None), str(getattr(error, "orig", ""))
    if not isinstance(error, IntegrityError):
        return None
    for known, (words, refuse) in REFUSALS.items():
        if state == known if state else words in said:
            return refuse(error.orig, said)
    return None


def _missing(error: Any, said: str) -> CRMError:
    field = (error.diag.column_name if hasattr(error, "diag") else said.rpartition(".")[2]).removesuffix(
        "_id"
    )
    return FieldError(field, f"{field.replace('_', ' ').capitalize()} is missing.")


def _gone(_: Any, __: str) -> CRMError:
    return ConflictError("Something that this belongs to is not there any more. Load it again.")


def _taken(_: Any, said: str) -> CRMError:
    for field, name in (("email", "e-mail address"), ("name", "name")):
        if f"{field}_key" in said:
            return FieldError(field, f"Somebody has taken this {name} already. Choose another one.")
    return ConflictError(
        "Somebody else saved the same in the meantime. Load it again and repeat your change."
    )


REFUSALS: dict[str, tuple[str, Callable[[Any, str], CRMError]]] = {
    "23502": ("NOT NULL", _missing),
    "23503": ("FOREIGN KEY", _gone),
    "23505": ("UNIQUE", _taken),
}
"""SQLSTATE of PostgreSQL, words of SQLite → what is said."""


def _enter_gate(session: Session) -> int | None:
    path = session.get_bind().engine.url.database
    if not HAS_GATE or not path or path == ":memory:":
        return None
    gate = os.open(Path(path).with_suffix(".gate"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
    except BaseException:
        os.close(gate)
        raise
    return gate
