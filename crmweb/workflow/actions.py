"""The actions of rules.

To add one: a class under `@action` with `check` (is the configuration right for this entity type and trigger? raises
FieldError), `do` (carry it out on the record) and `would_act`. `settings` names its configuration: what is not named
is refused. What `do` answers is kept in the run's log; `queries.runs` says it in words.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.errors import FieldError
from crmweb.models import Activity, Deal, Entity, Stage
from crmweb.models.base import text
from crmweb.models.custom import custom_fields
from crmweb.models.locking import MODELS
from crmweb.models.types import as_id
from crmweb.workflow import assigning, catalog, kinds, notifying
from crmweb.workflow.doing import ACTIONS, Config, Doing, Done, action
from crmweb.workflow.texts import check_text, fill

__all__ = ["ACTIONS", "assigning", "notifying"]


@action("update_field")
class UpdateField:
    """Set a field of the record, or of a deal's entity. Writing the same value is no effect."""

    words = "change a field"
    settings = ("field_name", "value")
    adds = False

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        if trigger == "delete":
            raise FieldError("action_type", "A deleted record cannot be changed.")
        if not config.get("field_name"):
            raise FieldError("field_name", "Choose the field to change.")
        entry = catalog.writable(entity_type, config["field_name"])
        value = kinds.typed(entry.kind, config.get("value"), "value", entry.choices)
        if value is None and entry.is_required:
            raise FieldError("value", f"{entry.label} cannot be empty.")
        if isinstance(value, kinds.Ref) and not _is_there(catalog.target(session, entry.kind, value.id)):
            raise FieldError("value", f"{entry.label}: this choice is not there any more.")
        if isinstance(value, str):
            check_text(entity_type, "value", value)
        self._probe(entity_type, entry, value, config.get("value"))

    def do(self, doing: Doing, config: Config) -> Done:
        entry = catalog.writable(doing.entity_type, config.get("field_name"))
        value, old = self._value(doing, entry, config), doing.reader.value(entry)
        if not _differs(old, value):
            return None, []
        record = doing.reader.holder(entry)
        if record is None:
            raise FieldError("field_name", f"There is no {entry.path or 'record'} to change.")
        if entry.kind == kinds.CUSTOM:
            name = catalog.custom_name(entry)
            kept = value if isinstance(value, str) else config.get("value")
            record.custom_fields = {**(record.custom_fields or {}), name: kept}
        elif isinstance(value, kinds.Ref):
            chosen = _chosen(doing.session, entry.kind, value.id)
            setattr(record, entry.column.removesuffix("_id"), chosen)
            value = kinds.Ref(value.id, chosen.name)
        else:
            setattr(record, entry.column, value)
            value = doing.reader.value(entry)  # as the record took it: in thousandths, in capitals
            if not _differs(old, value):
                return None, []
        shown = (None if kinds.is_missing(each) else kinds.brief(kinds.shown(each)) for each in (old, value))
        return {"label": entry.label, "field": entry.key, **dict(zip(("old", "new"), shown, strict=True))}, [
            record.id
        ]

    def would_act(self, doing: Doing, config: Config) -> bool:
        entry = catalog.writable(doing.entity_type, config.get("field_name"))
        return _differs(doing.reader.value(entry), self._value(doing, entry, config))

    def _value(self, doing: Doing, entry: catalog.Field, config: Config) -> Any:
        value = kinds.typed(entry.kind, config.get("value"), "value", entry.choices)
        is_text = entry.kind in (kinds.TEXT, kinds.CUSTOM) and isinstance(value, str)
        return fill(value, doing.reader).strip() if is_text else value

    def _probe(self, entity_type: str, entry: catalog.Field, value: Any, written: Any) -> None:
        """Let the model's own check speak now, not at the first run."""
        if entry.kind == kinds.CUSTOM:
            custom_fields({catalog.custom_name(entry): written})
        elif entry.kind not in kinds.REFERENCES:
            model = Entity if entry.path == "entity" else MODELS[entity_type]
            setattr(model(), entry.column, value)


