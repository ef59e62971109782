"""Checks of the database as such: can it be read, is it this release's, is its engine sound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from crmweb.doctor.findings import SHOWN, Check, Finding
from crmweb.models import User

MIGRATIONS = Path(__file__).parents[2] / "migrations"
SOUND_SINCE = (3, 51, 3)
MENDED = ((3, 44, 6), (3, 50, 7))
"""Older releases into which the mending of SQLite's WAL race was carried back."""


def integrity(connection: Connection) -> Iterator[Finding]:
    """SQLite's own check of every page and index."""
    if connection.dialect.name == "sqlite":
        answers = connection.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})").scalars().all()
        if answers != ["ok"]:
            yield Finding(
                "integrity",
                f"The database file is damaged ({'; '.join(answers)}). Restore the last backup.",
                is_fatal=True,
            )


def release(connection: Connection) -> Iterator[Finding]:
    """Whether the tables are those of this release."""
    here, place = revision(connection), standing(connection)
    if place == "foreign":
        sentence = "There are no tables yet. Make them: flask --app crmweb db upgrade"
    elif place == "older":
        sentence = "Migrations are pending. Apply them: flask --app crmweb db upgrade"
    else:
        sentence = f"The tables are of a newer release ({here}) than this one. Install that release."
    if place != "present":
        yield Finding("release", sentence, is_fatal=True)


def references(connection: Connection) -> Iterator[Finding]:
    """Rows that refer to a row which is not there. PostgreSQL never lets that happen."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            ids = tuple(f"{row.table} row {row.rowid} → {row.parent}" for row in broken[:SHOWN])
            yield Finding(
                "references", f"{len(broken):,} rows refer to a row that is gone:", ids, len(broken)
            )


def engine(connection: Connection) -> Iterator[Finding]:
    """SQLite before 3.51.3 can damage a file when two processes meet at the wrong moment."""
    if connection.dialect.name == "sqlite":
        version = tuple(connection.dialect.dbapi.sqlite_version_info)  # type: ignore[union-attr]
        if not is_sound(version):
            yield Finding(
                "engine",
                f"SQLite {'.'.join(map(str, version))} has a rare fault that can damage the file; 3.51.3 and later do "
                "not. Where the package pysqlite3 can be installed, it brings one.",
                is_warning=True,
            )


def is_sound(version: tuple[int, ...]) -> bool:
    """Whether that SQLite is free of the WAL race."""
    return version >= SOUND_SINCE or version in MENDED


def admins(connection: Connection) -> Iterator[Finding]:
    """Somebody must be able to manage people."""
    people = connection.execute(select(User.role, User.is_active)).all()
    if people and not any(role == "admin" and is_active for role, is_active in people):
        yield Finding(
            "admins",
            "Nobody is an active admin. Make one: flask --app crmweb user create EMAIL --name NAME --role admin",
            is_warning=True,
        )


def revision(connection: Connection) -> str | None:
    """The migration that the database is at; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def standing(connection: Connection) -> str:
    """How the tables stand to those of this release: `present`, `older`, `newer`; `foreign`: they are not Crmweb's."""
    if not inspect(connection).has_table("alembic_version"):
        return "foreign"
    return standing_of(revision(connection))


def standing_of(here: str | None) -> str:
    """How the tables after the migration `here` stand to those of this release."""
    known = ScriptDirectory(str(MIGRATIONS))
    if here == known.get_current_head():
        return "present"
    return (
        "older" if here is None or here in {script.revision for script in known.walk_revisions()} else "newer"
    )


CHECKS: tuple[Check, ...] = (integrity, release, references, engine, admins)
