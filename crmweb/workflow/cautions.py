"""What is worth a warning about rules that may be saved: pure functions over their definitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from crmweb.models.workflow_rule import ENTITY_TYPES
from crmweb.workflow import kinds
from crmweb.workflow.explain import changes_only
from crmweb.workflow.naming import Definition, field_of
from crmweb.workflow.parts import in_order

ADDS = ("create_activity", "send_notification")
EACH_EDIT = (
    "This acts at every edit as long as its conditions hold: one win and three edits make four notes. "
    "Choose “when it becomes true”, or add a condition that something changed."
)
ACTIVITY = "an activity"
SAME = ("equals", "changed_to", "one_of")
MOVES = frozenset({"stage", "pipeline", "status", "closed_date", "stage_entered_at", "lost_reason"})
"""What a move to another stage may change."""


def repeats(definition: Definition) -> str:
    """A warning when the rule adds something at each edit; else empty."""
    is_each = definition.get("trigger_event") == "update" and definition.get("fires") == "every_time"
    adds = any(action.get("type") in ADDS for action in definition.get("actions") or ())
    return EACH_EDIT if is_each and adds and not changes_only(definition) else ""


def circles(rules: Mapping[UUID, Definition]) -> dict[UUID, set[UUID]]:
    """Rules that set off each other, directly or through others: each with the others in its circle.

    Two may be named that never meet: of the values, only those are looked at that a rule writes as they stand in it.
    `rules` are the running ones.
    """
    feeds = {one: _fed_by(one, rules) for one in rules}
    reach = {one: _reached(feeds, one) for one in rules}
    return {
        one: others for one in rules if (others := {far for far in reach[one] if one in reach[far]} - {one})
    }


def _fed_by(one: UUID, rules: Mapping[UUID, Definition]) -> set[UUID]:
    """The rules that this one feeds. What it does is gone through once, since with 300 rules there are 90,000 pairs."""
    added, writes = _adds(rules[one]), {kind: _writes(rules[one], kind) for kind in ENTITY_TYPES}
    return {
        other
        for other, rule in rules.items()
        if other != one and _met(rule, added, writes.get(str(rule.get("entity_type")), {}))
    }


def fed(one: Definition, other: Definition) -> list[str]:
    """What `one` does that is an occasion for `other`, in words: "the stage", "an activity"; else empty."""
    return _met(other, _adds(one), _writes(one, str(other.get("entity_type"))))


def _met(other: Definition, added: set[str], sets: Mapping[str, str | None]) -> list[str]:
    """What is an occasion for `other` of the activities `added`, by type, and of the fields that are set."""
    kind, trigger = str(other.get("entity_type")), other.get("trigger_event")
    if trigger == "create":
        return [ACTIVITY] if kind == "Activity" and added and _may_meet(other, {"type": added}) else []
    if not sets or not _may_meet(other, {key: {value} for key, value in sets.items() if value is not None}):
        return []
    written = set(sets)
    read = {str(condition.get("field")) for condition in in_order(other.get("conditions"))}
    if trigger == "stage_changed":
        met = written & {"stage"}
    elif trigger == "update":
        met = written & read if read else written
    else:
        met = set()
    if "stage" in met:  # with a move come its consequences
        met -= MOVES - {"stage"}
    entries = (field_of({"entity_type": kind}, key) for key in sorted(met))
    return [entry.words for entry in entries if entry is not None]


def _adds(definition: Definition) -> set[str]:
    """The types of the activities that the rule adds."""
    return {
        str((action.get("config") or {}).get("type") or "note")
        for action in definition.get("actions") or ()
        if action.get("type") == "create_activity"
    }


def _writes(definition: Definition, kind: str) -> dict[str, str | None]:
    """The fields of records of `kind` that the rule sets: to which value, None when that is not the same each time."""
    own, found = definition.get("entity_type"), dict[str, str | None]()
    for action in definition.get("actions") or ():
        config = action.get("config") or {}
        key, value = str(config.get("field_name")), config.get("value")
        if action.get("type") == "move_to_stage" and kind == "Deal":
            found |= {**dict.fromkeys(MOVES), "stage": str(config.get("stage_id"))}
        elif action.get("type") == "assign" and kind == own:
            found["assigned_to"] = None
        elif action.get("type") == "update_field":
            of_entity = own == "Deal" and key.startswith("entity.")
            fixed = None if "{" in str(value) or key in found else str(value)
            if of_entity and kind == "Entity":
                found[key.removeprefix("entity.")] = fixed
            elif kind == own and not of_entity:
                found[key] = fixed
    return found


def _may_meet(definition: Definition, written: Mapping[str, Collection[str]]) -> bool:
    """Whether the rule can act on a record in which these fields have one of these values."""
    to = (definition.get("trigger_config") or {}).get("to")
    asked = [{"field": "stage", "operator": "equals", "value": to}] if to else []
    if definition.get("match") != "any":
        asked += [part for part in definition.get("conditions") or () if part.get("operator") in SAME]
    values = {key: set(map(_plain, texts)) for key, texts in written.items()}
    return not any(
        part["field"] in values and values[part["field"]].isdisjoint(_compared(part)) for part in asked
    )


def _compared(condition: Mapping[str, Any]) -> set[str]:
    """The values of which the field has to have one."""
    value = condition.get("value")
    if condition.get("operator") != "one_of":
        return {_plain(value)}
    return set(map(_plain, value if isinstance(value, list | tuple) else str(value).split(",")))


def _plain(value: Any) -> str:
    """A written value as it is compared: 5 and 5.00 are the same, and so are Ann and ann."""
    text = str(value).strip()
    number = kinds.plain_number(text)
    return text.casefold() if number is None else str(number.normalize())


def _reached(feeds: Mapping[UUID, set[UUID]], start: UUID) -> set[UUID]:
    reached: set[UUID] = set()
    ahead: list[Any] = [*feeds[start]]
    while ahead:
        rule = ahead.pop()
        if rule not in reached:
            reached.add(rule)
            ahead += feeds[rule]
    return reached
