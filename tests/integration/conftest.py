"""The application on both databases. Every test in this folder runs twice, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy.orm import Session, scoped_session

from crmweb import config
from crmweb.extensions import db
from crmweb.models import Base, Pipeline, Stage, User
from tests.support import databases
from tests.support.cast import Cast, make_cast
from tests.support.factories import make_pipeline
from tests.support.outside import Browser, Terminal, application_for_tests

# Foreign keys look away while the tables are emptied, but the order stays right for whoever reads along.
TABLES = tuple(reversed(Base.metadata.sorted_tables))


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """The run's one PostgreSQL server."""
    with databases.running_postgres() as server:
        yield server


@pytest.fixture(scope="session", params=databases.KINDS)
def database(request: pytest.FixtureRequest) -> str:
    """Which database this test runs on: `sqlite` or `postgresql`."""
    return request.param


@pytest.fixture(scope="session")
def settings(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> config.Settings:
    """The settings of the run's application: an own instance folder, an own database."""
    return settings_of_a_new(database, request, tmp_path_factory.mktemp("instance"))


@pytest.fixture
def blank(request: pytest.FixtureRequest, database: str, tmp_path: Path) -> config.Settings:
    """The settings of another installation, whose database has no tables yet."""
    return settings_of_a_new(database, request, tmp_path)


def settings_of_a_new(database: str, request: pytest.FixtureRequest, folder: Path) -> config.Settings:
    """The settings of an installation in `folder`, on a new database of that kind."""
    if database == "sqlite":
        url = f"sqlite:///{folder / 'crmweb.db'}"
    else:
        server: databases.Postgres = request.getfixturevalue("postgres")
        url = server.url(server.create())
    careless = {"secret_key": "a key for tests alone", "sqlite_synchronous": "NORMAL"}
    return config.read({}, database_url=url, instance=str(folder), **careless)


@pytest.fixture(scope="session")
def application(settings: config.Settings) -> Iterator[Flask]:
    """The run's application on one database; migrated once, by the migrations."""
    application = application_for_tests(settings)
    with application.app_context():
        flask_migrate.upgrade()
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture(scope="module", autouse=True)
def compact(application: Flask) -> None:
    """Each file begins with tables like new ones."""
    with application.app_context():
        databases.make_compact(db.engine, TABLES)


@pytest.fixture(autouse=True)
def app(application: Flask, settings: config.Settings) -> Iterator[Flask]:
    """The application with its context pushed, on an empty database."""
    config.use(settings)
    with application.app_context():
        yield application
        db.session.remove()
        databases.empty(db.engine, TABLES)


@pytest.fixture
def client(app: Flask) -> Browser:
    """A signed-out browser without JavaScript; `sign_in(client, person)` signs it in."""
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> Terminal:
    """Runs the commands of `flask --app crmweb`: `runner.run("seed", "--demo")`."""
    return app.test_cli_runner()


@pytest.fixture
def session(app: Flask) -> scoped_session[Session]:
    """The test's own database session."""
    return db.session


@pytest.fixture
def cast(app: Flask) -> Cast:
    """The four people of our tests, saved."""
    return make_cast()


@pytest.fixture
def ann(cast: Cast) -> User:
    return cast.ann


@pytest.fixture
def marek(cast: Cast) -> User:
    return cast.marek


@pytest.fixture
def priya(cast: Cast) -> User:
    return cast.priya


@pytest.fixture
def tom(cast: Cast) -> User:
    return cast.tom


@pytest.fixture
def stages(app: Flask) -> dict[str, Stage]:
    """The documents' default pipeline: its stages by name, from Lead to Closed Lost."""
    return make_pipeline("Sales Pipeline")


@pytest.fixture
def pipeline(stages: dict[str, Stage]) -> Pipeline:
    """The documents' default pipeline."""
    return stages["Lead"].pipeline
