"""`seed`: the documents' default pipeline, or the demo company."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from crmweb import seeds
from crmweb.commands.refusals import in_words


@click.command("seed")
@click.option("--demo", is_flag=True, help="A whole demo company, into an empty database.")
@with_appcontext
def command(demo: bool) -> None:
    """Make the default pipeline, or data to try Crmweb with.

    Without options: “Sales Pipeline” with its six stages, unless it is there already.
    """
    with in_words():
        click.echo(seeds.tell_demo() if demo else seeds.make_default())
