"""What sets a rule off: something that happens to a record, or time.

To add one: its line in TRIGGERS, and its name in `models.workflow_rule.TRIGGERS`, which the database checks. What time
brings about also says, in `due`, from when its days are counted. `docs/rules.md` lists them all, which a test checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models import Stage
from crmweb.models.base import choice
from crmweb.models.types import as_id
from crmweb.models.workflow_rule import ENTITY_TYPES
from crmweb.workflow import kinds
from crmweb.workflow.conditions import Condition

Config = Mapping[str, Any]
MOST_DAYS = 3650
DATES = {
    "Deal": {"expected_close_date": "the close date", "closed_date": "the closing day"},
    "Activity": {"due_at": "the due date"},
}
"""Entity type → the dates that a rule can count days to or from, in words."""
BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Trigger:
    """`event`: what the engine listens to; empty for what time brings about. `words` name it in lists.

    `settings` are what its configuration may hold. `only` makes conditions of them: where these do not hold, what
    happened is not the rule's occasion.
    """

    words: str
    event: str = ""
    entity_types: tuple[str, ...] = ENTITY_TYPES
    settings: tuple[str, ...] = ()
    only: Callable[[Config], tuple[Condition, ...]] = lambda _: ()

    @property
    def is_time(self) -> bool:
        return not self.event


def _stage_conditions(config: Config) -> tuple[Condition, ...]:
    asked = (("changed_from", config.get("from")), ("changed_to", config.get("to")))
    found = tuple(Condition("stage", operator, kinds.Ref(as_id(stage))) for operator, stage in asked if stage)
    return found or (Condition("stage", "changed"),)


_DEALS = ("Deal",)
TRIGGERS: dict[str, Trigger] = {
    "create": Trigger("is created", "create"),
    "update": Trigger("is updated", "update"),
    "delete": Trigger("is deleted", "delete"),
    "stage_changed": Trigger("moves to another stage", "update", _DEALS, ("from", "to"), _stage_conditions),
    "days_in_stage": Trigger("has been in its stage for some days", "", _DEALS, ("days", "stage")),
    "no_activity": Trigger("has been quiet for some days", "", _DEALS, ("days",)),
    "date_reached": Trigger("comes near a date, or is past it", "", tuple(DATES), ("field", "days", "side")),
}


def check(session: Session, entity_type: str, name: str, config: Config) -> None:
    """FieldError in words when the trigger and its settings make no sense for records of this type."""
    choice("entity_type", entity_type, ENTITY_TYPES)
    trigger = TRIGGERS[choice("trigger_event", name, tuple(TRIGGERS))]
    if entity_type not in trigger.entity_types:
        raise FieldError(
            "trigger_event", f"Only for {' and '.join(trigger.entity_types)}: “{trigger.words}”."
        )
    if unknown := sorted(set(config) - set(trigger.settings)):
        takes = ", ".join(trigger.settings) or "none"
        raise FieldError(
            "trigger_config", f"{name} knows no setting “{kinds.brief(unknown[0])}”; it takes {takes}."
        )
    for setting in ("from", "to", "stage"):
        if config.get(setting):
            _check_stage(session, setting, config[setting])
    if config.get("from") and str(config["from"]) == str(config.get("to")):
        raise FieldError("to", "Two different stages: no deal moves from a stage to the same one.")
    if "days" in trigger.settings:
        days(config)
    if "field" in trigger.settings and config.get("field") not in DATES[entity_type]:
        raise FieldError("field", f"Which date? Choose {' or '.join(DATES[entity_type].values())}.")
    if config.get("side") not in (None, "", BEFORE, AFTER):
        raise FieldError("side", f"The days are counted {BEFORE} the date or {AFTER} it.")


def days(config: Config) -> int:
    """The number of days that the trigger counts; FieldError unless it is a whole number from 0 to MOST_DAYS."""
    written = str(config.get("days", "")).strip()
    if not (written.isascii() and written.isdecimal() and len(written) < 5 and int(written) <= MOST_DAYS):
        raise FieldError("days", f"How many days? Whole days only, such as 10; at most {MOST_DAYS:,}.")
    return int(written)


def _check_stage(session: Session, setting: str, value: Any) -> None:
    stage = session.get(Stage, as_id(value, setting))
    if stage is None or stage.is_archived:
        raise FieldError(setting, "This stage is not there any more. Choose another one.")
