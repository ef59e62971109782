"""The migrations make, from nothing, exactly the tables that the models describe, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import inspect

from crmweb import config
from crmweb.extensions import db
from crmweb.models import Base
from tests.support.outside import Terminal, application_for_tests


@pytest.fixture
def empty(blank: config.Settings) -> Iterator[Flask]:
    """An application whose database has no tables yet."""
    empty = application_for_tests(blank)
    yield empty
    with empty.app_context():
        db.engine.dispose()


@pytest.fixture
def flask(empty: Flask) -> Terminal:
    return empty.test_cli_runner()


def tables(app: Flask) -> set[str]:
    with app.app_context():
        return set(inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_is_brought_to_what_the_models_say(empty: Flask, flask: Terminal) -> None:
    flask.run("db", "upgrade")
    assert tables(empty) == set(Base.metadata.tables)
    flask.run("db", "check")


def test_upgrading_twice_changes_nothing(flask: Terminal) -> None:
    flask.run("db", "upgrade")
    flask.run("db", "upgrade")
    flask.run("db", "check")


def test_migrations_go_down_again_and_leave_nothing_behind(empty: Flask, flask: Terminal) -> None:
    flask.run("db", "upgrade")
    flask.run("db", "downgrade", "base")
    assert not tables(empty)
    flask.run("db", "upgrade")
    flask.run("db", "check")
