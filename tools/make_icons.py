"""Make `static/icons.svg`, one sprite, from the icons that Crmweb uses.

    npm pack lucide-static@1.62.0 && tar xzf lucide-static-1.62.0.tgz
    python tools/make_icons.py package/icons

To add an icon: its Lucide name in ICONS, then run this again. A test tells which are missing and which nobody draws.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SPRITE = Path(__file__).resolve().parents[1] / "static" / "icons.svg"
NOTICE = "<!-- Lucide 1.62.0, ISC licence: vendor/lucide-LICENSE.txt. Made by tools/make_icons.py. -->"
ICONS = """
    alarm-clock archive archive-restore arrow-down arrow-right arrow-right-left arrow-up bell building-2 calendar check
    check-check chevron-down chevron-left chevron-right circle-alert clock contact-round copy ellipsis git-branch
    history hourglass key-round keyboard landmark list list-filter lock log-out mail message-square monitor pencil phone
    plus search settings square-check-big square-kanban sticky-note trash-2 triangle-alert trophy undo-2 user user-plus
    users-round workflow x zap
""".split()


def symbol(name: str, svg: str) -> str:
    """The icon as a <symbol>; its stroke is set by the style sheet where it is used."""
    inside = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
    if inside is None:
        raise ValueError(f"{name}: no <svg> in the file.")
    shapes = re.sub(r"\s*\n\s*", "", inside[1]).replace(" />", "/>")
    return f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>'


def main(folder: Path) -> None:
    """Write the sprite from the folder that holds Lucide's files."""
    symbols = [symbol(name, (folder / f"{name}.svg").read_text()) for name in sorted(ICONS)]
    lines = ['<svg xmlns="http://www.w3.org/2000/svg">', NOTICE, *symbols, "</svg>", ""]
    SPRITE.write_text("\n".join(lines), encoding="utf-8")
    print(f"{SPRITE}: {len(symbols)} icons")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
