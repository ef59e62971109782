"""The form of a workflow rule: lists of conditions and actions, each row offering what fits what was chosen before.

What may be saved is the engine's to say (`workflow.checking`); the form puts its words beside the row that they are
about. Without JavaScript a row is added, changed and removed by buttons that send the form back (`rule_drafts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wtforms import BooleanField, FormField, SelectField, StringField

from crmweb.errors import FieldError
from crmweb.extensions import db
from crmweb.forms.fields import Text
from crmweb.forms.records import RecordForm
from crmweb.forms.rule_options import FIRES, MATCHES, ON_FAILURE, SIDES, TRIGGERS, TYPES
from crmweb.forms.rule_rows import MOST, ActionRow, ConditionRow, GroupRow, Rows
from crmweb.models import WorkflowRule
from crmweb.workflow import checking, triggers

TRIGGER_SETTINGS = ("from", "to", "stage", "days", "field", "side")


class RuleForm(RecordForm):
    """A rule. `offer` has to be called before it is shown.

    `counts_past`: what time brought about before the rule is switched on counts as well.
    """

    model = WorkflowRule

    name = Text("Name", required=True)
    entity_type = SelectField("Records", choices=TYPES, validate_choice=False)
    trigger_event = SelectField("Event", choices=TRIGGERS, validate_choice=False)
    trigger_from = SelectField("From", validate_choice=False)
    trigger_to = SelectField("To", validate_choice=False)
    trigger_stage = SelectField("In", validate_choice=False)
    trigger_days = Text("Days")
    trigger_field = SelectField("Date", validate_choice=False)
    trigger_side = SelectField("Before or after", choices=SIDES, validate_choice=False)
    counts_past = BooleanField("Also those that qualify now")
    match = SelectField("How many of these", choices=MATCHES, validate_choice=False)
    conditions = Rows(FormField(ConditionRow))
    groups = Rows(FormField(GroupRow))
    actions = Rows(FormField(ActionRow))
    fires = SelectField("How often", choices=FIRES, validate_choice=False)
    stop_after = BooleanField("Skip the rules below when this one acts")
    on_failure = SelectField("If an action fails", choices=ON_FAILURE, validate_choice=False)
    version = StringField()

    def __init__(self, formdata: Any = None, *, locale: str = "en", **values: Any) -> None:
        super().__init__(formdata, locale=locale, **values)
        for row in (*self.condition_rows(), *(row.form for row in self.actions)):
            row.agree_on_number(self.entity_type.data, locale)

    def condition_rows(self) -> Iterator[ConditionRow]:
        """All rows with a condition, those in groups as well."""
        for rows in (self.conditions, *(group.form.conditions for group in self.groups)):
            yield from (row.form for row in rows)

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.definition().items() if name in self}

    def definition(self) -> dict[str, Any]:
        """What the rule means, as far as it is filled in."""
        is_update = self.trigger_event.data == "update"
        groups = [
            {
                "match": group.form.match.data,
                "conditions": [row.form.written() for row in group.form.conditions],
            }
            for group in self.groups
        ]
        return {
            "name": self.name.data,
            "entity_type": self.entity_type.data,
            "trigger_event": self.trigger_event.data,
            "trigger_config": self._trigger_config(),
            "match": self.match.data or "all",
            "conditions": [*(row.form.written() for row in self.conditions), *groups],
            "actions": [row.form.written() for row in self.actions],
            "fires": self.fires.data if is_update else "every_time",
            "stop_after": bool(self.stop_after.data),
            "on_failure": self.on_failure.data,
        }

    def _trigger_config(self) -> dict[str, Any]:
        trigger = triggers.TRIGGERS.get(self.trigger_event.data or "")
        asked = trigger.settings if trigger else ()
        return {name: value for name in asked if (value := self[f"trigger_{name}"].data)}

    def validate(self, extra_validators: Any = None) -> bool:
        is_valid = super().validate(extra_validators)
        lists = (
            self.conditions,
            self.actions,
            self.groups,
            *(group.form.conditions for group in self.groups),
        )
        if any(getattr(rows, "are_too_many", False) for rows in lists):
            self.form_errors.append(f"At most {MOST} conditions and {MOST} actions.")
            return False
        if self.entity_type.errors or self.trigger_event.errors:
            return False
        return self._check_rows() and is_valid

    def _check_rows(self) -> bool:
        session, kind, trigger = db.session(), self.entity_type.data, self.trigger_event.data
        refused = [
            self._refuses_trigger(),
            *(
                row.refuses(checking.compile_condition, kind, row.written(), session)
                for row in self.condition_rows()
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

    def _refuses_trigger(self) -> bool:
        try:
            triggers.check(
                db.session(), self.entity_type.data, self.trigger_event.data, self._trigger_config()
            )
        except FieldError as error:
            name = f"trigger_{error.field}" if error.field in TRIGGER_SETTINGS else "trigger_event"
            self.blame(name, error.message)
            return True
        return False
