"""What a check found, and how checks are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

SHOWN = 5
"""So many ids are named; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be. `name` is the check's; `ids` are the first of `count` records concerned."""

    name: str
    sentence: str
    ids: tuple[str, ...] = ()
    count: int = 0
    is_warning: bool = False
    is_fatal: bool = False

    def __str__(self) -> str:
        if not self.ids:
            return self.sentence
        more = f" and {self.count - len(self.ids):,} more" if self.count > len(self.ids) else ""
        return f"{self.sentence} {', '.join(self.ids)}{more}."


Check = Callable[[Connection], Iterable[Finding]]


def rows(connection: Connection, name: str, query: Select[Any], sentence: str) -> list[Finding]:
    """One finding for all the rows of `query`, whose columns name the record; none when it is empty.

    `sentence` may hold `{count}`, and ends so that ids can follow.
    """
    inner = query.subquery()
    counted = select(*inner.c, func.count().over().label("found")).limit(SHOWN)
    found = connection.execute(counted).all()
    if not found:
        return []
    count = found[0].found
    ids = tuple(" ".join(str(part) for part in row[:-1] if part is not None) for row in found)
    return [Finding(name, sentence.format(count=f"{count:,}"), ids, count)]
