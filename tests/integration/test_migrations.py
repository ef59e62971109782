"""The migrations make, from nothing, exactly the tables that the models describe, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from flask import Flask
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from crmweb import config
from crmweb.extensions import db
from crmweb.models import Base
from tests.support.factories import make_deal, make_note, make_pipeline
from tests.support.outside import Terminal, application_for_tests

CHECKOUT = Path(__file__).parents[2]


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


# Migrations to come ----------------------------------------------------------------------------------------------


@pytest.fixture
def filled(empty: Flask, flask: Terminal) -> Flask:
    """An application with a deal and its note."""
    flask.run("db", "upgrade")
    with empty.app_context():
        make_note(make_deal(make_pipeline()["Lead"]))
    return empty


def later(folder: Path, *steps: str) -> str:
    """A folder with today's migrations and one more, which does `steps`."""
    copy = folder / "migrations"
    copytree(CHECKOUT / "migrations", copy)
    head = 'import sqlalchemy as sa\nfrom alembic import op\nrevision = "later"\ndown_revision = "0006"\n\n'
    (copy / "versions" / "later.py").write_text(head + "def upgrade():\n    " + "\n    ".join(steps))
    return str(copy)


def test_a_table_that_is_changed_keeps_its_rows_and_those_that_refer_to_it(
    filled: Flask, flask: Terminal, tmp_path: Path
) -> None:
    """SQLite changes a table by copying it; dropping the old one would take the notes along."""
    batch = 'with op.batch_alter_table("deals") as deals:'
    longer = '    deals.alter_column("currency", type_=sa.String(8), existing_type=sa.String(3))'
    flask.run("db", "upgrade", "--directory", later(tmp_path, batch, longer))
    with filled.app_context():
        lengths = [
            column["type"].length
            for column in inspect(db.engine).get_columns("deals")
            if column["name"] == "currency"
        ]
        assert lengths == [8]
        assert db.session.scalar(text("SELECT count(*) FROM activities")) == 1


def test_an_interrupted_migration_leaves_nothing_behind(
    filled: Flask, flask: Terminal, tmp_path: Path
) -> None:
    with_a_fault = later(
        tmp_path, 'op.create_table("half", sa.Column("id", sa.Integer))', "raise LookupError"
    )
    result = flask.invoke(args=["db", "upgrade", "--directory", with_a_fault])
    assert isinstance(result.exception, LookupError)
    assert "half" not in tables(filled)
    with filled.app_context():
        assert db.session.scalar(text("SELECT version_num FROM alembic_version")) == "0006"
        db.session.rollback()
        with pytest.raises(IntegrityError), db.engine.begin() as connection:
            connection.execute(text("UPDATE deals SET entity_id = stage_id"))


def test_a_migration_that_would_leave_orphans_is_refused(
    filled: Flask, flask: Terminal, tmp_path: Path
) -> None:
    result = flask.invoke(
        args=["db", "upgrade", "--directory", later(tmp_path, 'op.execute("DELETE FROM entities")')]
    )
    assert result.exception is not None
    with filled.app_context():
        assert db.session.scalar(text("SELECT count(*) FROM entities")) == 1
