"""What a rule must be before it is saved, and how a saved one is compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import config
from crmweb.errors import FieldError
from crmweb.models import WorkflowRule
from crmweb.workflow import catalog, kinds, triggers
from crmweb.workflow.actions import ACTIONS
from crmweb.workflow.conditions import MATCHES, Condition, Group
from crmweb.workflow.operators import OPERATORS, Operator
from crmweb.workflow.parts import in_order, is_group
from crmweb.workflow.rounds import Rule

MOST_PARTS = 20
MOST_VALUES = 100
MAY_BE_EMPTY = ("equals", "not_equals")


def check(session: Session, rule: WorkflowRule) -> None:
    """FieldError in words when the rule makes no sense: unknown fields, operators, actions, values of a wrong kind."""
    if not rule.actions:
        raise FieldError("actions", "A rule needs at least one action.")
    triggers.check(session, rule.entity_type, rule.trigger_event, rule.trigger_config)
    if max(len(list(in_order(rule.conditions))), len(rule.actions)) > MOST_PARTS:
        raise FieldError("actions", f"At most {MOST_PARTS} conditions and {MOST_PARTS} actions.")
    if rule.fires == "becomes_true" and rule.trigger_event == "update" and not rule.conditions:
        raise FieldError("fires", "Without a condition it is always true and never becomes so. Add one.")
    compile_parts(rule.entity_type, rule.conditions, session)
    for action in rule.actions:
        check_action(session, rule.entity_type, rule.trigger_event, action)


def fault(definition: Mapping[str, Any]) -> str:
    """Why a stored rule cannot run any more: what it names is not in the catalog. Empty when it can."""
    try:
        compile_parts(definition["entity_type"], definition["conditions"])
    except FieldError as unknown:
        return unknown.message
    return ""


def check_limit(session: Session, rule: WorkflowRule) -> None:
    """FieldError when the entity type would have more rules, with this one, than the setting allows."""
    most = config.settings.max_workflow_rules_per_entity
    kept = select(WorkflowRule.id).where(
        WorkflowRule.entity_type == rule.entity_type, WorkflowRule.archived_at.is_(None)
    )
    coming = {
        other.id
        for other in (*session.new, *session.dirty)
        if isinstance(other, WorkflowRule)
        and other.entity_type == rule.entity_type
        and other.archived_at is None
    }
    if len({*session.scalars(kept), *coming}) > most:
        raise FieldError(
            "entity_type",
            f"There are {most} rules for {rule.entity_type} already, the most that "
            "CRMWEB_MAX_WORKFLOW_RULES_PER_ENTITY allows. Archive one first.",
        )


def compile_rule(rule: WorkflowRule) -> Rule:
    """The rule as the engine runs it. FieldError when the catalog does not know something in it any more."""
    trigger = triggers.TRIGGERS[rule.trigger_event]
    return Rule(
        rule.id, rule.name, rule.version, rule.entity_type, trigger.event or rule.trigger_event,
        compile_parts(rule.entity_type, rule.conditions),
        tuple((action["type"], action.get("config") or {}) for action in rule.actions),
        rule.fires, rule.stop_after, rule.on_failure, rule.failures, rule.match,
        trigger.only(rule.trigger_config),
    )  # fmt: skip


def compile_parts(
    entity_type: str, written: Iterable[Any], session: Session | None = None, *, are_inner: bool = False
) -> tuple[Condition | Group, ...]:
    """The written conditions, and the groups among them, as the engine reads them. FieldError as compile_condition."""
    found: list[Condition | Group] = []
    for part in written:
        if not is_group(part):
            found.append(compile_condition(entity_type, part, session))
            continue
        if are_inner or part.get("match") not in MATCHES or not isinstance(part.get("conditions"), list):
            raise FieldError(
                "conditions", "A group is {match: all or any, conditions: a list}, and holds no group itself."
            )
        inner = compile_parts(entity_type, part["conditions"], session, are_inner=True)
        found.append(Group(part["match"], inner))
    return tuple(found)


def compile_condition(entity_type: str, written: dict[str, Any], session: Session | None = None) -> Condition:
    """A written condition, typed. With a session, references must exist."""
    name = written.get("operator")
    if not written.get("field"):
        raise FieldError("condition_field", "Choose the field that the condition looks at.")
    try:
        entry = catalog.field(entity_type, written["field"])
    except FieldError as unknown:
        raise FieldError("condition_field", unknown.message) from unknown
    if not name:
        raise FieldError(
            "condition_operator", f"How is {entry.label} compared? Choose is, is not, contains, …"
        )
    operator = OPERATORS.get(name) if isinstance(name, str) else None
    if operator is None:
        raise FieldError("condition_operator", f"“{kinds.brief(name)}” is not one of {', '.join(OPERATORS)}.")
    if entry.kind not in operator.kinds:
        raise FieldError(
            "condition_operator",
            f"{entry.label} is {_a(entry.kind)}; “{operator.words}” makes no sense for it.",
        )
    if operator.takes == "nothing":
        return Condition(entry.key, operator.name)
    values = _values(entry, operator, written.get("value"))
    if session is not None:
        _check_references(session, entry, values)
    return Condition(entry.key, operator.name, tuple(values) if operator.takes == "several" else values[0])


def _values(entry: catalog.Field, operator: Operator, value: Any) -> list[Any]:
    """The condition's values, typed: several for “is one of”, else one, which only “is” and “is not” may leave out."""
    where = "condition_value"
    if operator.takes == "several":
        written = value if isinstance(value, list | tuple) else str("" if value is None else value).split(",")
        if len(written) > MOST_VALUES:
            raise FieldError(where, f"At most {MOST_VALUES} values.")
        values = [kinds.typed(entry.kind, _trimmed(part), where, entry.choices) for part in written]
        if not values or any(part is None for part in values):
            raise FieldError(
                where,
                f"{entry.label} is one of what? Choose at least one; between written ones stand commas.",
            )
        return values
    kind = kinds.TEXT if operator.name == "contains" else entry.kind
    typed = kinds.typed(kind, _trimmed(value), where, entry.choices)
    if typed is None and operator.name not in MAY_BE_EMPTY:
        raise FieldError(where, f"{entry.label} {operator.words_for(entry.kind)} what? The value is missing.")
    return [typed]


def _trimmed(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _check_references(session: Session, entry: catalog.Field, values: list[Any]) -> None:
    for value in values:
        if isinstance(value, kinds.Ref) and catalog.target(session, entry.kind, value.id) is None:
            raise FieldError("condition_value", f"{entry.label}: this choice is not there any more.")


def check_action(session: Session, entity_type: str, trigger: str, written: dict[str, Any]) -> None:
    """FieldError in words when a written action makes no sense for records of this type at this trigger."""
    name, settings = written.get("type"), written.get("config", {})
    action = ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        raise FieldError("action_type", f"“{kinds.brief(name)}” is not one of {', '.join(ACTIONS)}.")
    if not isinstance(settings, dict):
        raise FieldError("action_config", "The action's configuration is a mapping of settings to values.")
    if unknown := sorted(set(settings) - set(action.settings)):
        raise FieldError(
            "action_config",
            f"{name} knows no setting “{kinds.brief(unknown[0])}”; it takes {', '.join(action.settings)}.",
        )
    action.check(session, entity_type, trigger, settings)


def _a(kind: str) -> str:
    words = {
        kinds.YES_NO: "yes or no",
        kinds.MOMENT: "a time",
        kinds.MONEY: "an amount",
        kinds.PERSON: "a person",
    }
    return words.get(kind, f"a {kind}")
