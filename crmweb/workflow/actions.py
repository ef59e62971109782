"""The actions of rules.

To add one: a class under `@action` with `check` (is the configuration right for this entity type and trigger? raises
FieldError) and `do` (carry it out on the record, return what it did, in words). `settings` names its configuration, from
which the form follows. Texts may hold `{deal.name}`-style placeholders from the catalog, nothing more.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.errors import FieldError
from crmweb.models import Activity, Deal, Entity, Notification, Stage, User
from crmweb.models.base import text
from crmweb.models.types import as_id
from crmweb.models.user import Actor
from crmweb.workflow import catalog, kinds
from crmweb.workflow.snapshots import Reader

PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[A-Za-z0-9_ -]+)+)\}")


class Doing(NamedTuple):
    """What an action works with. `run_id` names the rule's run, `rule` is compiled, `by` signs what it makes."""

    session: Session
    record: Any
    entity_type: str
    rule: Any
    run_id: UUID
    by: Actor
    reader: Reader


class Action(Protocol):
    words: str
    settings: tuple[str, ...]

    def check(self, session: Session, entity_type: str, trigger: str, config: dict[str, Any]) -> None: ...
    def do(self, doing: Doing, config: dict[str, Any]) -> tuple[Any, list[UUID]]:
        """What it did (None: no effect) and the ids of the records made or changed."""

    def would_act(self, doing: Doing, config: dict[str, Any]) -> bool: ...


ACTIONS: dict[str, Action] = {}


def action(name: str) -> Any:
    def register(kind: type[Action]) -> type[Action]:
        ACTIONS[name] = kind()
        return kind

    return register


@action("update_field")
class UpdateField:
    """Set a field of the record, or of a deal's entity. Writing the same value is no effect."""

    words = "change a field"
    settings = ("field_name", "value")

    def check(self, session: Session, entity_type: str, trigger: str, config: dict[str, Any]) -> None:
        if trigger == "delete":
            raise FieldError("action_type", "A deleted record cannot be changed.")
        entry = catalog.writable(entity_type, config.get("field_name"))
        value = kinds.typed(entry.kind, config.get("value"), "value", entry.choices)
        if value is None and entry.is_required:
            raise FieldError("value", f"{entry.label} cannot be empty.")
        if isinstance(value, kinds.Ref) and catalog.target(session, entry.kind, value.id) is None:
            raise FieldError("value", f"{entry.label}: this choice is not there any more.")
        self._probe(entity_type, entry, value)

    def do(self, doing: Doing, config: dict[str, Any]) -> tuple[Any, list[UUID]]:
        entry = catalog.writable(doing.entity_type, config.get("field_name"))
        value, old = self._value(entry, config), doing.reader.value(entry)
        if not self._differs(old, value):
            return None, []
        record = doing.reader.holder(entry)
        if record is None:
            raise FieldError("field_name", f"There is no {entry.path or 'record'} to change.")
        if entry.kind == kinds.CUSTOM:
            name = catalog.custom_name(entry)
            record.custom_fields = {**(record.custom_fields or {}), name: config.get("value")}
        elif isinstance(value, kinds.Ref):
            setattr(record, entry.column.removesuffix("_id"), _chosen(doing.session, entry.kind, value.id))
        else:
            setattr(record, entry.column, value)
        shown = (None if kinds.is_missing(each) else kinds.text(each) for each in (old, value))
        return {"field": entry.key, **dict(zip(("old", "new"), shown, strict=True))}, [record.id]

    def would_act(self, doing: Doing, config: dict[str, Any]) -> bool:
        entry = catalog.writable(doing.entity_type, config.get("field_name"))
        return self._differs(doing.reader.value(entry), self._value(entry, config))

    def _value(self, entry: catalog.Field, config: dict[str, Any]) -> Any:
        return kinds.typed(entry.kind, config.get("value"), "value", entry.choices)

    def _differs(self, old: Any, new: Any) -> bool:
        if kinds.is_missing(old) or kinds.is_missing(new):
            return kinds.is_missing(old) != kinds.is_missing(new)
        return bool(old != new) or type(old) is not type(new)

    def _probe(self, entity_type: str, entry: catalog.Field, value: Any) -> None:
        """Let the model's own check speak now, not at the first run."""
        if entry.kind in (kinds.CUSTOM, *kinds.REFERENCES):
            return
        model = Entity if entry.path == "entity" else catalog.MODELS[entity_type]
        setattr(model(), entry.column, value)


def _chosen(session: Session, kind: str, id: UUID) -> Any:
    found = catalog.target(session, kind, id)
    if found is None or (isinstance(found, User) and not found.is_active):
        raise FieldError("value", "The person chosen is not active any more.")
    return found


