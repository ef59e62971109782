"""What axe finds on a page that is open in the browser: every rule it has, in light and in dark."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

AXE = Axe()


def faults(page: Page, where: str = "") -> list[str]:
    """What is wrong with the page as it looks now, a line for each element; `where` begins the lines."""
    found: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for fault in AXE.run(page).response["violations"]:
            found += [f"{where} ({scheme}) {fault['id']}: {_element(node)}" for node in fault["nodes"]]
    page.emulate_media(color_scheme="light")
    return found


def _element(node: dict[str, Any]) -> str:
    checks = [check["message"] for kind in ("any", "all", "none") for check in node[kind]]
    return f"{' '.join(map(str, node['target']))}: {' '.join(checks)}"
