"""Workflow rules and their kept versions. What they mean is in `crmweb.workflow`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from crmweb import clock
from crmweb.errors import FieldError
from crmweb.models.base import Base, Record, choice, not_empty, one_of, text, whole

ENTITY_TYPES = ("Deal", "Entity", "Activity")
EVENTS = ("create", "update", "delete")
TRIGGERS = (*EVENTS, "stage_changed", "days_in_stage", "no_activity", "date_reached")
MATCHES = ("all", "any")
FIRES = ("every_time", "becomes_true")
ON_FAILURE = ("keep", "undo")
DEEPEST = 4
DEFINITION = (
    "name",
    "entity_type",
    "trigger_event",
    "trigger_config",
    "match",
    "conditions",
    "actions",
    "fires",
    "stop_after",
    "on_failure",
)


class WorkflowRule(Record):
    """When something happens to a record and the conditions hold, do the actions.

    `trigger_config` says more about the trigger (`workflow.triggers`). `conditions`: a list of {field, operator,
    value}, of which `match` all or any must hold; an element may be a group {match, conditions}; empty: always.
    `actions`: a list of {type, config}, done in order. The documents' single-condition, single-action keywords are
    accepted, and are what a simple rule reads back as. `order` is unique per entity type among rules that are not
    archived.

    `on_since` (UTC): what time brings about counts from then on; None: from ever.
    """

    __tablename__ = "workflow_rules"
    defaults: ClassVar[dict[str, Any]] = {
        "conditions": list, "actions": list, "fires": "every_time", "stop_after": False, "on_failure": "keep",
        "is_active": True, "version": 1, "failures": 0, "match": "all", "trigger_config": dict, "on_since": clock.now,
    }  # fmt: skip

    name: Mapped[str] = mapped_column(String(200))
    entity_type: Mapped[str] = mapped_column(String(16))
    trigger_event: Mapped[str] = mapped_column(String(16))
    trigger_config: Mapped[dict[str, Any]] = mapped_column(JSON)
    match: Mapped[str] = mapped_column(String(3))
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    actions: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    order: Mapped[int]
    fires: Mapped[str] = mapped_column(String(16))
    stop_after: Mapped[bool]
    on_failure: Mapped[str] = mapped_column(String(8))
    is_active: Mapped[bool]
    on_since: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    failures: Mapped[int]
    archived_at: Mapped[datetime | None]
    version: Mapped[int]

    __table_args__ = (
        Index("ix_workflow_rules_order", "entity_type", "order"),
        CheckConstraint("failures >= 0", name="failures_count"),
        one_of("entity_type", ENTITY_TYPES),
        one_of("trigger_event", TRIGGERS),
        one_of("match", MATCHES),
        one_of("fires", FIRES),
        one_of("on_failure", ON_FAILURE),
        not_empty(),
    )

    def __init__(self, **fields: Any) -> None:
        condition = {name: fields.pop(f"condition_{name}", None) for name in ("field", "operator", "value")}
        action, config = fields.pop("action_type", None), fields.pop("action_config", None)
        if condition["field"] is not None or condition["operator"] is not None:
            fields["conditions"] = [condition]
        if action is not None or config is not None:
            fields["actions"] = [{"type": action, "config": config if config is not None else {}}]
        super().__init__(**fields)

    @property
    def condition_field(self) -> str | None:
        return self._only_condition().get("field")

    @property
    def condition_operator(self) -> str | None:
        return self._only_condition().get("operator")

    @property
    def condition_value(self) -> Any:
        return self._only_condition().get("value")

    @property
    def action_type(self) -> str | None:
        return self.actions[0]["type"] if len(self.actions) == 1 else None

    @property
    def action_config(self) -> dict[str, Any] | None:
        return self.actions[0]["config"] if len(self.actions) == 1 else None

    @property
    def is_running(self) -> bool:
        """Whether it takes part in changes: on, not paused, not archived."""
        return self.is_active and self.paused_at is None and self.archived_at is None

    def definition(self) -> dict[str, Any]:
        """What it means, as kept in a RuleVersion."""
        return {name: getattr(self, name) for name in DEFINITION}

    def _only_condition(self) -> dict[str, Any]:
        only = self.conditions[0] if len(self.conditions) == 1 else {}
        return {} if "conditions" in only else only

    @validates("name")
    def _name(self, _: str, value: Any) -> str | None:
        return text("name", value)

    @validates("order")
    def _order(self, field: str, value: Any) -> int | None:
        return None if value is None else whole(field, value)  # without one it comes last

    @validates("is_active")
    def _is_active(self, _: str, value: bool) -> bool:
        if value and self.is_active is False:
            self.on_since = clock.now()
        return value

    @validates("entity_type")
    def _entity_type(self, name: str, value: Any) -> str:
        return choice(name, value, ENTITY_TYPES)

    @validates("trigger_event")
    def _trigger_event(self, name: str, value: Any) -> str:
        return choice(name, value, TRIGGERS)

    @validates("trigger_config")
    def _trigger_config(self, name: str, value: Any) -> dict[str, Any]:
        if value is not None and not isinstance(value, dict):
            raise FieldError(
                name, "What more there is to say of the trigger is a mapping of settings to values."
            )
        kept: dict[str, Any] = _plain(name, value or {})
        return kept

    @validates("match")
    def _match(self, name: str, value: Any) -> str:
        return choice(name, value, MATCHES)

    @validates("fires")
    def _fires(self, name: str, value: Any) -> str:
        return choice(name, value, FIRES)

    @validates("on_failure")
    def _on_failure(self, name: str, value: Any) -> str:
        return choice(name, value, ON_FAILURE)

    @validates("conditions", "actions")
    def _parts(self, name: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
            raise FieldError(name, f"The {name} are a list.")
        return [_plain(name, part) for part in value]


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    """`value` as JSON keeps it: decimals and ids as text, days and times ISO 8601, a record as its id."""
    if isinstance(value, dict | list | tuple) and depth < DEEPEST:
        if isinstance(value, dict):
            return {str(key): _plain(name, part, depth + 1) for key, part in value.items()}
        return [_plain(name, part, depth + 1) for part in value]
    if isinstance(value, Record):
        return str(value.id)
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and "\x00" in value:
        raise FieldError(name, "The value contains a character that cannot be stored.")
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and isfinite(value)):
        return value
    raise FieldError(name, f"A rule cannot keep a {type(value).__name__} like this one.")


class RuleOccasion(Base):
    """A rule that time set off met a record once at this occasion: the moment (UTC) from which its days are counted."""

    __tablename__ = "rule_occasions"

    rule_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_rules.id", ondelete="CASCADE"), primary_key=True
    )
    record_id: Mapped[UUID] = mapped_column(primary_key=True)
    counted_from: Mapped[datetime] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class RuleVersion(Base):
    """A rule as it was, so that *why* stays right after the rule was edited."""

    __tablename__ = "rule_versions"

    rule_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflow_rules.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)

    rule: Mapped[WorkflowRule] = relationship(lazy="raise")