@action("create_activity")
class CreateActivity:
    """A note, or a task due in some days, on the record; it inherits the record's owner."""

    words = "add a note or a task"
    settings = ("type", "subject", "description", "due_in_days")

    def check(self, session: Session, entity_type: str, trigger: str, config: dict[str, Any]) -> None:
        if trigger == "delete" and entity_type == "Entity":
            raise FieldError("action_type", "A deleted contact has nothing left to add an activity to.")
        if config.get("type", "note") not in ("note", "task"):
            raise FieldError("type", "A rule adds a note or a task.")
        for name, most in (("subject", 300), ("description", 20_000)):
            check_text(entity_type, name, text(name, config.get(name), most=most, required=name == "subject"))
        due = config.get("due_in_days")
        if due not in (None, "") and (isinstance(due, bool) or not str(due).isdigit() or int(due) > 3650):
            raise FieldError("due_in_days", "A whole number of days, 0 to 3650.")

    def do(self, doing: Doing, config: dict[str, Any]) -> tuple[Any, list[UUID]]:
        deal, entity = self._home(doing)
        due = config.get("due_in_days")
        made = Activity(
            type=config.get("type", "note"), deal=deal, entity=entity,
            subject=fill(config["subject"], doing.reader)[:300],
            description=fill(config.get("description") or "", doing.reader) or None,
            assigned_to_id=doing.record.assigned_to_id,
            due_at=clock.now() + timedelta(days=int(due)) if due not in (None, "") else None,
        )  # fmt: skip
        doing.session.add(made)
        return {"activity": str(made.id), "type": made.type, "subject": made.subject}, [made.id]

    def would_act(self, doing: Doing, config: dict[str, Any]) -> bool:
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


@action("send_notification")
class SendNotification:
    """A line in people's inboxes. `to`: owner, managers, admins or a person's id; without it the owner, else admins."""

    words = "notify"
    settings = ("to", "message")

    def check(self, session: Session, entity_type: str, trigger: str, config: dict[str, Any]) -> None:
        to = config.get("to") or "owner"
        if to not in ("owner", "managers", "admins") and session.get(User, as_id(to, "to")) is None:
            raise FieldError("to", "Notify the owner, managers, admins, or a person from the list.")
        check_text(entity_type, "message", text("message", config.get("message"), most=300, required=False))

    def do(self, doing: Doing, config: dict[str, Any]) -> tuple[Any, list[UUID]]:
        people = self._people(doing, config.get("to"))
        subject = (
            fill(config.get("message") or "", doing.reader) or f"{doing.rule.name}: {_title(doing.record)}"
        )
        for person in people:
            line = Notification(
                user_id=person.id, kind="rule", subject=subject[:300], detail=doing.by.name,
                rule_id=doing.rule.id, rule_run_id=doing.run_id, **_link(doing.record),
            )  # fmt: skip
            doing.session.add(line)
        return {
            "notified": [person.name for person in people],
            "subject": subject[:300],
        } if people else None, []

    def would_act(self, doing: Doing, config: dict[str, Any]) -> bool:
        return True

    def _people(self, doing: Doing, to: str | None) -> list[User]:
        active = select(User).where(User.is_active).order_by(User.name, User.id)
        if to in ("managers", "admins"):
            return list(doing.session.scalars(active.where(User.role == to[:-1])))
        wanted = doing.record.assigned_to_id if to in (None, "", "owner") else as_id(to)
        people = list(doing.session.scalars(active.where(User.id == wanted))) if wanted else []
        if not people and to in (None, ""):
            return list(doing.session.scalars(active.where(User.role == "admin")))
        return people


@action("move_to_stage")
class MoveToStage:
    """Bring the deal to a stage of its pipeline, by the same road as a person."""

    words = "move the deal"
    settings = ("stage_id",)

    def check(self, session: Session, entity_type: str, trigger: str, config: dict[str, Any]) -> None:
        if entity_type != "Deal" or trigger == "delete":
            raise FieldError("action_type", "Only a deal that is there can be moved to a stage.")
        stage = session.get(Stage, as_id(config.get("stage_id") or "", "stage_id"))
        if stage is None or stage.is_archived:
            raise FieldError("stage_id", "This stage is not there any more. Choose another one.")

    def do(self, doing: Doing, config: dict[str, Any]) -> tuple[Any, list[UUID]]:
        if not self.would_act(doing, config):
            return None, []
        old = doing.reader.value(catalog.field("Deal", "stage"))
        doing.record.move_to(config["stage_id"], by=doing.by)
        return {"moved": str(old), "to": doing.record.stage.name}, [doing.record.id]

    def would_act(self, doing: Doing, config: dict[str, Any]) -> bool:
        return bool(doing.record.stage_id != as_id(config["stage_id"]))


def check_text(entity_type: str, setting: str, template: str | None) -> None:
    """FieldError when the text names a placeholder that the catalog does not have."""
    for key in PLACEHOLDER.findall(template or ""):
        try:
            catalog.field(entity_type, _own_key(entity_type, key))
        except FieldError as unknown:
            raise FieldError(setting, f"There is no placeholder {{{key}}} here.") from unknown


def fill(template: str, reader: Reader) -> str:
    """The text with its placeholders replaced by values; unknown ones stay as they are."""

    def value(match: re.Match[str]) -> str:
        try:
            entry = catalog.field(reader.entity_type, _own_key(reader.entity_type, match[1]))
        except FieldError:
            return match[0]
        found = reader.value(entry)
        return "" if kinds.is_missing(found) else kinds.text(found)

    return PLACEHOLDER.sub(value, template)


def _own_key(entity_type: str, key: str) -> str:
    """`deal.name` on a deal is its own `name`; `entity.name` is the entity's."""
    return key.removeprefix(f"{entity_type.lower()}.")


def _title(record: Any) -> str:
    return str(record.subject if isinstance(record, Activity) else record.name)


def _link(record: Any) -> dict[str, UUID | None]:
    if isinstance(record, Activity):
        return {"deal_id": record.deal_id, "entity_id": record.entity_id}
    return {"deal_id": record.id} if isinstance(record, Deal) else {"entity_id": record.id}
