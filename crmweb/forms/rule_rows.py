"""The rows of a rule's form: a condition, an action, and what a value is asked for with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wtforms import Field, FieldList, Form, FormField, SelectField, SelectMultipleField
from wtforms.widgets import TextArea

from crmweb.errors import FieldError
from crmweb.forms.fields import Text, as_lines
from crmweb.forms.numbers import read_number, write_number
from crmweb.forms.rule_choices import Offer
from crmweb.forms.rule_options import ACTIONS, CUSTOM_KEYS, MATCHES, WAYS
from crmweb.workflow import catalog, checking, kinds
from crmweb.workflow.naming import field_of
from crmweb.workflow.operators import OPERATORS

MOST = checking.MOST_PARTS
BESIDE = {
    "condition_field": "field",
    "condition_operator": "operator",
    "condition_value": "value",
    "action_type": "kind",
}
"""What the engine's errors name → the row's own field."""
ASKED = {
    "note": ("subject", "description"),
    "task": ("subject", "description", "due_in_days"),
    "send_notification": ("to", "message"),
    "move_to_stage": ("stage_id",),
    "assign": ("way", "to", "people"),
}
"""Kind of action → the settings that its row asks for."""


class Rows(FieldList):
    """A list of rows, of which no more are read than a rule may have."""

    def _extract_indices(self, prefix: str, formdata: Any) -> Iterator[int]:
        indices = sorted(set(super()._extract_indices(prefix, formdata)))
        self.are_too_many = len(indices) > MOST
        yield from indices[:MOST]


class Value(Field):
    """What a condition compares with, or an action sets: one text or several, numbers plain.

    `offer` says how it is asked for, `shown` how it stands there.
    """

    offer = Offer("text")
    shown = ""
    unread = ""

    def process_data(self, value: Any) -> None:
        several = value if isinstance(value, list | tuple) else [] if kinds.is_missing(value) else [value]
        self.data = [kinds.text(one) for one in several]
        self.shown = self.one

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = [text for one in valuelist if (text := as_lines(one).strip())]
        self.shown = self.one

    @property
    def one(self) -> str:
        """The value as one text; several have commas between."""
        return ", ".join(self.data or [])

    def agree_on_number(self, locale: str) -> None:
        """The value is a number: read it as the person wrote it, or write it as they do."""
        if not self.one:
            return
        if self.raw_data is None:
            number = kinds.number(self.one)
            self.shown = self.one if number is None else write_number(number, locale)
            return
        try:
            self.data = [kinds.text(read_number(self.one, locale))]
        except ValueError as wrong:
            self.unread = str(wrong)


class Template(Text):
    """A text that may name fields of the record. What is chosen in the list beside it, `…-insert`, ends the text.

    (A script puts it where the cursor is, and leaves the list as it was.)
    """

    def process(self, formdata: Any, *given: Any, **named: Any) -> None:
        super().process(formdata, *given, **named)
        if formdata is not None and (inserted := formdata.get(f"{self.name}-insert")):
            self.raw_data = [f"{self._value()} {inserted}".lstrip()]
            self.process_formdata(self.raw_data)


class Templates(Template):
    """The same of several lines."""

    widget = TextArea()


class Row(Form):
    """One condition or one action: a form of its own inside the rule's."""

    chooses = ""
    """The list in which the row's field of the catalog is chosen."""

    @property
    def is_custom(self) -> bool:
        """Whether a custom field is chosen, whose name is asked for too."""
        return self[self.chooses].data in CUSTOM_KEYS

    def key(self) -> str:
        """The chosen field's key in the catalog; a custom field's name is asked for beside the list."""
        chosen = self[self.chooses].data or ""
        return f"{chosen}{(self['custom'].data or '').strip()}" if chosen in CUSTOM_KEYS else chosen

    def agree_on_number(self, entity_type: str | None, locale: str) -> None:
        """Numbers are written in the person's locale, and kept plain."""
        entry = field_of({"entity_type": entity_type}, self.key() or None)
        if entry is not None and entry.kind in (kinds.MONEY, kinds.NUMBER) and self._is_one_number():
            self["value"].agree_on_number(locale)

    def refuses(self, check: Callable[..., Any], *given: Any) -> bool:
        """Whether `check(*given)` raises a FieldError; if so, its words stand beside the field that they are about."""
        if self["value"].unread:
            self._blame("value", self["value"].unread)
            return True
        try:
            check(*given)
        except FieldError as error:
            name = BESIDE.get(error.field, error.field)
            self._blame(name if name in self._fields else self._otherwise(), error.message)
            return True
        return bool(self.errors)

    def _blame(self, name: str, message: str) -> None:
        field = self._fields[name]
        field.errors = [*field.errors, message]

    def _is_one_number(self) -> bool:
        return True

    def _otherwise(self) -> str:
        return "value"


