"""The commands: each is documented, and says no in words, with the exit codes that scripts can rely on."""

from __future__ import annotations

import click
import pytest
from flask import Flask

from tests.support.outside import Terminal

OURS = ("backup", "demo", "doctor", "restore", "seed", "user", "worker")


def test_the_commands_that_are_promised_are_there(app: Flask) -> None:
    assert set(OURS) <= set(app.cli.commands)
    assert {"upgrade", "check", "downgrade"} <= set(app.cli.commands["db"].commands)


@pytest.mark.parametrize("name", OURS)
def test_each_command_explains_itself_and_its_options(app: Flask, runner: Terminal, name: str) -> None:
    for path, command in commands(name, app.cli.commands[name]):
        assert command.help, path
        unexplained = [
            option.name for option in command.params if isinstance(option, click.Option) and not option.help
        ]
        assert not unexplained, f"{path}: {unexplained}"
        assert "Usage: " in runner.run(*path, "--help")


def commands(name: str, command: click.Command) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [((name,), command)]
    if isinstance(command, click.Group):
        found += [((name, child), each) for child, each in command.commands.items()]
    return found


@pytest.mark.parametrize(
    "command",
    [
        ("backup",),
        ("backup", "a", "b"),
        ("restore",),
        ("seed", "--deals"),
        ("seed", "demo"),
        ("demo",),
        ("demo", "romove"),
        ("doctor", "--fix"),
        ("worker", "--twice"),
        ("user", "create", "ann@example.org"),
        ("user", "create", "ann@example.org", "--name", "Ann", "--role", "queen"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_written_wrong_exits_with_2_and_says_what_is_wrong(
    runner: Terminal, command: tuple[str, ...]
) -> None:
    result = runner.invoke(args=command)
    assert result.exit_code == 2
    assert result.output.startswith(("Usage: ", "Error: "))
