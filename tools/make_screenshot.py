"""Takes the README's picture, the demo company's board: `.venv/bin/python -m tools.make_screenshot`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support import chromium, pages
from tests.support.server import running_server

PICTURE = Path(__file__).parents[1] / "docs" / "board.png"


def main() -> None:
    """Start the product with its demo company, sign in, take the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        found = chromium.find()
        browser = playwright.chromium.launch(
            executable_path=str(found) if found else None, args=["--no-sandbox"]
        )
        page = browser.new_page(
            base_url=server.url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
        )
        pages.sign_in_as(page)
        pages.open_board(page)
        page.evaluate("() => document.fonts.ready")
        page.screenshot(path=PICTURE)
        browser.close()
    print(f"Wrote {PICTURE}")


if __name__ == "__main__":
    main()
