"""What somebody changed, as one sentence: "changed the amount from €500 to €600 and set the close date to 12 Dec"."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from crmweb import clock, config
from crmweb.ledger import WHOLE
from crmweb.queries import wording
from crmweb.queries.edits import Edit
from crmweb.queries.timeline import TimelineItem
from crmweb.web import filters
from crmweb.web.access import Person

LONGEST = 80
LONG = ("description", "note")
"""Fields whose text is too long for a sentence."""


def told(item: TimelineItem, person: Person) -> str:
    """The sentence, to stand behind the name of who did it."""
    edits = [single for edit in item.edits for single in _singly(edit)]
    if item.again is None:
        return _joined([_done(edit, person) for edit in edits])
    return f"{'did it again' if item.again else 'undid a change'}: {_joined([_so(edit, person) for edit in edits])}"


def _singly(edit: Edit) -> list[Edit]:
    """An edit of custom fields as one of each that changed."""
    if edit.field != "custom_fields":
        return [edit]
    old, new = edit.old or {}, edit.new or {}
    return [
        Edit(edit.record_type, f"the field “{name}”", old.get(name), new.get(name), of=edit.of)
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name) or (name in old) != (name in new)
    ]


def _done(edit: Edit, person: Person) -> str:
    """What was done to one field: "changed the amount from €500 to €600"."""
    if edit.field == WHOLE:
        return f"{'brought back' if edit.new else 'deleted'} {_of(edit)}"
    if _is_gone(edit):
        return f"changed {_of(edit)}"
    what, old, new = _field(edit), _value(edit, edit.old, person, 0), _value(edit, edit.new, person)
    if edit.field in LONG and old and new:
        return f"rewrote {what}"
    if not new:
        return f"emptied {what}" if edit.field in LONG else f"emptied {what}, which was {old}"
    if edit.field in LONG:
        return f"wrote {what}"
    return f"changed {what} from {old} to {new}" if old else f"set {what} to {new}"


def _so(edit: Edit, person: Person) -> str:
    """How it is now that a change was taken back: "the amount is €500 again"."""
    if edit.field == WHOLE:
        return f"{_of(edit)} is {'back' if edit.new else 'gone'}"
    if edit.field in LONG or _is_gone(edit):
        return f"{_of(edit) if _is_gone(edit) else _field(edit)} is as it was"
    return f"{_field(edit)} is {_value(edit, edit.new, person) or 'empty'} again"


def _field(edit: Edit) -> str:
    words = edit.field if edit.field.startswith("the ") else wording.field(edit.record_type, edit.field)
    return f"{words} of {_of(edit)}" if edit.of else words


def _of(edit: Edit) -> str:
    if edit.of is None:
        return "the deal" if edit.record_type == "Deal" else "the contact"
    kind, subject = edit.of
    return f"the {kind} “{_brief(subject)}”" if subject else f"a{'n' * (kind[0] in 'aeiou')} {kind}"


def _is_gone(edit: Edit) -> bool:
    """Whether it was on an entry that is deleted since, of which nothing more is said."""
    return edit.of is not None and not edit.of[1]


def _value(edit: Edit, value: Any, person: Person, side: int = 1) -> str:
    """A value as people read it; empty for none. `side` 0: the one before."""
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        is_name = edit.field in ("entity_id", "assigned_to_id", "currency")
        return value if is_name else f"“{_brief(value)}”"
    if isinstance(value, Decimal) and edit.field == "amount":
        return filters.money(value, edit.currencies[side], person.locale)
    if isinstance(value, date):
        return _day(value, person)
    return ("no", "yes")[value] if isinstance(value, bool) else filters.number(value, person.locale)


def _day(value: date, person: Person) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(ZoneInfo(config.settings.timezone)).date()
    return filters.day(value, clock.today(), person.locale)


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _joined(parts: Sequence[str]) -> str:
    single = list(dict.fromkeys(parts))
    return " and ".join(filter(None, [", ".join(single[:-1]), *single[-1:]]))
