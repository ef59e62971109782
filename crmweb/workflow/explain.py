"""A rule as one English sentence, in parts, so that its values can be emphasised and linked to their fields.

The same sentence stands in the list, in the editor and in the log. It reads definitions (`WorkflowRule.definition()`),
complete or not: what is missing in a draft reads as "…".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from crmweb.errors import FieldError
from crmweb.workflow import catalog, kinds
from crmweb.workflow.naming import Definition, Names, field_of
from crmweb.workflow.operators import OPERATORS, Operator
from crmweb.workflow.texts import readable

Write = Callable[[Any, str], str]
"""How a typed value is written, and in which currency ("" for no money)."""

MISSING = "…"
A = {"Deal": "a deal", "Entity": "a contact", "Activity": "an activity"}
HAPPENS = {"create": "is created", "update": "is updated", "delete": "is deleted"}
CHANGES = ("changed", "changed_to", "changed_from")
GONE = {kinds.PERSON: "a person who is gone", kinds.ENTITY: "a contact that is gone"}
LONGEST = 120


class Part(NamedTuple):
    """A piece of the sentence. `anchor`: the form's control that the value comes from."""

    text: str
    is_value: bool = False
    anchor: str = ""


def plainly(value: Any, currency: str) -> str:
    """Numbers in groups, days ISO, the currency behind: how sentences are written for nobody in particular."""
    return f"{kinds.shown(value)} {currency}".rstrip()


def sentence(definition: Definition, names: Names, write: Write = plainly) -> list[Part]:
    """What the rule does and when. Never raises."""
    conditions = list(_conditions(definition, names, write))
    parts = [Part(_beginning(definition)), *_between(conditions, " and ")]
    if conditions:
        parts.insert(1, Part(" so that " if _becomes_true(definition) else " and "))
    actions = list(_actions(definition, names, write))
    parts += [Part(", "), *(_between(actions, " and ") or [Part(MISSING, is_value=True)]), Part(".")]
    if definition.get("stop_after"):
        parts.append(Part(" Stop here."))
    if definition.get("on_failure") == "undo":
        parts.append(Part(" If that fails, undo the change."))
    return _merged(parts)


def text(parts: Iterable[Part]) -> str:
    """The sentence without emphasis."""
    return "".join(part.text for part in parts)


def changes_only(definition: Definition) -> bool:
    """Whether a condition asks for a change, so that the rule cannot act on edits of something else."""
    return any(condition.get("operator") in CHANGES for condition in definition.get("conditions") or ())


def _beginning(definition: Definition) -> str:
    trigger = definition.get("trigger_event") or ""
    is_each = trigger == "update" and definition.get("fires") == "every_time" and not changes_only(definition)
    what = A.get(definition.get("entity_type") or "", MISSING)
    return f"{'Each time' if is_each else 'When'} {what} {HAPPENS.get(trigger, MISSING)}"


def _becomes_true(definition: Definition) -> bool:
    is_update = definition.get("trigger_event") == "update"
    return is_update and definition.get("fires") == "becomes_true" and not changes_only(definition)


def _conditions(definition: Definition, names: Names, write: Write) -> Iterator[list[Part]]:
    currency = _currency(definition)
    for number, condition in enumerate(definition.get("conditions") or ()):
        entry, operator = (
            field_of(definition, condition.get("field")),
            OPERATORS.get(str(condition.get("operator"))),
        )
        anchor = f"conditions-{number}"
        if entry is None:
            yield [Part(MISSING, is_value=True, anchor=f"{anchor}-field")]
        elif operator is None:
            yield [Part(f"{entry.words} "), Part(MISSING, is_value=True, anchor=f"{anchor}-operator")]
        else:
            yield _condition(entry, operator, condition.get("value"), _Values(names, write, currency), anchor)


class _Values(NamedTuple):
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


def _condition(
    entry: catalog.Field, operator: Operator, value: Any, values: _Values, anchor: str
) -> list[Part]:
    words = operator.words_for(entry.kind)
    if operator.takes == "nothing":
        return [Part(f"{entry.words} {words}")]
    if kinds.is_missing(value) and operator.name in ("equals", "not_equals"):
        return [Part(f"{entry.words} {words} empty")]
    if operator.takes == "several":
        written = value if isinstance(value, list | tuple) else str("" if value is None else value).split(",")
        said = ", ".join(
            values.word(entry, part.strip() if isinstance(part, str) else part) for part in written
        )
    elif operator.name == "contains":
        said = MISSING if kinds.is_missing(value) else kinds.brief(value, LONGEST)
    else:
        said = values.word(entry, value)
    return [Part(f"{entry.words} {words} "), Part(said, is_value=True, anchor=f"{anchor}-value")]


def _actions(definition: Definition, names: Names, write: Write) -> Iterator[list[Part]]:
    for number, action in enumerate(definition.get("actions") or ()):
        say = _ACTIONS.get(str(action.get("type")))
        anchor = f"actions-{number}"
        if say is None:
            yield [Part(MISSING, is_value=True, anchor=f"{anchor}-type")]
        else:
            yield say(definition, action.get("config") or {}, _Values(names, write, ""), anchor)


def _update_field(definition: Definition, config: Definition, values: _Values, anchor: str) -> list[Part]:
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


def _create_activity(definition: Definition, config: Definition, __: _Values, anchor: str) -> list[Part]:
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


def _send_notification(
    definition: Definition, config: Definition, values: _Values, anchor: str
) -> list[Part]:
    to = config.get("to") or ""
    who = _RECIPIENTS.get(str(to)) or values.word(_PERSON, to)
    parts = [Part("notify "), Part(who, is_value=True, anchor=f"{anchor}-to")]
    if message := _text(definition, config.get("message")):
        parts += [Part(": "), Part(f"“{message}”", is_value=True, anchor=f"{anchor}-message")]
    return parts


def _move_to_stage(_: Definition, config: Definition, values: _Values, anchor: str) -> list[Part]:
    stage = values.word(_STAGE, config.get("stage_id"))
    return [Part("move it to "), Part(stage, is_value=True, anchor=f"{anchor}-stage_id")]


_ACTIONS: dict[str, Callable[[Definition, Definition, _Values, str], list[Part]]] = {
    "update_field": _update_field,
    "create_activity": _create_activity,
    "send_notification": _send_notification,
    "move_to_stage": _move_to_stage,
}
_RECIPIENTS = {
    "": "the owner, else the admins",
    "owner": "the owner",
    "managers": "all managers",
    "admins": "all admins",
}
_STAGE = catalog.field("Deal", "stage")
_PERSON = catalog.field("Deal", "assigned_to")


def _currency(definition: Definition) -> str:
    """The one currency that the conditions ask for. Without it an amount is compared in whatever currency it has."""
    asked = {
        str(condition.get("value")).strip().upper()
        for condition in definition.get("conditions") or ()
        if condition.get("field") == "currency" and condition.get("operator") in ("equals", "changed_to")
    }
    return asked.pop() if len(asked) == 1 else ""


def _between(said: Sequence[list[Part]], word: str) -> list[Part]:
    """The pieces with commas between, and `word` before the last."""
    parts: list[Part] = []
    for number, piece in enumerate(said):
        if number:
            parts.append(Part(word if number == len(said) - 1 else ", "))
        parts += piece
    return parts


def _merged(parts: Iterable[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if merged and not part.is_value and not merged[-1].is_value:
            merged[-1] = Part(merged[-1].text + part.text)
        else:
            merged.append(part)
    return merged
