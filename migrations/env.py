"""How migrations run: in one transaction on both databases, an interrupted one leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

database = current_app.extensions["migrate"].db
options = {
    **current_app.extensions["migrate"].configure_args,
    "target_metadata": database.metadata,
    "transactional_ddl": True,
}


def render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write our own column types as what they are in the database, so that old migrations need no code of today."""
    if kind == "type" and isinstance(item, TypeDecorator):
        return f"sa.{item.impl_instance!r}"
    return False


def print_statements() -> None:
    """`flask db upgrade --sql`: what would be done, for a database that somebody else administers."""
    url = database.engine.url
    context.configure(url=url, dialect_name=url.get_backend_name(), literal_binds=True, **options)
    with context.begin_transaction():
        context.run_migrations()


def migrate() -> None:
    """Bring the database up to date, or compare it with the models."""
    with database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            with without_foreign_keys(connection):
                run(connection.execution_options(crmweb_write=True))
        else:
            run(connection)


def run(connection: Connection) -> None:
    """What was asked for, in one transaction."""
    context.configure(connection=connection, render_item=render_item, **options)
    with context.begin_transaction():
        before = context.get_context().get_current_heads()
        context.run_migrations()
        is_changed = context.get_context().get_current_heads() != before
        if is_changed and connection.dialect.name == "sqlite":
            refuse_orphans(connection)


def refuse_orphans(connection: Connection) -> None:
    """RuntimeError when rows refer to nothing: SQLite did not watch."""
    if orphans := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise RuntimeError(f"The migration would leave rows that refer to nothing: {orphans[:5]}")


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by copying it; dropping the old one would delete what refers to it."""
    dbapi: Any = connection.connection.driver_connection
    dbapi.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        dbapi.execute("PRAGMA foreign_keys=ON")


if context.is_offline_mode():
    print_statements()
else:
    migrate()
