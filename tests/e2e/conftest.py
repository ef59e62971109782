"""One real server and one real browser for the whole run. Tests share both, so each takes a deal of its own.

The server keeps its data in SQLite; tests marked `both_databases` run a second time on a server with PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import BrowserContext, Page, expect

from crmweb import config, create_app
from crmweb.extensions import db
from tests.support import chromium, databases, pages, starting
from tests.support.console import Console
from tests.support.server import Server, free_port, running_beside, running_server

SWITCHED_OFF = (
    # Each window would build the address bar's own web pages, and a process to spare: over half of all that the
    # browser does in these tests.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "SpareRendererForSitePerProcess",
    # What Playwright switches off by the same flag, of which only the last one counts.
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
)
FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    f"--disable-features={','.join(SWITCHED_OFF)}",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-sandbox",
)
DESKTOP: dict[str, Any] = {
    "viewport": {"width": 1440, "height": 900},
    "reduced_motion": "reduce",
    "locale": "en-US",
    "timezone_id": "UTC",
}

expect.set_options(timeout=10_000)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_databases: the test runs on SQLite and on PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" not in metafunc.fixturenames:
        return
    kinds, names = ("sqlite",), [pytest.HIDDEN_PARAM]
    if metafunc.definition.get_closest_marker("both_databases"):
        kinds = names = databases.KINDS
    metafunc.parametrize("server", kinds, indirect=True, ids=names, scope="session")


@pytest.fixture(scope="session")
def postgres() -> Iterator[databases.Postgres]:
    """The run's one PostgreSQL server."""
    with databases.running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The run's one server on each kind of database, with the demo company in it."""
    url = ""
    if request.param == "postgresql":
        cluster: databases.Postgres = request.getfixturevalue("postgres")
        url = cluster.url(cluster.create())
    pages.forget_sign_ins()
    with running_server(tmp_path_factory.mktemp("server"), url) as server:
        yield server


@pytest.fixture(scope="session")
def beside(server: Server) -> Iterator[Server]:
    """A second server on the same database: other processes, another port."""
    with running_beside(server) as beside:
        yield beside


@pytest.fixture(scope="session")
def base_url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if (found := chromium.find()) is None:
        pytest.fail(chromium.THREE_WAYS, pytrace=False)
    return {**browser_type_launch_args, "executable_path": str(found), "args": list(FLAGS)}


@pytest.fixture(autouse=True)
def console() -> Iterator[Console]:
    """Fails the test in which a browser complained; `console.expect("409")` announces a complaint."""
    console = Console()
    yield console
    if verdict := console.verdict():
        pytest.fail("The browser complained:\n  " + "\n  ".join(verdict), pytrace=False)


@pytest.fixture
def new_context(
    new_context: Callable[..., BrowserContext], console: Console
) -> Callable[..., BrowserContext]:
    """Another browser of its own: another person, a phone, one without JavaScript. Takes Playwright's options."""

    def create(**options: Any) -> BrowserContext:
        context = new_context(**{**DESKTOP, **options})
        console.watch(context)
        return context

    return create


@pytest.fixture
def phone(new_context: Callable[..., BrowserContext]) -> Page:
    """A page on a phone: 390 pixels wide, fingers instead of a mouse."""
    size = {"width": 390, "height": 844}
    return new_context(viewport=size, has_touch=True, is_mobile=True, device_scale_factor=2).new_page()


@pytest.fixture
def plain_page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page of a browser without JavaScript."""
    return new_context(java_script_enabled=False).new_page()


@pytest.fixture(scope="session")
def application(server: Server) -> Iterator[Flask]:
    """The application on the server's database, to set scenes and to compare the page with the truth."""
    settings = config.read(
        {}, database_url=server.database_url, instance=str(server.folder), secret_key="a key for tests alone"
    )
    application = create_app(settings)
    yield application
    with application.app_context():
        db.engine.dispose()


@pytest.fixture
def app(application: Flask, server: Server) -> Iterator[Flask]:
    """The application with its context pushed: factories and queries work on the server's database."""
    config.use(application.config["SETTINGS"])
    with application.app_context():
        yield application
        db.session.remove()


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[starting.Start]:
    """`start(DEMO="1")` does what `make run` does, on `port` and with a database in this test's own folder."""
    started: list[starting.Process] = []

    def start(**environment: str) -> starting.Process:
        started.append(starting.start(tmp_path, port, **environment))
        return started[-1]

    yield start
    for process in started:
        starting.stop(process)
