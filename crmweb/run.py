"""`make run`: a migrated database, the demo company in a new one, then web and worker together until Ctrl-C.

Each step is one function, in the order of `main`. Larger installs run the three lines of the Procfile instead.
"""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import flask_migrate
from sqlalchemy import inspect, select

from crmweb import config, create_app, invitations, seeds
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.models import User
from crmweb.seeds import company

CHECKOUT = Path(__file__).parent.parent
WEB = ("-m", "gunicorn", "crmweb:create_app()")
WORKER = ("-m", "flask", "--app", "crmweb", "worker")
DEMO_EMAILS = [colleague.email for colleague in company.PEOPLE if colleague.with_password]
PATIENCE = 20.0
"""Seconds until a process that was asked to start or to stop counts as stuck."""


class CannotStartError(Exception):
    """Crmweb cannot start; the text says why and what to do."""


def main() -> None:
    """Start Crmweb and serve until it is stopped; exits with 1 and a sentence when it cannot."""
    try:
        settings = config.read()
        refuse_busy_port(settings)
        stop_on_signals()
        with create_app(settings).app_context():
            prepare(settings)
            greeting = way_in(settings)
            db.engine.dispose()
        serve(settings, greeting)
    except (CannotStartError, CRMError, RuntimeError, ValueError) as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        say("Stopped.")


def refuse_busy_port(settings: config.Settings) -> None:
    """Raise CannotStartError when something else already listens there, or may not listen there at all."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as reason:
            another = f"PORT={settings.port + 1} make run"
            raise CannotStartError(
                f"Cannot listen on {settings.host} port {settings.port}: {reason.strerror}. "
                f"If Crmweb already runs there, open {address(settings)}; else choose another port: {another}"
            ) from reason


def stop_on_signals() -> None:
    """A request to end, however it comes, is a KeyboardInterrupt, so that everything is left in order.

    Also SIGINT: a shell starts what runs in its background with that one ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def prepare(settings: config.Settings) -> None:
    """Bring the database up to date; put the demo company into a new one where only this machine can reach it."""
    is_new = not inspect(db.engine).has_table("alembic_version")
    say("Making the database" if is_new else "Checking the database")
    with _removed_when_unfinished(is_new):
        flask_migrate.upgrade()
        if is_new and wants_demo(settings):
            say("Telling the demo company's story (DEMO=0 starts without it)")
            seeds.tell_demo()
    if not is_loopback(settings.host) and demo_people():
        raise CannotStartError(
            f"HOST={settings.host} can be reached from outside, and the demo people's password is public. "
            "Remove them first: .venv/bin/flask --app crmweb demo remove"
        )


def wants_demo(settings: config.Settings) -> bool:
    """Whether a new database gets the demo company: its password is public, so it stays on this machine."""
    return settings.demo and is_loopback(settings.host) and not settings.is_production


def demo_people() -> list[User]:
    """The demo people who can still sign in."""
    known = select(User).where(User.email_key.in_(DEMO_EMAILS), User.is_active).order_by(User.email_key)
    return list(db.session.scalars(known))


def way_in(settings: config.Settings) -> list[str]:
    """The lines that tell a person at this terminal how to sign in; none once Crmweb has people of its own."""
    if people := demo_people():
        width = max(len(person.email) for person in people)
        return [f"{person.email:<{width}}  {company.PASSWORD}  ({person.role})" for person in people]
    if code := invitations.setup_code():
        return [f"Nobody has an account yet. Make yours at {address(settings)}/setup with this code: {code}"]
    return []


def serve(settings: config.Settings, greeting: list[str]) -> None:
    """Run web and worker until one of them ends or a signal comes, then stop both.

    Raises CannotStartError when one ends by itself.
    """
    with _running("web", WEB) as web, _running("worker", WORKER) as worker:
        await_answer(settings, web)
        say(f"Crmweb is at {address(settings)}")
        for line in greeting:
            print(f"    {line}", flush=True)
        say("Ctrl-C stops it; the data stays.")
        while worker.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                web.wait(0.5)
                break
    ended = "web" if worker.poll() is None else "worker"
    raise CannotStartError(f"The {ended} process ended by itself; its own words are above.")


def await_answer(settings: config.Settings, web: subprocess.Popen[bytes]) -> None:
    """Wait until the web process answers. Raises CannotStartError when it ends or stays silent."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and web.poll() is None:
        with contextlib.suppress(OSError), contextlib.closing(_connect(settings)) as connection:
            connection.request("GET", "/healthz")
            if connection.getresponse().status < 500:
                return
        time.sleep(0.05)
    raise CannotStartError("The web process did not start; its own words are above.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(settings: config.Settings) -> str:
    """Where a browser finds Crmweb."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def say(line: str) -> None:
    """One line of progress, at once."""
    print(f"· {line}", flush=True)


def _connect(settings: config.Settings) -> HTTPConnection:
    return HTTPConnection(address(settings).removeprefix("http://"), timeout=PATIENCE)


@contextlib.contextmanager
def _running(name: str, command: tuple[str, ...]) -> Iterator[subprocess.Popen[bytes]]:
    # Ctrl-C reaches the whole group; only this process answers it, and stops the others in order.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen([sys.executable, *command], cwd=CHECKOUT)
    signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            say(f"The {name} process did not stop in {PATIENCE:.0f} seconds; it is killed.")
            process.kill()
            process.wait()


@contextlib.contextmanager
def _removed_when_unfinished(is_new: bool) -> Iterator[None]:
    """A new SQLite database that could not be finished is removed, so that the next start begins afresh."""
    try:
        yield
    except BaseException:
        file = db.engine.url.database if db.engine.dialect.name == "sqlite" else None
        db.session.remove()
        db.engine.dispose()
        if is_new and file:
            for suffix in ("", "-wal", "-shm"):
                Path(file + suffix).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main()
