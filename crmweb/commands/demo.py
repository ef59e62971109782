"""`demo`: leaving the demo company."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from crmweb import seeds
from crmweb.commands.refusals import in_words


@click.group("demo")
def command() -> None:
    """The demo company."""


@command.command("remove")
@click.option("--force", is_flag=True, help="Remove what was added to the demo company, too.")
@with_appcontext
def remove(force: bool) -> None:
    """Empty a database that holds only the demo company, to start for real."""
    with in_words():
        click.echo(seeds.remove_demo(force))
