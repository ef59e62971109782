"""`make run`, the first thing that a newcomer types: from an empty folder to a page, and back to nothing running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.server import CHECKOUT, PATIENCE, Server, free_port

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    """`start(DEMO="0")` does what `make run` does, on a database in this test's own folder."""
    started: list[subprocess.Popen[str]] = []

    def start(**environment: str) -> subprocess.Popen[str]:
        own = {"CRMWEB_INSTANCE": str(tmp_path), "PORT": str(port), "WEB_CONCURRENCY": "1", "DEMO": "0"}
        process = subprocess.Popen(
            [sys.executable, "-m", "crmweb.run"],
            cwd=CHECKOUT,
            env={**os.environ, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE)
        assert process.stdout
        process.stdout.close()


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What the process prints up to the line that holds `words`."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"It never said “{words}”, but:\n{said}")


def last_words(process: subprocess.Popen[str]) -> str:
    """All that the process prints until it has ended."""
    return process.communicate(timeout=PATIENCE)[0]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_from_an_empty_folder_to_a_page_and_back_and_again(start: Start, port: int, tmp_path: Path) -> None:
    first = start()
    said = said_until(first, "Crmweb is at")
    assert "Making the database" in said
    assert "/setup with this code: " in said_until(first, "Nobody has an account")
    assert f"http://127.0.0.1:{port}" in said
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/login") as answer:
        assert answer.status == 200
    made = (tmp_path / "crmweb.db").stat()

    processes = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGINT)
    assert "Stopped." in last_words(first)
    assert first.returncode == 0
    assert not psutil.wait_procs(processes, timeout=PATIENCE)[1]
    assert is_free(port)

    assert "Checking the database" in said_until(start(), "Crmweb is at")
    assert (tmp_path / "crmweb.db").stat().st_ino == made.st_ino


def test_a_taken_port_is_named_with_the_way_out_before_anything_is_made(
    start: Start, port: int, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        process = start()
        assert f"PORT={port + 1} make run" in last_words(process)
    assert process.returncode == 1
    assert not (tmp_path / "crmweb.db").exists()


def test_when_the_worker_ends_by_itself_so_does_the_rest(start: Start, port: int) -> None:
    process = start()
    said_until(process, "Crmweb is at")
    children = {child.cmdline()[-1]: child for child in psutil.Process(process.pid).children()}
    assert "worker" in children, children
    children["worker"].kill()
    assert "The worker process ended by itself" in last_words(process)
    assert process.returncode == 1
    assert is_free(port)


def test_a_demo_that_was_interrupted_leaves_no_half_company(start: Start, tmp_path: Path) -> None:
    process = start(DEMO="1")
    said_until(process, "demo company")
    process.terminate()
    last_words(process)
    assert not (tmp_path / "crmweb.db").exists()


def test_a_public_host_is_refused_while_demo_people_can_sign_in(start: Start, server: Server) -> None:
    process = start(HOST="0.0.0.0", DATABASE_URL=server.database_url)
    assert "demo remove" in last_words(process)
    assert process.returncode == 1
