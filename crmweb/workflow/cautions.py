"""What is worth a warning about rules that may be saved: pure functions over their definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from crmweb.workflow.explain import changes_only
from crmweb.workflow.naming import Definition, field_of
from crmweb.workflow.parts import in_order

ADDS = ("create_activity", "send_notification")
EACH_EDIT = (
    "This acts at every edit as long as its conditions hold: one win and three edits make four notes. "
    "Choose “when it becomes true”, or add a condition that something changed."
)
ACTIVITY = "an activity"
MOVES = frozenset({"stage", "pipeline", "status", "closed_date", "stage_entered_at", "lost_reason"})
"""What a move to another stage may change."""


def repeats(definition: Definition) -> str:
    """A warning when the rule adds something at each edit; else empty."""
    is_each = definition.get("trigger_event") == "update" and definition.get("fires") == "every_time"
    adds = any(action.get("type") in ADDS for action in definition.get("actions") or ())
    return EACH_EDIT if is_each and adds and not changes_only(definition) else ""


def circles(rules: Mapping[UUID, Definition]) -> dict[UUID, set[UUID]]:
    """Rules that set off each other, directly or through others: each with the others in its circle.

    Which values they set is not looked at, so two may be named that never meet. `rules` are the running ones.
    """
    feeds = {
        one: {other for other in rules if other != one and fed(rules[one], rules[other])} for one in rules
    }
    reach = {one: _reached(feeds, one) for one in rules}
    return {
        one: others for one in rules if (others := {far for far in reach[one] if one in reach[far]} - {one})
    }


def fed(one: Definition, other: Definition) -> list[str]:
    """What `one` does that is an occasion for `other`, in words: "the stage", "an activity"; else empty."""
    kind, trigger = str(other.get("entity_type")), other.get("trigger_event")
    if trigger == "create":
        adds = any(action.get("type") == "create_activity" for action in one.get("actions") or ())
        return [ACTIVITY] if kind == "Activity" and adds else []
    written = _writes(one, kind)
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


def _writes(definition: Definition, kind: str) -> set[str]:
    """The fields of records of `kind` that the rule sets."""
    own, found = definition.get("entity_type"), set[str]()
    for action in definition.get("actions") or ():
        key = str((action.get("config") or {}).get("field_name"))
        if action.get("type") == "move_to_stage" and kind == "Deal":
            found |= MOVES
        elif action.get("type") == "assign" and kind == own:
            found.add("assigned_to")
        elif action.get("type") == "update_field":
            of_entity = own == "Deal" and key.startswith("entity.")
            if of_entity and kind == "Entity":
                found.add(key.removeprefix("entity."))
            elif kind == own and not of_entity:
                found.add(key)
    return found


def _reached(feeds: Mapping[UUID, set[UUID]], start: UUID) -> set[UUID]:
    reached: set[UUID] = set()
    ahead: list[Any] = [*feeds[start]]
    while ahead:
        rule = ahead.pop()
        if rule not in reached:
            reached.add(rule)
            ahead += feeds[rule]
    return reached
