"""The names of what rules point to: stages, people, contacts, pipelines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, case, exists, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from crmweb.errors import FieldError
from crmweb.models import Pipeline, Stage, User
from crmweb.models.types import as_id
from crmweb.workflow import catalog, kinds
from crmweb.workflow.parts import in_order

Definition = Mapping[str, Any]
"""What a rule means, as `WorkflowRule.definition()` gives it; drafts may lack parts."""
Names = Mapping[tuple[str, UUID], str]
"""Kind of reference and id → name."""


def names(session: Session, definitions: Iterable[Definition]) -> dict[tuple[str, UUID], str]:
    """The names of all that the definitions point to, in one statement; none when they point to nothing.

    A stage says its pipeline when another pipeline has one of that name. What takes part no more says so.
    """
    wanted = {reference for definition in definitions for reference in _references(definition)}
    queries = []
    for kind in sorted({kind for kind, _ in wanted}):
        model: Any = catalog.TARGETS[kind]
        name = (
            _stage_name() if kind == kinds.STAGE else _person_name() if kind == kinds.PERSON else model.name
        )
        ids = [key for of, key in wanted if of == kind]
        queries.append(
            select(literal(kind, String).label("kind"), model.id, name.label("name")).where(model.id.in_(ids))
        )
    if not queries:
        return {}
    return {(row.kind, row.id): row.name for row in session.execute(union_all(*queries))}


def field_of(definition: Definition, key: Any) -> catalog.Field | None:
    """The catalog's field that a definition names by `key`, if there is one."""
    entity_type = definition.get("entity_type")
    if entity_type not in catalog.CATALOG:
        return None
    try:
        return catalog.field(entity_type, key)
    except FieldError:
        return None


def _references(definition: Definition) -> Iterator[tuple[str, UUID]]:
    for kind, value in _written(definition):
        if kind in kinds.REFERENCES and value:
            try:
                yield kind, as_id(str(value).strip())
            except FieldError:
                continue


def _written(definition: Definition) -> Iterator[tuple[str, Any]]:
    for setting in ("from", "to", "stage"):
        yield kinds.STAGE, (definition.get("trigger_config") or {}).get(setting)
    for condition in in_order(definition.get("conditions")):
        if entry := field_of(definition, condition.get("field")):
            value = condition.get("value")
            for part in value if isinstance(value, list | tuple) else str(value or "").split(","):
                yield entry.kind, part
    for action in definition.get("actions") or ():
        config = action.get("config") or {}
        yield kinds.STAGE, config.get("stage_id")
        yield kinds.PERSON, config.get("to")
        for person in config.get("people") or ():
            yield kinds.PERSON, person
        if entry := field_of(definition, config.get("field_name")):
            yield entry.kind, config.get("value")


def _stage_name() -> ColumnElement[str]:
    twin = aliased(Stage)
    is_ambiguous = exists().where(
        twin.name_key == Stage.name_key, twin.id != Stage.id, twin.is_archived.is_(False)
    )
    pipeline = select(Pipeline.name).where(Pipeline.id == Stage.pipeline_id).scalar_subquery()
    return case(
        (Stage.is_archived, Stage.name + " (archived)"), (is_ambiguous, Stage.name + " in " + pipeline),
        else_=Stage.name,
    )  # fmt: skip


def _person_name() -> ColumnElement[str]:
    return case((User.is_active, User.name), else_=User.name + " (not active)")
