"""What a process keeps in memory from one change set to the next, under the `rules_version` that it was read with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
MOST_VERSIONS = 8


def kept(memory: dict[str, T], version: str, load: Callable[[], T]) -> T:
    """What `load` answered first under this version; without a version it is asked each time."""
    found = memory.get(version)
    if found is None:
        found = load()
        if version:
            if len(memory) > MOST_VERSIONS:
                memory.clear()
            memory[version] = found
    return found
