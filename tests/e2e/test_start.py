"""`make run`, the first thing that a newcomer types: from an empty folder to a page, and back to nothing running."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

import psutil

from tests.support.server import PATIENCE, Server
from tests.support.starting import Start, last_words, said_until


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


def test_started_where_interrupts_are_ignored_it_ends_by_one_all_the_same(start: Start) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start()
    finally:
        signal.signal(signal.SIGINT, before)
    said_until(process, "Crmweb is at")
    process.send_signal(signal.SIGINT)
    assert "Stopped." in last_words(process)


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


def test_browsers_that_connect_in_advance_keep_nobody_waiting(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(4)]
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=5) as answer:
        assert answer.status == 200
    for connection in silent:
        connection.close()
