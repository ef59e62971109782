"""The lists of a rule's form that are the same for everybody: what a rule can look at, wait for and do, in words."""

from __future__ import annotations

from typing import Any

from crmweb.workflow import catalog, kinds, triggers
from crmweb.workflow.operators import OPERATORS

TYPES = {"Deal": "A deal", "Entity": "A company or person", "Activity": "An activity"}
TRIGGERS = {name: trigger.words for name, trigger in triggers.TRIGGERS.items()}
SIDES = {"before": "before", "after": "after"}
MATCHES = {"all": "All", "any": "Any"}
WAYS = {"person": "always the same person", "in_turn": "several people in turn"}
FIRES = {"becomes_true": "when this becomes true", "every_time": "every time this is true"}
ON_FAILURE = {"keep": "keep the person’s change", "undo": "undo the person’s change"}
STAGE_WORDS = {"from": "any stage", "to": "any other stage", "stage": "its stage, whichever"}
GROUPS = {"": "", "stage": "", "entity": "Contact", "deal": "Deal"}
CUSTOM_KEYS = {catalog.CUSTOM: "Custom field", f"entity.{catalog.CUSTOM}": "Contact: custom field"}
ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "task": ("create_activity", {"type": "task"}),
    "note": ("create_activity", {"type": "note"}),
    "update_field": ("update_field", {}),
    "send_notification": ("send_notification", {}),
    "move_to_stage": ("move_to_stage", {}),
    "assign": ("assign", {}),
}
"""The form's kind of action → the engine's, and what of its configuration that settles."""
ACTION_WORDS = {
    "task": "Add a task",
    "note": "Add a note",
    "update_field": "Change a field",
    "send_notification": "Notify",
    "move_to_stage": "Move the deal",
    "assign": "Give it to somebody",
}
RECIPIENTS = (
    ("", "The owner, else the admins"),
    ("owner", "The owner"),
    ("managers", "All managers"),
    ("admins", "All admins"),
)
HIDDEN: dict[str, tuple[str, ...]] = {
    # Contacts are too many for a list: they are compared by name.
    kinds.ENTITY: tuple(name for name in OPERATORS if name not in ("contains", "changed")),
    # Nobody means a moment to the second.
    kinds.MOMENT: ("equals", "not_equals", "one_of", "changed_to", "changed_from"),
    # Commas stand between values, and between thousands.
    kinds.MONEY: ("one_of",),
    kinds.NUMBER: ("one_of",),
}


def operators_of(kind: str) -> list[tuple[str, str]]:
    """The comparisons that a field of `kind` is offered, name and words: those that a person could mean."""
    hidden = HIDDEN.get(kind, ())
    return [
        (name, operator.words_for(kind))
        for name, operator in OPERATORS.items()
        if kind in operator.kinds and name not in hidden
    ]


def actions_of(entity_type: str | None, trigger: str | None) -> list[tuple[str, str]]:
    """The kinds of action that make sense on such records at that event: name and words."""
    hidden: set[str] = set()
    if trigger == "delete":
        hidden |= {"update_field", "move_to_stage", "assign"}
        if entity_type == "Entity":
            hidden |= {"task", "note"}
    if entity_type != "Deal":
        hidden.add("move_to_stage")
    return [(name, words) for name, words in ACTION_WORDS.items() if name not in hidden]


def triggers_of(entity_type: str | None) -> list[tuple[str, str]]:
    """What can set off a rule for such records: name and words."""
    return [
        (name, trigger.words)
        for name, trigger in triggers.TRIGGERS.items()
        if entity_type in trigger.entity_types
    ]
