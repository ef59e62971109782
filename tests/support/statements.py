"""Counts the SQL statements that a piece of code sends, for budgets, and tells how the database goes about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from crmweb.extensions import db

UNCOUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass
class Statements:
    """What was sent, in order; `len()` is the count, `str()` a numbered list for the reader of a failed test."""

    sent: list[str] = field(default_factory=list)
    writing: list[str] = field(default_factory=list)
    """Those inside the write transaction of `changes.commit`."""

    def __len__(self) -> int:
        return len(self.sent)

    def __str__(self) -> str:
        return "\n".join(f"{number:>3}. {text}" for number, text in enumerate(self.sent, 1))


@contextmanager
def count_statements() -> Iterator[Statements]:
    """Inside, every statement is counted, but for those that only open and close transactions."""
    statements, engine = Statements(), db.engine

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        text = " ".join(statement.split())
        if not text.upper().startswith(UNCOUNTED):
            statements.sent.append(text)
            if db.session.info.get("is_writing"):
                statements.writing.append(text)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)


def plans(work: Callable[[], object]) -> str:
    """How the database goes about the queries that `work` sends, a line for each step.

    PostgreSQL reads a handful of rows whole; it is forbidden to here, as it would not with many.
    """
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    with db.engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        steps = [row for each in asked for row in connection.exec_driver_sql(f"{explain} {each[0]}", each[1])]
    return "\n".join(str(row[-1]) for row in steps)
