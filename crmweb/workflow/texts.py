"""Texts that rules write: `{deal.name}`-style placeholders from the catalog, and nothing more."""

from __future__ import annotations

import re

from crmweb.errors import FieldError
from crmweb.workflow import catalog, kinds
from crmweb.workflow.snapshots import Reader

PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[\w -]+)+)\}")


def check_text(entity_type: str, setting: str, template: str | None) -> None:
    """FieldError for `setting` when the text names a placeholder that the catalog does not have."""
    for key in PLACEHOLDER.findall(template or ""):
        try:
            catalog.field(entity_type, _own_key(entity_type, key))
        except FieldError as unknown:
            raise FieldError(setting, f"There is no placeholder {{{kinds.brief(key)}}} here.") from unknown


def fill(template: str, reader: Reader) -> str:
    """The text with its placeholders replaced by values; unknown ones stay as they are."""

    def value(match: re.Match[str]) -> str:
        try:
            entry = catalog.field(reader.entity_type, _own_key(reader.entity_type, match[1]))
        except FieldError:
            return match[0]
        found = reader.value(entry)
        return "" if kinds.is_missing(found) else kinds.shown(found)

    return PLACEHOLDER.sub(value, template)


def readable(template: str, entity_type: str) -> str:
    """The text as a person reads it who does not know the record: "‹name› is won", for "{deal.name} is won"."""

    def label(match: re.Match[str]) -> str:
        try:
            entry = catalog.field(entity_type, _own_key(entity_type, match[1]))
        except FieldError:
            return match[0]
        return f"‹{entry.words.removeprefix('the ')}›"

    return PLACEHOLDER.sub(label, template) if entity_type in catalog.CATALOG else template


def placeholders(entity_type: str) -> list[tuple[str, str]]:
    """What texts on a record of this type may hold: (placeholder, the field's label)."""
    return [
        (f"{{{key if '.' in key else f'{entity_type.lower()}.{key}'}}}", entry.label)
        for key, entry in catalog.CATALOG[entity_type].items()
        if key not in catalog.TECHNICAL
    ]


def _own_key(entity_type: str, key: str) -> str:
    """`deal.name` on a deal is its own `name`; `entity.name` is the entity's."""
    return key.removeprefix(f"{entity_type.lower()}.")
