"""Where a request comes from, as people name it."""

from __future__ import annotations

from flask import request

# The more special name first: most browsers also call themselves by the names of others.
BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def device() -> str:
    """The browser and the system that it runs on: "Firefox on Linux"."""
    return describe(request.headers.get("User-Agent", ""))


def describe(agent: str) -> str:
    """A browser's own long description in three words."""
    browser = next((name for sign, name in BROWSERS if sign in agent), "A browser")
    system = next((name for sign, name in SYSTEMS if sign in agent), "")
    return f"{browser} on {system}" if system else browser


def address() -> str:
    """The network address that asks; the proxy's word for it counts only with CRMWEB_PROXIES."""
    return request.remote_addr or "unknown"
