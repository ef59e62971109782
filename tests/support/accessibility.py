"""What axe finds on a page that is open in the browser: every rule it has in light, colours again in dark."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

AXE = Axe()
SCHEMES = {
    "light": {"resultTypes": ["violations"]},
    # What is not about colours is the same in the dark.
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]},
}


def faults(page: Page, where: str) -> list[str]:
    """What is wrong with the page as it looks now, a line for each element; `where` begins the lines."""
    found: list[str] = []
    page.evaluate(AXE.axe_script)
    for scheme, options in SCHEMES.items():
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for fault in page.evaluate("options => axe.run(options)", options)["violations"]:
            found += [f"{where} ({scheme}) {fault['id']}: {_element(node)}" for node in fault["nodes"]]
    page.emulate_media(color_scheme="light")
    return found


def _element(node: dict[str, Any]) -> str:
    checks = [check["message"] for kind in ("any", "all", "none") for check in node[kind]]
    return f"{' '.join(map(str, node['target']))}: {' '.join(checks)}"
