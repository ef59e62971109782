"""SQLite: pages are copied in one step, which readers and writers hardly notice; `cp` of a live file gives rubbish."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, delete

from crmweb import doctor
from crmweb.backup.files import (
    FORGOTTEN,
    BackupError,
    beside,
    migrate,
    name_to_keep,
    refuse_faults,
    refuse_release,
    taking_its_place,
)
from crmweb.doctor import Finding
from crmweb.doctor.database import integrity, standing

MAGIC = b"SQLite format 3\x00"


def make(engine: Engine, target: Path) -> list[Finding]:
    """Copy the database to `target`; answers what doctor found wrong in the copy."""
    database = _file(engine)
    if not database.exists():
        raise BackupError(f"There is no database {database} yet.")
    if target.exists() and target.samefile(database):
        raise BackupError(f"{target} is the database itself. Name another file.")
    with taking_its_place(target) as part:
        _copy(engine, database, part)
        with _opened(engine, part) as connection:
            connection.exec_driver_sql(
                "PRAGMA journal_mode=DELETE"
            )  # one file, also on a disk that cannot be written
            _refuse_damage(connection, database)
            return doctor.errors(doctor.examine(connection))


def restore(engine: Engine, source: Path, keep_in: Path, force: bool) -> tuple[Path | None, list[Finding]]:
    """Check a copy of `source`, keep what is there, then put the copy in its place."""
    _refuse_other_files(source)
    database = _file(engine)
    part = beside(database)
    try:
        _copy(engine, source, part)
        errors = _prepare(engine, part, source, force)
        kept = _keep(engine, database, keep_in)
        _copy(engine, part, database)
    finally:
        part.unlink(missing_ok=True)
    return kept, errors


def _prepare(engine: Engine, part: Path, source: Path, force: bool) -> list[Finding]:
    """Check the copy of the backup, and make it what is to be restored; answers what doctor found wrong in it."""
    with _opened(engine, part) as connection:
        _refuse_damage(connection, source)
        release = standing(connection)
        refuse_release(release, source)
    if release == "older":
        migrate(str(URL.create("sqlite", database=str(part))))
    with _opened(engine, part) as connection:
        errors = doctor.errors(doctor.examine(connection))
    refuse_faults(errors, source, force)
    with _opened(engine, part) as connection, connection.begin():
        for model in FORGOTTEN:
            connection.execute(delete(model))
    return errors


def _keep(engine: Engine, database: Path, folder: Path) -> Path | None:
    """Keep the present database under another name; None when there is none."""
    if not database.exists() or not database.stat().st_size:
        return None
    kept = name_to_keep(folder, database.stem, database.suffix)
    try:
        with taking_its_place(kept) as part:
            _copy(engine, database, part)
    except BackupError:
        # So damaged that it cannot be read page by page: it steps aside as it is.
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{database}{suffix}").replace(f"{kept}{suffix}")
    return kept


def _copy(engine: Engine, source: Path, target: Path) -> None:
    """Copy all pages in one step; waits for those who write in either file."""
    dbapi: Any = engine.dialect.dbapi
    try:
        with (
            contextlib.closing(dbapi.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            contextlib.closing(dbapi.connect(str(target), timeout=30)) as new,
        ):
            old.backup(new)
    except dbapi.DatabaseError as reason:
        raise BackupError(f"{source} cannot be copied to {target}: {reason}.") from reason


@contextlib.contextmanager
def _opened(engine: Engine, file: Path) -> Iterator[Connection]:
    """A connection to a file that nobody else has open."""
    other = create_engine(
        URL.create("sqlite", database=str(file)), module=engine.dialect.dbapi, poolclass=NullPool
    )
    with other.connect() as connection:
        yield connection


def _refuse_damage(connection: Connection, file: Path) -> None:
    for finding in integrity(connection):
        raise BackupError(f"{file}: {finding}")


def _refuse_other_files(source: Path) -> None:
    with source.open("rb") as file:
        start = file.read(len(MAGIC))
    if start.startswith(b"PGDMP"):
        raise BackupError(
            f"{source} is a backup of a PostgreSQL database; this one is SQLite. Nothing was restored."
        )
    if start != MAGIC:
        raise BackupError(f"{source} is no SQLite database. Nothing was restored.")


def _file(engine: Engine) -> Path:
    if not engine.url.database or engine.url.database == ":memory:":
        raise BackupError("A database in memory has no backup.")
    return Path(engine.url.database)