@action("create_activity")
class CreateActivity:
    """A note, or a task due in some days, on the record; it inherits the record's owner."""

    words = "add a note or a task"
    settings = ("type", "subject", "description", "due_in_days")
    adds = True

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        if trigger == "delete" and entity_type == "Entity":
            raise FieldError("action_type", "A deleted contact has nothing left to add an activity to.")
        if config.get("type", "note") not in ("note", "task"):
            raise FieldError("type", "A rule adds a note or a task.")
        asked = "What to do" if config.get("type") == "task" else "What it says"
        subject = text("subject", config.get("subject"), most=300, label=asked)
        check_text(entity_type, "subject", subject)
        more = text(
            "description", config.get("description"), most=20_000, required=False, label="More about it"
        )
        check_text(entity_type, "description", more)
        if config.get("due_in_days") not in (None, "") and config.get("type") != "task":
            raise FieldError("due_in_days", "A note is never due; a task is.")
        _days(config)

    def do(self, doing: Doing, config: Config) -> Done:
        deal, entity = self._home(doing)
        days = _days(config)
        made = Activity(
            type=config.get("type", "note"), deal=deal, entity=entity,
            subject=fill(config["subject"], doing.reader).strip()[:300] or doing.rule.name,
            description=fill(config.get("description") or "", doing.reader)[:20_000] or None,
            assigned_to_id=doing.record.assigned_to_id,
            due_at=None if days is None else clock.now() + timedelta(days=days),
        )  # fmt: skip
        doing.session.add(made)
        return {"activity": str(made.id), "type": made.type, "subject": made.subject}, [made.id]

    def would_act(self, doing: Doing, config: Config) -> bool:
        return True

    def _home(self, doing: Doing) -> tuple[Deal | None, Entity | None]:
        """The deal, or else the entity, that the activity goes to."""
        record, session = doing.record, doing.session
        if isinstance(record, Deal) and record.deleted_at is None:
            return record, None
        if isinstance(record, Entity):
            return None, record
        if isinstance(record, Activity) and record.deal_id:
            return session.get(Deal, record.deal_id), None
        return None, session.get(Entity, record.entity_id)


@action("move_to_stage")
class MoveToStage:
    """Bring the deal to a stage of its pipeline, by the same road as a person."""

    words = "move the deal"
    settings = ("stage_id",)
    adds = False

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        if entity_type != "Deal" or trigger == "delete":
            raise FieldError("action_type", "Only a deal that is there can be moved to a stage.")
        if not config.get("stage_id"):
            raise FieldError("stage_id", "Choose the stage to move to.")
        stage = session.get(Stage, as_id(config["stage_id"], "stage_id"))
        if stage is None or stage.is_archived:
            raise FieldError("stage_id", "This stage is not there any more. Choose another one.")

    def do(self, doing: Doing, config: Config) -> Done:
        if not self.would_act(doing, config):
            return None, []
        old = doing.reader.value(catalog.field("Deal", "stage"))
        doing.record.move_to(config["stage_id"], by=doing.by)
        return {"moved": str(old), "to": doing.record.stage.name}, [doing.record.id]

    def would_act(self, doing: Doing, config: Config) -> bool:
        return bool(doing.record.stage_id != as_id(config["stage_id"]))


def _differs(old: Any, new: Any) -> bool:
    if kinds.is_missing(old) or kinds.is_missing(new):
        return kinds.is_missing(old) != kinds.is_missing(new)
    return bool(old != new) or type(old) is not type(new)


def _is_there(found: Any) -> bool:
    return found is not None and getattr(found, "is_active", True)


def _chosen(session: Session, kind: str, record_id: UUID) -> Any:
    found = catalog.target(session, kind, record_id)
    if not _is_there(found):
        raise FieldError("value", "The person chosen is not active any more.")
    return found


def _days(config: Config) -> int | None:
    """In how many days the task is due; None: it is not."""
    if kinds.is_missing(config.get("due_in_days")):
        return None
    written = str(config["due_in_days"]).strip()
    if not (written.isascii() and written.isdecimal() and len(written) < 5 and int(written) <= 3650):
        raise FieldError("due_in_days", "Whole days only, such as 5; at most 3650.")
    return int(written)
