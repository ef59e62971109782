"""The product as a stranger runs it: gunicorn with two processes, the demo company, a database file of its own."""

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

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds that the server has to start, and to stop."""


@dataclass(frozen=True)
class Server:
    """A running Crmweb."""

    url: str
    folder: Path
    database_url: str
    log: Path


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Inside, Crmweb with its demo company answers on a free port; all its files are in `folder`."""
    port = free_port()
    server = Server(
        f"http://127.0.0.1:{port}", folder, f"sqlite:///{folder / 'crmweb.db'}", folder / "server.log"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": server.database_url,
        "SECRET_KEY": "a key for tests alone",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
        "CRMWEB_INSTANCE": str(folder),
        "CRMWEB_SQLITE_SYNCHRONOUS": "NORMAL",
    }
    for command in (("db", "upgrade"), ("seed", "--demo")):
        flask = [sys.executable, "-m", "flask", "--app", "crmweb", *command]
        done = subprocess.run(
            flask, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"flask {' '.join(command)} failed:\n{done.stdout}{done.stderr}"
    gunicorn = [sys.executable, "-m", "gunicorn", "crmweb:create_app()"]
    with server.log.open("w") as log:
        process = subprocess.Popen(gunicorn, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
    try:
        _await_answer(server, port, process)
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE)
    assert "Traceback" not in server.log.read_text(), f"The server met an error:\n{server.log.read_text()}"


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
