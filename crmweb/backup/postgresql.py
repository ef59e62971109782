"""PostgreSQL: its own programs pg_dump, pg_restore and psql do it, as of one exported snapshot."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, delete, inspect, text

from crmweb import doctor
from crmweb.backup.files import (
    FORGOTTEN,
    BackupError,
    migrate,
    name_to_keep,
    refuse_faults,
    refuse_release,
    taking_its_place,
)
from crmweb.doctor import Finding
from crmweb.doctor.database import standing_of

MAGIC = b"PGDMP"
TRIES = 5
ALONE = (
    "SET lock_timeout = '30s'",
    (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE (datname, usename) = (current_database(), current_user) AND pid <> pg_backend_pid()"
    ),
)
"""Others would hold tables that are to go. They connect again, and wait until the new tables are there."""


def make(engine: Engine, target: Path) -> list[Finding]:
    """Dump the database to `target`; answers what doctor found wrong in the very snapshot that was dumped."""
    program = _program("pg_dump")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        with taking_its_place(target) as part:
            plain = ("--format=custom", "--no-owner", "--no-privileges")
            _run(engine, [program, *plain, f"--snapshot={snapshot}", f"--file={part}"])
            _run(engine, [_program("pg_restore"), "--list", str(part)])
        return doctor.errors(doctor.examine(connection))


def restore(engine: Engine, source: Path, keep_in: Path, force: bool) -> tuple[Path | None, list[Finding]]:
    """Keep what is there, put what `source` holds in its place, and take that back when it turns out to be faulty."""
    with source.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BackupError(f"{source} is no backup of a PostgreSQL database. Nothing was restored.")
    release = _release(engine, source)
    refuse_release(release, source)
    kept = None
    if inspect(engine).has_table("alembic_version"):
        kept = name_to_keep(keep_in, "crmweb", ".dump")
        make(engine, kept)
    _replace(engine, source)
    try:
        if release == "older":
            migrate(engine.url.render_as_string(hide_password=False))
        with engine.begin() as connection:
            for model in FORGOTTEN:
                connection.execute(delete(model))
        with engine.connect() as connection:
            errors = doctor.errors(doctor.examine(connection))
        refuse_faults(errors, source, force)
    except BackupError:
        _replace(engine, kept)
        raise
    return kept, errors


def _release(engine: Engine, source: Path) -> str:
    """How the backup's tables stand to this release's."""
    only = ("--data-only", "--table=alembic_version", "--file=-")
    lines = _run(engine, [_program("pg_restore"), *only, str(source)]).splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("COPY ")), None)
    if start is None:
        return "foreign"
    revision = lines[start + 1]
    return standing_of(None if revision == "\\." else revision)


def _replace(engine: Engine, source: Path | None) -> None:
    """Drop all tables and make those of `source`; again when somebody else got between."""
    for attempt in range(TRIES):
        complaint = _try_to_replace(engine, source)
        if complaint is None:
            return
        if "deadlock" not in complaint or attempt == TRIES - 1:
            raise BackupError(f"{source} could not be restored: {complaint}. Nothing was changed.")


def _try_to_replace(engine: Engine, source: Path | None) -> str | None:
    """Do it in one transaction: all of it, or nothing. Answers what went wrong."""
    options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
    quote, environment = engine.dialect.identifier_preparer.quote, _environment(engine)
    drops = [f"DROP TABLE {quote(table)} CASCADE" for table in inspect(engine).get_table_names()]
    with tempfile.TemporaryFile() as said:
        to: dict[str, Any] = {"env": environment, "stderr": said}
        psql = subprocess.Popen([_program("psql"), *options], stdin=subprocess.PIPE, stdout=said, **to)
        assert psql.stdin is not None
        # psql stops reading at the first error; what it said tells why.
        with psql, contextlib.suppress(BrokenPipeError):
            psql.stdin.write("".join(f"{statement};\n" for statement in (*ALONE, *drops)).encode())
            psql.stdin.flush()
            if source is not None:
                script = [_program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(source)]
                if subprocess.run(script, stdout=psql.stdin, check=False, **to).returncode:
                    psql.kill()  # else it would commit the half that it has read
        said.seek(0)
        return _last(said.read().decode()) if psql.returncode else None


def _run(engine: Engine, command: list[str]) -> str:
    done = subprocess.run(command, env=_environment(engine), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BackupError(f"{Path(command[0]).name}: {_last(done.stderr)}.")
    return done.stdout


def _environment(engine: Engine) -> dict[str, str]:
    """The address as PostgreSQL's programs read it; passwords do not show in the list of processes."""
    url = engine.url
    query: dict[str, Any] = dict(url.query)
    known = {
        "PGHOST": url.host or query.get("host"), "PGPORT": url.port or query.get("port"), "PGUSER": url.username,
        "PGPASSWORD": url.password, "PGDATABASE": url.database, "PGSSLMODE": query.get("sslmode"),
        "PGSSLROOTCERT": query.get("sslrootcert"), "PGSERVICE": query.get("service"),
    }  # fmt: skip
    return {**os.environ, **{name: str(value) for name, value in known.items() if value}}


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BackupError(
            f"{name} is not on the path. Install PostgreSQL's client programs of the server's release "
            "(Debian: apt install postgresql-client), or make the backup on the server."
        )
    return found


def _last(words: str) -> str:
    """The last complaint among the words of a program."""
    said = [line.strip().rstrip(".") for line in words.splitlines() if line.strip()]
    return ([line for line in said if "error:" in line.lower()] or said or ["it said nothing"])[-1]
