"""How migrations run: in one transaction on both databases, an interrupted one leaves nothing behind."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
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
        is_sqlite = connection.dialect.name == "sqlite"
        dbapi: Any = connection.connection.driver_connection
        if is_sqlite:
            # A table is changed by copying it, and dropping the old one would delete what refers to it.
            dbapi.execute("PRAGMA foreign_keys=OFF")
            connection = connection.execution_options(crmweb_write=True)  # noqa: PLW2901
        context.configure(connection=connection, render_item=render_item, **options)
        with context.begin_transaction():
            context.run_migrations()
            if is_sqlite and (orphans := dbapi.execute("PRAGMA foreign_key_check").fetchall()):
                raise RuntimeError(f"The migration would leave rows that refer to nothing: {orphans[:5]}")
        if is_sqlite:
            dbapi.execute("PRAGMA foreign_keys=ON")


if context.is_offline_mode():
    print_statements()
else:
    migrate()
