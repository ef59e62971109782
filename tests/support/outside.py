"""Reaches the application from outside, as the network and the terminal do: a browser without JavaScript, a shell.

Each request and each command has an application context, and so a database session, of its own; only the clock is
shared. After it, the test's own session reads the database afresh.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any, TypeVar

from click.testing import Result
from flask import Flask, has_app_context
from flask.testing import FlaskClient, FlaskCliRunner
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from crmweb import clock, config, create_app
from crmweb.extensions import db

T = TypeVar("T")


class Browser(FlaskClient):
    """Sends requests and keeps cookies."""

    token: str | None = None
    """The CSRF token that it sends along; `people.sign_in` sets it."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if self.token:
            kwargs["headers"] = Headers(kwargs.get("headers") or {})
            kwargs["headers"].setdefault("X-CSRFToken", self.token)
        return apart(super().open, *args, **kwargs)


class Terminal(FlaskCliRunner):
    """Runs the commands of `flask --app crmweb`."""

    def invoke(self, *args: Any, **kwargs: Any) -> Result:
        return apart(super().invoke, *args, **kwargs)

    def run(self, *command: str, say: str = "") -> str:
        """Run a command that has to succeed, with `say` as its standard input; answers what it prints."""
        result = self.invoke(args=command, input=say, catch_exceptions=False)
        assert result.exit_code == 0, f"flask {' '.join(command)} failed:\n{result.output}"
        return result.output


def application_for_tests(settings: config.Settings) -> Flask:
    """The application, to be reached by a Browser and a Terminal."""
    application = create_app(settings)
    application.testing = True
    application.test_client_class = Browser
    application.test_cli_runner_class = Terminal
    return application


def apart(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call `function` as a request or a command would be: outside the test's context, at the test's time."""
    if has_app_context():
        changed = (record for record in db.session.dirty if db.session.is_modified(record))
        pending = [*db.session.new, *changed, *db.session.deleted]
        assert not pending, f"Save with changes.commit() first: {pending}"
        db.session.rollback()
    apart = contextvars.Context()
    apart.run(clock._source.set, clock._source.get())
    return apart.run(function, *args, **kwargs)
