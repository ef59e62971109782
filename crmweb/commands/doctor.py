"""`doctor`: is everything in order?"""

from __future__ import annotations

import time

import click
from flask.cli import with_appcontext

from crmweb import doctor
from crmweb.extensions import db


@click.command("doctor")
@with_appcontext
def command() -> None:
    """Check the database: its file, its tables, and that all records agree with each other.

    Each finding is a sentence with the ids concerned. Exits with 1 when something is wrong; warnings alone do not.
    """
    started = time.perf_counter()
    with db.engine.connect() as connection:
        found = doctor.examine(connection)
    for finding in found:
        click.echo(f"{'Warning' if finding.is_warning else 'Wrong'}: {finding}")
    wrong, spent = doctor.errors(found), time.perf_counter() - started
    if wrong:
        raise click.ClickException(f"{len(wrong)} of {len(doctor.CHECKS)} checks found something wrong.")
    click.echo(f"Everything is in order: {len(doctor.CHECKS)} checks in {spent:.1f} s.")
