"""Conditions as rules keep them: mappings {field, operator, value}, and groups of them {match, conditions}."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Written = Mapping[str, Any]


def is_group(part: Any) -> bool:
    """Whether the part is a group of conditions."""
    return isinstance(part, Mapping) and "conditions" in part


def in_order(parts: Iterable[Any] | None) -> Iterator[Written]:
    """The conditions in reading order, those in groups as well; drafts may lack parts."""
    for part in parts or ():
        if is_group(part):
            yield from in_order(part["conditions"])
        else:
            yield part
