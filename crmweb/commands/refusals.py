"""How a command says no."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from crmweb.errors import CRMError


@contextmanager
def in_words() -> Iterator[None]:
    """Inside, an error that Crmweb raises on purpose ends the command with its sentence and exit code 1."""
    try:
        yield
    except CRMError as reason:
        raise click.ClickException(reason.message) from reason
