"""The form of a workflow rule: lists of conditions and actions, each row offering what fits what was chosen before.

What may be saved is the engine's to say (`workflow.checking`); the form puts its words beside the row that they are
about. Without JavaScript a row is added, changed and removed by buttons that send the form back (`redrawn`).
"""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField, FormField, SelectField, StringField

from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.forms.fields import Text
from crmweb.forms.records import RecordForm
from crmweb.forms.rule_choices import (
    CUSTOM_KEYS,
    FIRES,
    ON_FAILURE,
    TRIGGERS,
    TYPES,
    actions_of,
    operators_of,
)
from crmweb.forms.rule_rows import MOST, ActionRow, ConditionRow, Rows
from crmweb.models import WorkflowRule
from crmweb.workflow import checking
from crmweb.workflow.naming import Definition, field_of

NEW_CONDITION: dict[str, Any] = {"field": "", "operator": "", "value": None}
NEW_ACTION: dict[str, Any] = {"type": "", "config": {}}


class RuleForm(RecordForm):
    """A rule. `offer` has to be called before it is shown."""

    model = WorkflowRule

    name = Text("Name", required=True)
    entity_type = SelectField("Records", choices=TYPES, validate_choice=False)
    trigger_event = SelectField("Event", choices=TRIGGERS, validate_choice=False)
    conditions = Rows(FormField(ConditionRow))
    actions = Rows(FormField(ActionRow))
    fires = SelectField("How often", choices=FIRES, validate_choice=False)
    stop_after = BooleanField("Skip the rules below when this one acts")
    on_failure = SelectField("If an action fails", choices=ON_FAILURE, validate_choice=False)
    version = StringField()

    def __init__(self, formdata: Any = None, *, locale: str = "en", **values: Any) -> None:
        super().__init__(formdata, locale=locale, **values)
        for row in (*self.conditions, *self.actions):
            row.form.agree_on_number(self.entity_type.data, locale)

    def values(self) -> dict[str, Any]:
        return self.definition()

    def definition(self) -> dict[str, Any]:
        """What the rule means, as far as it is filled in."""
        is_update = self.trigger_event.data == "update"
        return {
            "name": self.name.data,
            "entity_type": self.entity_type.data,
            "trigger_event": self.trigger_event.data,
            "conditions": [row.form.written() for row in self.conditions],
            "actions": [row.form.written() for row in self.actions],
            "fires": self.fires.data if is_update else "every_time",
            "stop_after": bool(self.stop_after.data),
            "on_failure": self.on_failure.data,
        }

    def validate(self, extra_validators: Any = None) -> bool:
        is_valid = super().validate(extra_validators)
        if any(getattr(rows, "are_too_many", False) for rows in (self.conditions, self.actions)):
            self.form_errors.append(f"At most {MOST} conditions and {MOST} actions.")
            return False
        if self.entity_type.errors or self.trigger_event.errors:
            return False
        return self._check_rows() and is_valid

    def _check_rows(self) -> bool:
        session, kind, trigger = db.session(), self.entity_type.data, self.trigger_event.data
        refused = [
            *(
                row.form.refuses(checking.compile_condition, kind, row.form.written(), session)
                for row in self.conditions
            ),
            *(
                row.form.refuses(checking.check_action, session, kind, trigger, row.form.written())
                for row in self.actions
            ),
        ]
        if any(refused) or self.errors:
            return False
        try:
            checking.check(session, WorkflowRule(**self.definition()))
        except FieldError as error:
            self.blame("fires" if error.field == "fires" else "", error.message)
            return False
        return True


def drawn(definition: Definition, version: int = 0, locale: str = "en") -> RuleForm:
    """The form of a rule that means `definition`."""
    given = {
        name: definition.get(name)
        for name in ("name", "entity_type", "trigger_event", "fires", "stop_after", "on_failure")
    }
    conditions = [_condition_data(condition) for condition in definition.get("conditions") or ()]
    actions = [_action_data(action) for action in definition.get("actions") or ()]
    return RuleForm(None, locale=locale, conditions=conditions, actions=actions, version=version, **given)


def redrawn(form: RuleForm, act: str) -> RuleForm:
    """The form after a button in it: `add-condition`, `remove-action-2`, `raise-action-1`, or any other text for none.

    What does not fit any more is left out: an operator that the field does not have, an action that the event forbids.
    """
    definition = form.definition()
    verb, _, rest = act.partition("-")
    what, _, number = rest.partition("-")
    parts = {"condition": definition["conditions"], "action": definition["actions"]}.get(what)
    if parts is not None:
        _edit(parts, verb, what, number)
    settle(definition)
    return drawn(definition, form.version.data, form.meta.locale)


def settle(definition: dict[str, Any]) -> None:
    """Leave out of a draft what does not fit: first choices instead of impossible ones."""
    kind, trigger = definition["entity_type"], definition["trigger_event"]
    for condition in definition["conditions"]:
        entry = field_of(definition, condition["field"])
        if entry is None and condition["field"] not in CUSTOM_KEYS:
            condition.update(NEW_CONDITION)
        elif entry is not None and condition["operator"] not in dict(operators_of(entry.kind)):
            condition.update(operator=operators_of(entry.kind)[0][0], value=None)
    possible = {name for name, _ in actions_of(kind, trigger)}
    for action in definition["actions"]:
        if _kind_of(action) not in possible:
            action.update(NEW_ACTION)


def _edit(parts: list[dict[str, Any]], verb: str, what: str, number: str) -> None:
    place = int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else -1
    if verb == "add" and len(parts) < MOST:
        parts.append(
            {"field": "", "operator": "", "value": None}
            if what == "condition"
            else {"type": "", "config": {}}
        )
    elif verb == "remove" and 0 <= place < len(parts):
        del parts[place]
    elif verb == "raise" and 0 < place < len(parts):
        parts[place - 1 : place + 1] = [parts[place], parts[place - 1]]


def _kind_of(action: Definition) -> str:
    """The form's kind of a written action: notes and tasks are two."""
    if action.get("type") == "create_activity":
        return "task" if (action.get("config") or {}).get("type") == "task" else "note"
    return str(action.get("type") or "")


def _condition_data(condition: Definition) -> dict[str, Any]:
    return {**condition, **_chosen("field", condition.get("field"))}


def _action_data(action: Definition) -> dict[str, Any]:
    config = dict(action.get("config") or {})
    return {**config, **_chosen("field_name", config.get("field_name")), "kind": _kind_of(action)}


def _chosen(name: str, key: Any) -> dict[str, Any]:
    """The list's entry for a field's key, and a custom field's name beside it."""
    for prefix in CUSTOM_KEYS:
        if isinstance(key, str) and key.startswith(prefix):
            return {name: prefix, "custom": key.removeprefix(prefix)}
    return {name: key or ""}
