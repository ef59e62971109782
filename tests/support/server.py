"""The product as a stranger runs it: gunicorn with two processes, the demo company, a database of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds that the server has to start, and to stop."""


@dataclass(frozen=True)
class Server:
    """A running Crmweb. `pid` is gunicorn's own process, whose children answer."""

    url: str
    folder: Path
    database_url: str
    log: Path
    pid: int

    def kill_who_answers(self) -> None:
        """End, without a chance to say goodbye, the process that has a request in its hands; waits until one has."""
        port = int(self.url.rpartition(":")[2])
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for worker in psutil.Process(self.pid).children():
                talks = worker.net_connections("tcp")
                if any(talk.status == psutil.CONN_ESTABLISHED and talk.laddr.port == port for talk in talks):
                    worker.kill()
                    return
            time.sleep(0.01)
        raise AssertionError("No process had a request in its hands.")


@contextmanager
def running_server(folder: Path, database_url: str = "") -> Iterator[Server]:
    """Inside, Crmweb with its demo company answers on a free port; all its files are in `folder`.

    It keeps its data in an SQLite file there, or in the empty database that `database_url` names.
    """
    database_url = database_url or f"sqlite:///{folder / 'crmweb.db'}"
    environment = _environment(folder, database_url)
    for command in (("db", "upgrade"), ("seed", "--demo")):
        flask = [sys.executable, "-m", "flask", "--app", "crmweb", *command]
        done = subprocess.run(
            flask, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"flask {' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    with _serving(folder, database_url, folder / "server.log") as server:
        yield server


@contextmanager
def running_beside(server: Server) -> Iterator[Server]:
    """Inside, a second Crmweb answers on a port of its own, on the same database, as on another machine."""
    with _serving(server.folder, server.database_url, server.folder / "beside.log") as beside:
        yield beside


@contextmanager
def _serving(folder: Path, database_url: str, log: Path) -> Iterator[Server]:
    port = free_port()
    environment = {**_environment(folder, database_url), "PORT": str(port)}
    gunicorn = [sys.executable, "-m", "gunicorn", "crmweb:create_app()"]
    with log.open("w") as written:
        process = subprocess.Popen(gunicorn, cwd=CHECKOUT, env=environment, stdout=written, stderr=written)
    server = Server(f"http://127.0.0.1:{port}", folder, database_url, log, process.pid)
    try:
        _await_answer(server, port, process)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)
    assert "Traceback" not in log.read_text(), f"The server met an error:\n{log.read_text()}"


def _environment(folder: Path, database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a key for tests alone",
        "HOST": "127.0.0.1",
        "WEB_CONCURRENCY": "2",
        "CRMWEB_INSTANCE": str(folder),
        "CRMWEB_SQLITE_SYNCHRONOUS": "NORMAL",
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _await_answer(server: Server, port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
            break
    raise AssertionError(f"The server did not start:\n{server.log.read_text()}")
