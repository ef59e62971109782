"""`seed`: the documents' default pipeline, the demo company, or any number of generated deals."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from crmweb import seeds
from crmweb.commands.refusals import in_words

MOST_DEALS = 10_000_000


@click.command("seed")
@click.option("--demo", is_flag=True, help="A whole demo company, into an empty database.")
@click.option(
    "--deals", type=click.IntRange(1, MOST_DEALS), metavar="N", help="N generated deals, to try size."
)
@with_appcontext
def command(demo: bool, deals: int | None) -> None:
    """Make the default pipeline, or data to try Crmweb with.

    Without options: “Sales Pipeline” with its six stages, unless it is there already.
    """
    with in_words():
        if demo:
            click.echo(seeds.tell_demo())
        if deals:
            click.echo(seeds.generate(deals))
        if not demo and not deals:
            click.echo(seeds.make_default())
