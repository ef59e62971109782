"""The commands of `flask --app crmweb`, one file per noun in `crmweb/commands`.

To add one: a click command or group in a module there, and its name in the tuple below.
"""

from __future__ import annotations

from flask import Flask

from crmweb.commands import backup, demo, doctor, seed, user, worker

COMMANDS = (
    seed.command,
    demo.command,
    doctor.command,
    backup.make,
    backup.restore,
    user.command,
    worker.command,
)


def init_app(app: Flask) -> None:
    """Give the application its commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
