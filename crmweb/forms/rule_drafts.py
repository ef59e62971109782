"""A rule's form drawn from what the rule means, and drawn again after one of its buttons: nothing is saved by it."""

from __future__ import annotations

from typing import Any

from crmweb.forms.rule_options import CUSTOM_KEYS, actions_of, operators_of, triggers_of
from crmweb.forms.rule_rows import MOST
from crmweb.forms.rules import RuleForm
from crmweb.workflow.kinds import is_missing
from crmweb.workflow.naming import Definition, field_of
from crmweb.workflow.parts import in_order, is_group

NEW_CONDITION: dict[str, Any] = {"field": "", "operator": "", "value": None}
NEW_ACTION: dict[str, Any] = {"type": "", "config": {}}
EMPTY = {"equals": "is_empty", "not_equals": "is_not_empty"}
PLAIN = ("name", "entity_type", "trigger_event", "match", "fires", "stop_after", "on_failure")


def drawn(
    definition: Definition, version: int = 0, locale: str = "en", *, counts_past: bool = False
) -> RuleForm:
    """The form of a rule that means `definition`."""
    given = {name: definition.get(name) for name in PLAIN}
    given |= {f"trigger_{name}": value for name, value in (definition.get("trigger_config") or {}).items()}
    parts = definition.get("conditions") or ()
    conditions = [_condition_data(part) for part in parts if not is_group(part)]
    groups = [
        {"match": part.get("match"), "conditions": [_condition_data(inner) for inner in part["conditions"]]}
        for part in parts
        if is_group(part)
    ]
    actions = [_action_data(action) for action in definition.get("actions") or ()]
    return RuleForm(
        None, locale=locale, conditions=conditions, groups=groups, actions=actions, version=version,
        counts_past=counts_past, **given,
    )  # fmt: skip


def opened(definition: Definition, version: int, locale: str) -> RuleForm:
    """The form of a stored rule. Where it asks for nothing by “is”, the form says “is empty”."""
    conditions = [
        {**part, "conditions": list(map(_worded, part["conditions"]))} if is_group(part) else _worded(part)
        for part in definition.get("conditions") or ()
    ]
    return drawn({**definition, "conditions": conditions}, version, locale)


def _worded(condition: Definition) -> Definition:
    operator = EMPTY.get(str(condition.get("operator")))
    return (
        {**condition, "operator": operator} if operator and is_missing(condition.get("value")) else condition
    )


def redrawn(form: RuleForm, act: str) -> RuleForm:
    """The form after a button in it; any other text is none of them.

    `add-condition`, `remove-condition-2`, in the group 1 `add-condition-in-1` and `remove-condition-0-in-1`;
    `add-group`, `remove-group-0`; `add-action`, `remove-action-2`, `raise-action-1`.

    What does not fit any more is left out: an operator that the field does not have, an action that the event forbids.
    """
    definition = form.definition()
    verb, _, rest = act.partition("-")
    rest, _, group = rest.partition("-in-")
    what, _, number = rest.partition("-")
    conditions = [part for part in definition["conditions"] if not is_group(part)]
    groups = [part for part in definition["conditions"] if is_group(part)]
    inside = _place(group)
    if what == "condition" and 0 <= inside < len(groups):
        _edit(groups[inside]["conditions"], verb, NEW_CONDITION, number)
    elif what == "condition":
        _edit(conditions, verb, NEW_CONDITION, number)
    elif what == "group":
        _edit(groups, verb, {"match": "any", "conditions": [dict(NEW_CONDITION)]}, number)
    elif what == "action":
        _edit(definition["actions"], verb, NEW_ACTION, number)
    definition["conditions"] = [*conditions, *(part for part in groups if part["conditions"])]
    settle(definition)
    return drawn(definition, form.version.data, form.meta.locale, counts_past=bool(form.counts_past.data))


def settle(definition: dict[str, Any]) -> None:
    """Leave out of a draft what does not fit: first choices instead of impossible ones."""
    kind = definition["entity_type"]
    offered = dict(triggers_of(kind))
    if definition["trigger_event"] not in offered:
        definition.update(trigger_event=next(iter(offered), "update"), trigger_config={})
    for condition in in_order(definition["conditions"]):
        assert isinstance(condition, dict)
        entry = field_of(definition, condition["field"])
        if entry is None and condition["field"] not in CUSTOM_KEYS:
            condition.update(NEW_CONDITION)
        elif entry is not None and condition["operator"] not in dict(operators_of(entry.kind)):
            condition.update(operator=operators_of(entry.kind)[0][0], value=None)
    if definition["trigger_event"] != "update":  # nothing else happens by a change of a field
        definition["conditions"] = [part for part in definition["conditions"] if not _waits_in_vain(part)]
    possible = {name for name, _ in actions_of(kind, definition["trigger_event"])}
    for action in definition["actions"]:
        if _kind_of(action) not in possible:
            action.update(NEW_ACTION)


def _waits_in_vain(part: Definition) -> bool:
    """Whether it is a condition about a change that nobody has filled in."""
    return str(part.get("operator")).startswith("changed_") and is_missing(part.get("value"))


def _edit(parts: list[dict[str, Any]], verb: str, new: dict[str, Any], number: str) -> None:
    place = _place(number)
    if verb == "add" and len(parts) < MOST:
        parts.append({name: dict(value) if isinstance(value, dict) else value for name, value in new.items()})
    elif verb == "remove" and 0 <= place < len(parts):
        del parts[place]
    elif verb == "raise" and 0 < place < len(parts):
        parts[place - 1 : place + 1] = [parts[place], parts[place - 1]]


def _place(number: str) -> int:
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else -1


def _kind_of(action: Definition) -> str:
    """The form's kind of a written action: notes and tasks are two."""
    if action.get("type") == "create_activity":
        return "task" if (action.get("config") or {}).get("type") == "task" else "note"
    return str(action.get("type") or "")


def _condition_data(condition: Definition) -> dict[str, Any]:
    return {**condition, **_chosen("field", condition.get("field"))}


def _action_data(action: Definition) -> dict[str, Any]:
    config = dict(action.get("config") or {})
    return {**config, **_chosen("field_name", config.get("field_name")), "kind": _kind_of(action)}


def _chosen(name: str, key: Any) -> dict[str, Any]:
    """The list's entry for a field's key, and a custom field's name beside it."""
    for prefix in CUSTOM_KEYS:
        if isinstance(key, str) and key.startswith(prefix):
            return {name: prefix, "custom": key.removeprefix(prefix)}
    return {name: key or ""}
