"""What a request costs, and a table of such costs beside each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.statements import count_statements

FIGURES = {"statements": "statements", "milliseconds": "CPU ms", "bytes": "bytes", "cards": "cards"}


@dataclass
class Cost:
    """SQL statements, processor time in milliseconds, and the bytes of one answer with the cards in it."""

    statements: int = 0
    milliseconds: float = 0.0
    bytes: int = 0
    cards: int = 0

    def least(self, other: Cost | None) -> Cost:
        """The smaller of both, each figure by itself."""
        if other is None:
            return self
        return Cost(*(min(getattr(self, name), getattr(other, name)) for name in FIGURES))


@contextmanager
def measured() -> Iterator[Cost]:
    """Inside, statements and processor time of this process are counted; the rest is for the caller to set."""
    cost = Cost()
    with count_statements() as statements:
        started = time.process_time()
        yield cost
        cost.milliseconds = (time.process_time() - started) * 1000
    cost.statements = len(statements)


def table(first: str, second: str, left: dict[str, Cost], right: dict[str, Cost]) -> str:
    """Both costs of each request, and how many times the second one is the first."""
    head = f"{'':<24}{'':<12}{first:>14}{second:>18}{'ratio':>9}"
    lines = [head, "─" * len(head)]
    for request, cost in left.items():
        for name, unit in FIGURES.items():
            one, other = getattr(cost, name), getattr(right[request], name)
            if not one and not other:
                continue  # what is no request has no bytes
            digits = ",.2f" if name == "milliseconds" else ",.0f"
            ratio = f"{other / one:.2f}" if one else "–"
            title = request if unit == "statements" else ""
            lines.append(f"{title:<24}{unit:<12}{one:>14{digits}}{other:>18{digits}}{ratio:>9}")
    return "\n".join(lines)
