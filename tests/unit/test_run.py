"""How `make run` decides: who can reach a host, what the address is, what it says when the port is taken."""

from __future__ import annotations

import socket

import pytest

from crmweb import config, run


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_only_this_machine_reaches_a_loopback_host(host: str) -> None:
    assert run.is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "10.0.0.1", "crm.example.com", ""])
def test_every_other_host_counts_as_public(host: str) -> None:
    assert not run.is_loopback(host)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        ("crm.example.com", "http://crm.example.com:8000"),
    ],
)
def test_the_printed_address_opens_in_a_browser_of_this_machine(host: str, address: str) -> None:
    assert run.address(config.Settings(host=host)) == address


def test_a_busy_port_is_refused_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(run.CannotStartError) as refused:
            run.refuse_busy_port(config.Settings(port=port))
    assert f"port {port}" in str(refused.value)
    assert f"PORT={port + 1} make run" in str(refused.value)


def test_a_free_port_is_taken_in_silence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    run.refuse_busy_port(config.Settings(port=port))
