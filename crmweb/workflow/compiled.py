"""The running rules, compiled once per process and `rules_version`."""

from __future__ import annotations

import logging

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models import AppState, WorkflowRule
from crmweb.models.types import new_id
from crmweb.workflow import checking, rounds
from crmweb.workflow.keeping import kept

log = logging.getLogger("crmweb.workflow")
VERSION = "rules_version"
_compiled: dict[str, tuple[rounds.Rule, ...]] = {}


def rules_of(
    session: Session, version: str | None = None, *, are_changing: bool = False
) -> tuple[rounds.Rule, ...]:
    """The running rules, compiled, in order; compiled once per process and `rules_version`.

    `are_changing`: this transaction has rules of its own, which nobody else may meet before it commits.
    """
    if are_changing:
        return _load(session)
    if version is None:
        version = version_of(session)
    return kept(_compiled, version, lambda: _load(session))


def version_of(session: Session) -> str:
    """The present `rules_version`, "" while there was none."""
    return session.scalar(select(AppState.value).where(AppState.key == VERSION)) or ""


def raise_rules_version(session: Session) -> None:
    """Make every process compile the rules anew, and read anew whom they may tell."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    row = dialect.insert(AppState).values(key=VERSION, value=new_id().hex)
    session.connection().execute(
        row.on_conflict_do_update(index_elements=["key"], set_={"value": row.excluded.value})
    )


def _load(session: Session) -> tuple[rounds.Rule, ...]:
    query = (
        select(WorkflowRule)
        .where(WorkflowRule.is_active, WorkflowRule.paused_at.is_(None), WorkflowRule.archived_at.is_(None))
        .order_by(WorkflowRule.entity_type, WorkflowRule.order, WorkflowRule.id)
    )
    return tuple(rule for rule in map(_compile, session.scalars(query)) if rule is not None)


def _compile(rule: WorkflowRule) -> rounds.Rule | None:
    try:
        return checking.compile_rule(rule)
    except FieldError as unknown:
        log.warning("The rule “%s” is left out: %s", rule.name, unknown)
        return None
