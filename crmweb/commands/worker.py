"""`worker`: what is done when nobody asks."""

from __future__ import annotations

import signal
from threading import Event
from types import FrameType

import click
from flask.cli import with_appcontext

from crmweb import worker


@click.command("worker")
@click.option("--once", is_flag=True, help="Do what is due now, then end.")
@with_appcontext
def command(once: bool) -> None:
    """Purge what was deleted long ago, and forget sign-ins, links and keys whose time is over.

    Runs until it is asked to stop; several may run at once.
    """
    if once:
        for name, number in worker.once().items():
            click.echo(f"{name}: {number:,}")
        return
    stop = Event()

    def ask_to_stop(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    worker.run(stop)
