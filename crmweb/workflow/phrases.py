"""The pieces of a rule's sentence: what its actions do, and how values become words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from crmweb.errors import FieldError
from crmweb.workflow import catalog, kinds
from crmweb.workflow.naming import Definition, Names, field_of
from crmweb.workflow.texts import readable

Write = Callable[[Any, str], str]
"""How a typed value is written, and in which currency ("" for no money)."""

MISSING = "…"
GONE = {kinds.PERSON: "a person who is gone", kinds.ENTITY: "a contact that is gone"}
LONGEST = 120


class Part(NamedTuple):
    """A piece of the sentence. `anchor`: the form's control that the value comes from."""

    text: str
    is_value: bool = False
    anchor: str = ""


class Values(NamedTuple):
    """How values become words."""

    names: Names
    write: Write
    currency: str

    def word(self, entry: catalog.Field, written: Any) -> str:
        try:
            value = kinds.typed(entry.kind, written, "value", entry.choices)
        except FieldError:
            return kinds.brief(written, LONGEST)
        if kinds.is_missing(value):
            return MISSING
        if isinstance(value, kinds.Ref):
            return self.names.get((entry.kind, value.id)) or GONE.get(
                entry.kind, f"a {entry.kind} that is gone"
            )
        if entry.kind == kinds.CHOICE:
            return catalog.choice_words(value)
        return kinds.brief(self.write(value, self.currency if entry.kind == kinds.MONEY else ""), LONGEST)


def between(said: Sequence[list[Part]], word: str) -> list[Part]:
    """The pieces with commas between, and `word` before the last."""
    parts: list[Part] = []
    for number, piece in enumerate(said):
        if number:
            parts.append(Part(word if number == len(said) - 1 else ", "))
        parts += piece
    return parts


def of_actions(definition: Definition, values: Values) -> Iterator[list[Part]]:
    """What each action does."""
    for number, action in enumerate(definition.get("actions") or ()):
        say = _ACTIONS.get(str(action.get("type")))
        anchor = f"actions-{number}"
        if say is None:
            yield [Part(MISSING, is_value=True, anchor=f"{anchor}-type")]
        else:
            yield say(definition, action.get("config") or {}, values, anchor)


def _update_field(definition: Definition, config: Definition, values: Values, anchor: str) -> list[Part]:
    entry = field_of(definition, config.get("field_name"))
    if entry is None:
        return [Part("set "), Part(MISSING, is_value=True, anchor=f"{anchor}-field_name")]
    if kinds.is_missing(config.get("value")):
        lead, said = ("give it to ", "nobody") if entry.key == "assigned_to" else ("empty ", entry.words)
        return [Part(lead), Part(said, is_value=True, anchor=f"{anchor}-field_name")]
    lead = "give it to " if entry.key == "assigned_to" else f"set {entry.words} to "
    value = values.word(entry, config["value"])
    said = _text(definition, value) if entry.kind == kinds.TEXT else value
    return [Part(lead), Part(said, is_value=True, anchor=f"{anchor}-value")]


def _create_activity(definition: Definition, config: Definition, __: Values, anchor: str) -> list[Part]:
    kind = "task" if config.get("type") == "task" else "note"
    subject = _text(definition, config.get("subject")) or MISSING
    parts = [Part(f"add a {kind} "), Part(subject, is_value=True, anchor=f"{anchor}-subject")]
    if kind == "task":
        parts.append(Part(" for the owner"))
        if not kinds.is_missing(due := config.get("due_in_days")):
            lead, said = _due(str(due).strip())
            parts += [Part(lead), Part(said, is_value=True, anchor=f"{anchor}-due_in_days")]
    return parts


def _text(definition: Definition, template: Any) -> str:
    return kinds.brief(readable(str(template or ""), str(definition.get("entity_type"))), LONGEST)


def _due(days: str) -> tuple[str, str]:
    if days == "0":
        return ", due ", "the same day"
    return ", due in ", "1 day" if days == "1" else f"{kinds.brief(days)} days"


def _send_notification(definition: Definition, config: Definition, values: Values, anchor: str) -> list[Part]:
    to = config.get("to") or ""
    who = _RECIPIENTS.get(str(to)) or values.word(_PERSON, to)
    parts = [Part("notify "), Part(who, is_value=True, anchor=f"{anchor}-to")]
    if message := _text(definition, config.get("message")):
        parts += [Part(": "), Part(f"“{message}”", is_value=True, anchor=f"{anchor}-message")]
    return parts


def _move_to_stage(_: Definition, config: Definition, values: Values, anchor: str) -> list[Part]:
    stage = values.word(_STAGE, config.get("stage_id"))
    return [Part("move it to "), Part(stage, is_value=True, anchor=f"{anchor}-stage_id")]


def _assign(_: Definition, config: Definition, values: Values, anchor: str) -> list[Part]:
    if config.get("way") != "in_turn":
        return [
            Part("give it to "), Part(values.word(_PERSON, config.get("to")), is_value=True, anchor=f"{anchor}-to")
        ]  # fmt: skip
    people = [values.word(_PERSON, person) for person in config.get("people") or ()]
    said = f"{', '.join(people[:-1])} and {people[-1]}" if len(people) > 1 else "".join(people)
    return [
        Part("give it in turn to "),
        Part(said or "all active people", is_value=True, anchor=f"{anchor}-people"),
    ]


_ACTIONS: dict[str, Callable[[Definition, Definition, Values, str], list[Part]]] = {
    "update_field": _update_field,
    "create_activity": _create_activity,
    "send_notification": _send_notification,
    "move_to_stage": _move_to_stage,
    "assign": _assign,
}
_RECIPIENTS = {
    "": "the owner, else the admins",
    "owner": "the owner",
    "managers": "all managers",
    "admins": "all admins",
}
_STAGE = catalog.field("Deal", "stage")
_PERSON = catalog.field("Deal", "assigned_to")
