"""The order of rules, their switch, and how they leave and come back."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.errors import ConflictError, NotFoundError
from crmweb.models import WorkflowRule

COPY = " (copy)"
LONGEST_NAME = 200


def next_order(session: Session, rule: WorkflowRule) -> int:
    """The order of a rule that comes last among those of its type."""
    stored = select(func.max(WorkflowRule.order)).where(WorkflowRule.entity_type == rule.entity_type)
    coming = [
        other.order
        for other in session.new
        if isinstance(other, WorkflowRule)
        and other.entity_type == rule.entity_type
        and other.__dict__.get("order") is not None
    ]
    return max([session.scalar(stored) or 0, *coming]) + 1


def locked(session: Session, rule_id: UUID) -> WorkflowRule:
    """The rule, fresh, locked until the transaction ends. NotFoundError when it is not there."""
    rule = session.get(WorkflowRule, rule_id, with_for_update=True, populate_existing=True)
    if rule is None:
        raise NotFoundError("This rule is not there any more.")
    return rule


def shift(session: Session, rule_id: UUID, steps: int) -> int:
    """Move a rule by `steps` (-1: up) among those of its type; its place from 1. At an end it stays.

    Raises NotFoundError when the rule is archived or not there.
    """
    rules = _lined_up(session, rule_id)
    place = next(at for at, one in enumerate(rules) if one.id == rule_id)
    rules.insert(max(0, place + steps), rules.pop(place))
    return _number(rules, rule_id)


def put(session: Session, rule_id: UUID, above: UUID | None) -> int:
    """Move a rule directly above another of its type, last with None; its place from 1.

    Raises NotFoundError when the rule is archived or not there, ConflictError when `above` is none in this list.
    """
    rules = _lined_up(session, rule_id)
    rule = next(one for one in rules if one.id == rule_id)
    others = [one for one in rules if one is not rule]
    place = next((at for at, one in enumerate(others) if one.id == above), None if above else len(others))
    if above == rule_id or place is None:
        raise ConflictError("The rule below is not in this list any more. Nothing was moved.")
    others.insert(place, rule)
    return _number(others, rule_id)


def _lined_up(session: Session, rule_id: UUID) -> list[WorkflowRule]:
    """The rules of this one's type in their order, locked. NotFoundError when it is archived or not there."""
    entity_type = select(WorkflowRule.entity_type).where(WorkflowRule.id == rule_id).scalar_subquery()
    query = select(WorkflowRule).where(
        WorkflowRule.entity_type == entity_type, WorkflowRule.archived_at.is_(None)
    )
    fresh = query.order_by(WorkflowRule.id).with_for_update().execution_options(populate_existing=True)
    rules = sorted(session.scalars(fresh), key=lambda rule: (rule.order, rule.id))
    if all(rule.id != rule_id for rule in rules):
        raise NotFoundError("This rule is archived, or not there any more.")
    return rules


def _number(rules: list[WorkflowRule], rule_id: UUID) -> int:
    """Give the rules the order of the list; the place of this one, from 1."""
    for order, rule in enumerate(rules, 1):
        if rule.order != order:
            rule.order = order
    return 1 + next(at for at, rule in enumerate(rules) if rule.id == rule_id)


def switch(rule: WorkflowRule, *, on: bool, counts_past: bool = False) -> None:
    """Let the rule take part in changes or not. Switching on ends a pause, and its failures count anew.

    What time brings about counts from now on; with `counts_past` also what it brought about before.
    """
    rule.is_active = on
    if on:
        rule.on_since = None if counts_past else clock.now()
    rule.paused_at, rule.failures = None, 0


def copied(session: Session, rule: WorkflowRule) -> UUID:
    """Add another rule that means the same, last in the order and switched off; its id."""
    name = f"{rule.name[: LONGEST_NAME - len(COPY)]}{COPY}"
    made = WorkflowRule(**{**rule.definition(), "name": name}, is_active=False)
    session.add(made)
    session.flush()
    return made.id


def archive(rule: WorkflowRule) -> None:
    """Take the rule out of the list. What it did stays told."""
    rule.archived_at = rule.archived_at or clock.now()


def restore(session: Session, rule: WorkflowRule) -> None:
    """Bring an archived rule back, last in the order and switched off: much may have changed since."""
    if rule.archived_at is not None:
        rule.order = next_order(session, rule)
        rule.archived_at = None
        switch(rule, on=False)
