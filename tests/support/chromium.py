"""Finds the Chromium that browser tests run in; as a command, gets one when there is none.

`python -m tests.support.chromium` is the last step of `make setup`. Any Chromium or Chrome of the last
years will do; the one without windows, where a system has it, asks a sixth less of the processor.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("chromium-headless-shell", "chromium")
NAMES = (*PACKAGES, "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPLICATIONS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq")
THREE_WAYS = """\
Browser tests need Chromium, and none was found. Three ways to get one:
  1. Install it with the system's packages: apt install chromium, or: brew install --cask chromium
  2. Let Playwright download its own: .venv/bin/python -m playwright install chromium
  3. Name one that you have: CRMWEB_CHROMIUM=/path/to/chromium make test"""


class NoChromium(Exception):
    """There is no browser to test in; the text names the ways to get one."""


def find() -> Path | None:
    """The browser to use: `CRMWEB_CHROMIUM`, else the system's, else Playwright's own, else None.

    Raises NoChromium when `CRMWEB_CHROMIUM` names a file that cannot be run: a wish is not passed over.
    """
    if named := os.environ.get("CRMWEB_CHROMIUM"):
        if not os.access(named, os.X_OK):
            raise NoChromium(f"CRMWEB_CHROMIUM names {named}, which cannot be run.")
        return Path(named)
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return Path(found)
    return next((path for path in (*APPLICATIONS, _playwrights_own()) if path.exists()), None)


def get() -> Path:
    """The browser to use, installed first when there is none. Raises NoChromium when that fails too."""
    if found := find():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("· Installing Chromium with apt-get", flush=True)
        _try(*APT, "update")
        install = (*APT, "install", "-y", "--no-install-recommends", "fonts-liberation")
        any(_try(*install, package) for package in PACKAGES)
    if not find():
        print("· Letting Playwright download Chromium", flush=True)
        _try(sys.executable, "-m", "playwright", "install", "chromium")
    if found := find():
        return found
    raise NoChromium(THREE_WAYS)


def _playwrights_own() -> Path:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  starting its driver takes a second

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path)


def _try(*command: str) -> bool:
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=quietly, stdout=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    try:
        print(f"· Browser for the tests: {get()}")
    except NoChromium as none:
        sys.exit(str(none))
