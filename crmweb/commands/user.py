"""`user`: the first way in at the command line, and the last one when nobody can sign in."""

from __future__ import annotations

import sys

import click
from flask.cli import with_appcontext

from crmweb import invitations
from crmweb.commands.refusals import in_words
from crmweb.models.user import ROLES


@click.group("user")
def command() -> None:
    """People who can sign in."""


@command.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What they are called.")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What they may do.")
@with_appcontext
def create(email: str, name: str, role: str) -> None:
    """Add a person. The password is read from standard input; a terminal asks for it."""
    password = _password()
    with in_words():
        invitations.create(name=name, email=email, role=role, password=password)
    click.echo(f"{name} can sign in as {role} with {email}.")


@command.command("setup-code")
@with_appcontext
def setup_code() -> None:
    """Print a new code for the set-up page of an empty installation; the one before works no more."""
    code = invitations.setup_code()
    if code is None:
        raise click.ClickException("Crmweb is set up already. An admin can add people on the page “People”.")
    click.echo(code)


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
