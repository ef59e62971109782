"""The commands of `flask --app crmweb`, one file per noun in `crmweb/commands`.

To add one: a module there with `command`, a click command or group, and its name in the tuple below.
"""

from __future__ import annotations

from flask import Flask

from crmweb.commands import demo, doctor, seed, user

COMMANDS = (seed, demo, doctor, user)


def init_app(app: Flask) -> None:
    """Give the application its commands."""
    for module in COMMANDS:
        app.cli.add_command(module.command)
