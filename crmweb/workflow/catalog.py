"""The fields that rules may read and write. What is not listed here does not exist for rules.

To add a field: one `Field` in the entity type's list. `column` is the attribute that holds it, `path` the relation to
go through first, `phrase` how sentences call it where "the" and its label would not do. Ids, hashes, roles,
relationships and private names are left out on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.models import Base, Entity, Pipeline, Stage, User
from crmweb.models.activity import TYPES
from crmweb.models.entity import ENTITY_STATUSES, KINDS
from crmweb.models.stage import STATUSES
from crmweb.workflow import kinds

TARGETS: dict[str, type[Base]] = {
    kinds.STAGE: Stage,
    kinds.PERSON: User,
    kinds.ENTITY: Entity,
    kinds.PIPELINE: Pipeline,
}
CUSTOM = "custom_fields."
TECHNICAL = frozenset({"version"})
"""Says something to programs alone; people are not offered it."""
LONGEST_NAME = 100
CHOICE_WORDS = {"closed_won": "won", "closed_lost": "lost", "email": "e-mail"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the catalog. `is_required`: rules may not empty it."""

    key: str
    label: str
    kind: str
    column: str
    path: str = ""
    is_writable: bool = False
    is_required: bool = False
    choices: tuple[str, ...] = ()
    phrase: str = ""

    @property
    def words(self) -> str:
        """The field inside a sentence: "the close date"."""
        return self.phrase or f"the {self.label[0].lower()}{self.label[1:]}"


def _text(key: str, label: str, **more: Any) -> Field:
    return Field(key, label, kinds.TEXT, key, is_writable=True, **more)


def _read(key: str, label: str, kind: str, column: str = "", **more: Any) -> Field:
    return Field(key, label, kind, column or key, **more)


_ENTITY = (
    _text("name", "Name", is_required=True),
    _text("legal_name", "Legal name"),
    Field("kind", "Kind", kinds.CHOICE, "kind", is_writable=True, is_required=True, choices=KINDS),
    Field(
        "status",
        "Status",
        kinds.CHOICE,
        "status",
        is_writable=True,
        is_required=True,
        choices=ENTITY_STATUSES,
    ),
    _text("phone", "Phone"),
    _text("email", "E-mail"),
    _text("note", "Note"),
    Field("assigned_to", "Owner", kinds.PERSON, "assigned_to_id", is_writable=True),
    _read("created_at", "Created", kinds.MOMENT, phrase="the time it was made"),
)


def _through(path: str, label: str, fields: tuple[Field, ...], *, is_writable: bool) -> tuple[Field, ...]:
    return tuple(
        Field(
            f"{path}.{entry.key}", f"{label}: {entry.label.lower()}", entry.kind, entry.column, path,
            is_writable and entry.is_writable, entry.is_required, entry.choices,
            entry.phrase.replace(" it ", f" the {label.lower()} ")
            if " it " in entry.phrase
            else f"the {label.lower()}’s {entry.words.removeprefix('the ')}",
        )
        for entry in fields
        if not entry.path
    )  # fmt: skip


_DEAL = (
    _text("name", "Name", is_required=True),
    Field("amount", "Amount", kinds.MONEY, "amount", is_writable=True),
    Field("currency", "Currency", kinds.TEXT, "currency", is_writable=True, is_required=True),
    _read("stage", "Stage", kinds.STAGE, "stage_id"),
    _read("pipeline", "Pipeline", kinds.PIPELINE, "pipeline_id", path="stage"),
    _read("status", "Status", kinds.CHOICE, choices=STATUSES),
    _read("entity", "Contact", kinds.ENTITY, "entity_id"),
    Field("assigned_to", "Owner", kinds.PERSON, "assigned_to_id", is_writable=True),
    Field("expected_close_date", "Close date", kinds.DATE, "expected_close_date", is_writable=True),
    _read("closed_date", "Closed on", kinds.MOMENT, phrase="the closing day"),
    _text("lost_reason", "Lost reason"),
    _read("stage_entered_at", "In this stage since", kinds.MOMENT, phrase="the time it came into its stage"),
    _read("next_due_at", "Next step due", kinds.MOMENT, phrase="the due time of the next step"),
    _read("created_at", "Created", kinds.MOMENT, phrase="the time it was made"),
    _read("version", "Version", kinds.NUMBER),
)
_ACTIVITY = (
    _read("type", "Type", kinds.CHOICE, choices=TYPES),
    _text("subject", "Subject", is_required=True),
    _text("description", "Description"),
    Field("assigned_to", "Owner", kinds.PERSON, "assigned_to_id", is_writable=True),
    Field("due_at", "Due", kinds.MOMENT, "due_at", is_writable=True, phrase="the due time"),
    Field(
        "completed_at",
        "Completed",
        kinds.MOMENT,
        "completed_at",
        is_writable=True,
        phrase="the time it was done",
    ),
    _read("created_at", "Created", kinds.MOMENT, phrase="the time it was made"),
)
CATALOG: dict[str, dict[str, Field]] = {
    name: {entry.key: entry for entry in fields}
    for name, fields in {
        "Deal": (*_DEAL, *_through("entity", "Contact", _ENTITY, is_writable=True)),
        "Entity": _ENTITY,
        "Activity": (
            *_ACTIVITY,
            *_through("deal", "Deal", _DEAL, is_writable=False),
            *_through("entity", "Contact", _ENTITY, is_writable=False),
        ),
    }.items()
}


def field(entity_type: str, key: Any) -> Field:
    """The catalog's field; FieldError when there is none of that name."""
    found = CATALOG[entity_type].get(key) if isinstance(key, str) else None
    if found is None and isinstance(key, str):
        found = _custom_field(entity_type, key)
    if found is None:
        raise FieldError("field", f"Rules know no field “{kinds.brief(key)}” of {entity_type}.")
    return found


def _custom_field(entity_type: str, key: str) -> Field | None:
    """The field of `custom_fields.name`, or of a deal's `entity.custom_fields.name`."""
    path, prefix, name = key.partition(CUSTOM)
    may_have = {"Deal": ("", "entity."), "Entity": ("",)}.get(entity_type, ())
    if (
        prefix != CUSTOM
        or path not in may_have
        or not name.strip()
        or "." in name
        or len(name) > LONGEST_NAME
    ):
        return None
    label = name.replace("_", " ").capitalize()
    phrase = f"the contact’s {label.lower()}" if path else ""
    return Field(
        key, label, kinds.CUSTOM, "custom_fields", path.rstrip("."), is_writable=not path, phrase=phrase
    )


def writable(entity_type: str, key: Any) -> Field:
    """The catalog's field, if rules may write it; FieldError when not."""
    found = field(entity_type, key)
    if not found.is_writable:
        way = (
            " A rule changes it with “move to stage”."
            if key in ("stage", "status") and entity_type == "Deal"
            else ""
        )
        raise FieldError("field_name", f"Rules may read {found.label.lower()} but not change it.{way}")
    return found


def custom_name(entry: Field) -> str:
    """The custom field's own name."""
    return entry.key.rpartition(CUSTOM)[2]


def choice_words(value: str) -> str:
    """One of a field's choices as people say it: "won", not "closed_won"."""
    return CHOICE_WORDS.get(value, value)


def target(session: Session, kind: str, record_id: UUID) -> Any:
    """The record that a reference of `kind` points to, or None."""
    return session.get(TARGETS[kind], record_id)
