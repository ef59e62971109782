"""What the address of a list asks for: words to look for, whose, from where on."""

from __future__ import annotations

from uuid import UUID

from flask import request

LONGEST_FILTER = 200


def words() -> str:
    """The text filter `q`."""
    return request.args.get("q", "").replace("\x00", "").strip()[:LONGEST_FILTER]


def mine() -> bool:
    """Whether only one's own are wanted."""
    return request.args.get("mine") == "1"


def after() -> UUID | None:
    """The cursor of the page; what is none means the first page."""
    return request.args.get("after", type=UUID)
