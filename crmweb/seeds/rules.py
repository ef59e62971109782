"""The demo company's six rules. None of them moves a deal, or keeps one from moving."""

from __future__ import annotations

from typing import Any

from crmweb.models import Stage, User, WorkflowRule
from crmweb.seeds.deals import PROPOSAL, RISK


def rules(stages: dict[str, Stage], people: dict[str, User]) -> list[WorkflowRule]:
    """The rules, on these stages (of both pipelines, by name) and people (by key)."""
    return [
        WorkflowRule(
            name="Chase big proposals", entity_type="Deal", trigger_event="update",
            conditions=[
                _when("stage", "changed_to", str(stages[PROPOSAL].id)),
                _when("amount", "greater_than", 100_000),
            ],
            actions=[_task("Send the reference list", 5)],
        ),
        WorkflowRule(
            name="Hand over every win", entity_type="Deal", trigger_event="update",
            conditions=[_when("status", "changed_to", "closed_won")],
            actions=[
                _task("Plan the start with {entity.name}", 3),
                _tell("managers", "Won: {deal.amount} {deal.currency} from {entity.name}"),
            ],
        ),
        WorkflowRule(
            name="Tell the office about very large deals", entity_type="Deal", trigger_event="update",
            conditions=[_when("amount", "greater_than", 250_000)],
            actions=[_tell("admins", "Grown to {deal.amount} {deal.currency}")],
            fires="becomes_true",
        ),
        WorkflowRule(
            name="Renewals at risk go to Marek", entity_type="Deal", trigger_event="update",
            conditions=[_when("stage", "changed_to", str(stages[RISK].id))],
            actions=[
                _do("update_field", field_name="assigned_to", value=str(people["MW"].id)),
                _task("Call {entity.name} about the renewal", 1),
            ],
        ),
        WorkflowRule(
            name="Look for open deals of a lost customer", entity_type="Entity", trigger_event="update",
            conditions=[_when("status", "changed_to", "Inactive")],
            actions=[_task("Close or hand over the open deals of {entity.name}", 2)],
        ),
        WorkflowRule(
            name="Complaints reach everybody in charge", entity_type="Activity", trigger_event="create",
            conditions=[_when("type", "equals", "call"), _when("subject", "contains", "complaint")],
            actions=[_tell("managers", "{activity.subject}"), _tell("admins", "{activity.subject}")],
        ),
    ]  # fmt: skip


def _when(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def _do(action: str, **config: Any) -> dict[str, Any]:
    return {"type": action, "config": config}


def _task(subject: str, days: int) -> dict[str, Any]:
    return _do("create_activity", type="task", subject=subject, due_in_days=days)


def _tell(to: str, message: str) -> dict[str, Any]:
    return _do("send_notification", to=to, message=message)
