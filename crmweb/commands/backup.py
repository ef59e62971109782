"""`backup` and `restore`: one file that holds everything, and the way back."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from crmweb import backup
from crmweb.commands.refusals import in_words
from crmweb.doctor import Finding
from crmweb.extensions import db

FILE = click.Path(path_type=Path)


@click.command("backup")
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@with_appcontext
def make(file: Path, force: bool) -> None:
    """Write everything to FILE, while people work. FILE appears only when it is whole and checked."""
    with in_words():
        made = backup.make(db.engine, file, force)
    _tell(made.errors)
    if made.errors:
        raise click.ClickException(
            f"{file} was written all the same: a backup with a fault is better than none."
        )
    click.echo(f"Everything is in {file} ({made.size / 1_000_000:,.1f} MB), and checked.")


@click.command("restore")
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Restore FILE although doctor finds faults in it.")
@with_appcontext
def restore(file: Path, force: bool) -> None:
    """Put what FILE holds in the place of everything. What was there is kept in a file; everybody signs in again."""
    with in_words():
        done = backup.restore(db.engine, file, _keep_in(), force)
    _tell(done.errors)
    click.echo(f"Restored from {file}. Everybody signs in again.")
    if done.kept:
        click.echo(f"What was there before is in {done.kept}")
    if done.errors:
        raise click.ClickException("What was restored has the faults above.")


def _keep_in() -> Path:
    """Beside the SQLite database; in the instance folder when the database is elsewhere."""
    file = db.engine.url.database if db.engine.dialect.name == "sqlite" else None
    return Path(file).parent if file else Path(current_app.instance_path)


def _tell(errors: list[Finding]) -> None:
    for finding in errors:
        click.echo(f"Wrong: {finding}", err=True)