class ConditionRow(Row):
    """A field, how it is compared, and with what."""

    chooses = "field"
    field = SelectField("Field", validate_choice=False)
    custom = Text("Name of the custom field")
    operator = SelectField("Comparison", validate_choice=False)
    value = Value("Value")

    def refuses(self, check: Callable[..., Any], *given: Any) -> bool:
        """A rule may ask for nothing by “is”; in the form that is a value forgotten."""
        if self.key() and self.operator.data in checking.MAY_BE_EMPTY and not self.value.one:
            self._blame(
                "value", "What is it compared with? To look for nothing, choose “is empty” or “is not empty”."
            )
            return True
        return super().refuses(check, *given)

    def written(self) -> dict[str, Any]:
        """The condition as a rule keeps it."""
        operator = OPERATORS.get(self.operator.data or "")
        value: Any = self.value.one or None
        if operator is not None and operator.takes == "several" and len(self.value.data) > 1:
            value = self.value.data
        taken = {} if operator is not None and operator.takes == "nothing" else {"value": value}
        return {"field": self.key(), "operator": self.operator.data or "", **taken}

    def _is_one_number(self) -> bool:
        return self.operator.data not in ("contains", "one_of")


class GroupRow(Form):
    """Conditions of which all or any must hold, inside the rule's own list."""

    match = SelectField("How many of these", choices=MATCHES, validate_choice=False)
    conditions = Rows(FormField(ConditionRow))


class ActionRow(Row):
    """What is done; which of the settings are asked for depends on `kind`."""

    chooses = "field_name"
    kind = SelectField("Action", validate_choice=False)
    field_name = SelectField("Field", validate_choice=False)
    custom = Text("Name of the custom field")
    value = Value("New value")
    subject = Template("What to do")
    description = Templates("More about it")
    due_in_days = Text("Due in days")
    to = SelectField("Whom", validate_choice=False)
    message = Template("What to say")
    stage_id = SelectField("Stage", validate_choice=False)
    way = SelectField("How", choices=WAYS, validate_choice=False)
    people = SelectMultipleField("In turn to", validate_choice=False)

    def written(self) -> dict[str, Any]:
        """The action as a rule keeps it."""
        name, fixed = ACTIONS.get(self.kind.data or "", (self.kind.data or "", {}))
        config: dict[str, Any] = dict(fixed)
        if name == "update_field":
            key, value = self.key(), self.value.one or None
            config = {"field_name": key, "value": custom_value(value) if catalog.CUSTOM in key else value}
        elif name == "assign":
            config = (
                {"way": "in_turn", "people": self.people.data or []}
                if self.is_in_turn
                else {"to": self.to.data}
            )
        else:
            for setting in ASKED.get(self.kind.data or "", ()):
                if not kinds.is_missing(value := self[setting].data):
                    config[setting] = value
        return {"type": name, "config": config}

    @property
    def is_in_turn(self) -> bool:
        """Whether the record goes to several people in turn."""
        return bool(self.way.data == "in_turn")

    def _otherwise(self) -> str:
        return "value" if self.kind.data == "update_field" else "kind"


def custom_value(value: str | None) -> Any:
    """What a custom field keeps: numbers as numbers; codes such as 007 stay text."""
    number = kinds.plain_number(value) if value else None
    if number is None:
        return value
    return int(number) if number == number.to_integral_value() else float(number)
