"""Rules that a sales team wants, ready to be looked through, changed and switched on.

To add one: its line in RECIPES. A test saves each and lets it act.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from crmweb.workflow.naming import Definition


class Recipe(NamedTuple):
    """A rule to start from. `about`: what it is good for, in a sentence."""

    name: str
    about: str
    rule: Definition

    @property
    def definition(self) -> dict[str, Any]:
        """The rule as `WorkflowRule.definition()` gives it."""
        begun = {
            "entity_type": "Deal", "trigger_config": {}, "match": "all", "conditions": [], "fires": "every_time",
            "stop_after": False, "on_failure": "keep",
        }  # fmt: skip
        return {**begun, **self.rule, "name": self.name}


def _when(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    condition = {"field": field, "operator": operator}
    return condition if value is None else {**condition, "value": value}


def _do(kind: str, **settings: Any) -> dict[str, Any]:
    return {"type": kind, "config": settings}


def _task(subject: str, days: int) -> dict[str, Any]:
    return _do("create_activity", type="task", subject=subject, due_in_days=str(days))


RECIPES: dict[str, Recipe] = {
    "won": Recipe(
        "Onboard every win",
        "The first steps with a new customer are on somebody’s list before the cake is eaten.",
        {
            "trigger_event": "update",
            "conditions": [_when("status", "changed_to", "closed_won")],
            "actions": [_task("Welcome {entity.name}", 1), _task("Plan the kick-off with {entity.name}", 3)],
        },
    ),
    "quiet": Recipe(
        "Wake up quiet deals",
        "The owner hears of it when nobody has touched a deal for two weeks.",
        {
            "trigger_event": "no_activity",
            "trigger_config": {"days": "14"},
            "actions": [_do("send_notification", message="Nothing has happened on {deal.name} for two weeks")],
        },
    ),
    "big": Recipe(
        "Tell managers about big deals",
        "Nobody in charge is surprised by a deal that matters.",
        {
            "trigger_event": "update",
            "fires": "becomes_true",
            "conditions": [_when("amount", "greater_than", "100000")],
            "actions": [
                _do("send_notification", to="managers", message="{deal.name} is worth {deal.amount} {deal.currency}")
            ],
        },
    ),
    "share": Recipe(
        "Share new deals fairly",
        "A new deal that nobody owns goes to whoever’s turn it is.",
        {
            "trigger_event": "create",
            "conditions": [_when("assigned_to", "is_empty")],
            "actions": [_do("assign", way="in_turn")],
        },
    ),
    "lost": Recipe(
        "Ask again in 90 days",
        "A no today is often a maybe in spring.",
        {
            "trigger_event": "update",
            "conditions": [_when("status", "changed_to", "closed_lost")],
            "actions": [_task("Ask {entity.name} again", 90)],
        },
    ),
    "late": Recipe(
        "Nudge when the close date has passed",
        "The forecast stays honest: the deal is won, lost, or gets another date.",
        {
            "trigger_event": "date_reached",
            "trigger_config": {"field": "expected_close_date", "days": "1", "side": "after"},
            "actions": [_do("send_notification", message="{deal.name} should be closed by now: win, lose or move it")],
        },
    ),
    "next": Recipe(
        "No deal without a next step",
        "Whoever moves a deal on without a plan gets a task to make one.",
        {
            "trigger_event": "stage_changed",
            "conditions": [_when("status", "equals", "open"), _when("next_due_at", "is_empty")],
            "actions": [_task("Decide on the next step", 1)],
        },
    ),
    "vip": Recipe(
        "Mark deals of important contacts",
        "Every new deal says that its contact is marked as VIP, so that it is treated so.",
        {
            "trigger_event": "create",
            "conditions": [_when("entity.note", "contains", "VIP")],
            "actions": [_do("create_activity", type="note", subject="{entity.name} is a VIP: answer within the day")],
        },
    ),
}  # fmt: skip
