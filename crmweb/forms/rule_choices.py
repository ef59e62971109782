"""What the form of a rule offers in each row, once it is known what was chosen before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session
from wtforms.fields import SelectChoice

from crmweb.forms.fields import offer as entries
from crmweb.forms.rule_options import (
    CUSTOM_KEYS,
    GROUPS,
    RECIPIENTS,
    STAGE_WORDS,
    TRIGGERS,
    actions_of,
    operators_of,
    triggers_of,
)
from crmweb.queries import people, pipelines
from crmweb.workflow import catalog, kinds, triggers
from crmweb.workflow.explain import currency_of
from crmweb.workflow.naming import Names, field_of
from crmweb.workflow.operators import OPERATORS

if TYPE_CHECKING:
    from crmweb.forms.rule_rows import ActionRow, ConditionRow, Value
    from crmweb.forms.rules import RuleForm

SHAPES = {kinds.MONEY: "number", kinds.NUMBER: "number", kinds.DATE: "day", kinds.MOMENT: "day"}
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class Offer:
    """How a value is asked for. `shape`: nothing, text, number, day, choice (one of `entries`), choices (several).

    `unit` is the word behind a number.
    """

    shape: str
    entries: list[SelectChoice] = field(default_factory=list)
    unit: str = ""

    @property
    def groups(self) -> list[tuple[str, list[SelectChoice]]]:
        """The entries by their group, in order."""
        found: dict[str, list[SelectChoice]] = {}
        for entry in self.entries:
            found.setdefault(entry.optgroup or "", []).append(entry)
        return list(found.items())


class Offering:
    """Fills a form's lists. The records to choose from are read once, and only when a row asks for them."""

    def __init__(self, session: Session, names: Names) -> None:
        self._session, self._names = session, names

    def fill(self, form: RuleForm) -> RuleForm:
        """Offer in every row what fits it; answers the form."""
        definition = form.definition()
        kind, trigger = definition["entity_type"], definition["trigger_event"]
        form.trigger_event.choices = entries(triggers_of(kind) or TRIGGERS.items())
        self._trigger(form, definition)
        for condition in form.condition_rows():
            self._condition(condition, definition)
        for row in form.actions:
            row.form.kind.choices = [
                *_first(row.form.kind.data, "What to do"),
                *entries(actions_of(kind, trigger)),
            ]
            self._action(row.form, definition)
        return form

    def _trigger(self, form: RuleForm, definition: dict[str, Any]) -> None:
        asked = (
            triggers.TRIGGERS[form.trigger_event.data].settings if form.trigger_event.data in TRIGGERS else ()
        )
        for name, words in STAGE_WORDS.items():
            if name in asked:
                field_ = form[f"trigger_{name}"]
                field_.choices = self._with(
                    [*entries([("", words)]), *self.stages], kinds.STAGE, [field_.data]
                )
        if "field" in asked:
            dates = triggers.DATES.get(definition["entity_type"], {})
            form.trigger_field.choices = entries(
                (key, _capital(words.removeprefix("the "))) for key, words in dates.items()
            )

    def _condition(self, row: ConditionRow, definition: dict[str, Any]) -> None:
        row.field.choices = [
            *_first(row.field.data, "Field"),
            *_fields(definition["entity_type"], row.field.data),
        ]
        written = row.written()
        entry, operator = (
            field_of(definition, written["field"] or None),
            OPERATORS.get(row.operator.data or ""),
        )
        kind = entry.kind if entry else kinds.CUSTOM
        offered = operators_of(kind)
        if operator is not None and operator.name not in dict(offered) and kind in operator.kinds:
            offered.append((operator.name, operator.words_for(kind)))
        row.operator.choices = entries(offered)
        name = operator.name if operator is not None and operator.name in dict(offered) else offered[0][0]
        takes = OPERATORS[name].takes
        if takes == "nothing":
            row.value.offer = Offer("nothing")
        elif name == "contains" or entry is None:
            row.value.offer = Offer("text")
        else:
            row.value.offer = self._value(entry, row.value, several=takes == "several", may_be_empty=False)
            if entry.kind == kinds.MONEY and row.value.offer.shape == "number":
                row.value.offer = Offer("number", unit=currency_of(definition) or "in any currency")

    def _action(self, row: ActionRow, definition: dict[str, Any]) -> None:
        if row.kind.data == "update_field":
            writable = _fields(definition["entity_type"], None, are_writable=True)
            row.field_name.choices = [*_first(row.field_name.data, "Field"), *writable]
            entry = field_of(definition, row.written()["config"]["field_name"] or None)
            if entry is not None:
                row.value.offer = self._value(
                    entry, row.value, several=False, may_be_empty=not entry.is_required
                )
        elif row.kind.data == "send_notification":
            row.to.choices = self._with(
                [*entries(RECIPIENTS), *entries(self.people, "People")], kinds.PERSON, [row.to.data]
            )
        elif row.kind.data == "assign":
            people = self._with(entries(self.people), kinds.PERSON, [row.to.data, *(row.people.data or [])])
            row.to.choices, row.people.choices = [*_first(row.to.data, "Person"), *people], people
        elif row.kind.data == "move_to_stage":
            row.stage_id.choices = self._with(
                [*_first(row.stage_id.data, "Stage"), *self.stages], kinds.STAGE, [row.stage_id.data]
            )

    def _value(self, entry: catalog.Field, value: Value, *, several: bool, may_be_empty: bool) -> Offer:
        listed = self._listed(entry)
        if listed is None:
            shape = "text" if several else SHAPES.get(entry.kind, "text")
            is_odd = shape == "day" and bool(value.one) and not DAY.fullmatch(value.one)
            return Offer("text" if is_odd else shape)
        listed = self._with(listed, entry.kind, value.data or [])
        if several:
            return Offer("choices", listed)
        nothing = entries([("", "Nobody" if entry.kind == kinds.PERSON else "Nothing")])
        return Offer("choice", [*(nothing if may_be_empty else _first(value.one, "Choose")), *listed])

    def _listed(self, entry: catalog.Field) -> list[SelectChoice] | None:
        if entry.kind == kinds.CHOICE:
            return entries((value, _capital(catalog.choice_words(value))) for value in entry.choices)
        if entry.kind == kinds.ENTITY:
            return []
        lists = {
            kinds.STAGE: lambda: self.stages,
            kinds.PERSON: lambda: entries(self.people),
            kinds.PIPELINE: lambda: self.pipelines,
        }
        return lists[entry.kind]() if entry.kind in lists else None

    def _with(self, listed: list[SelectChoice], kind: str, present: Iterable[Any]) -> list[SelectChoice]:
        """The list, and what is chosen now even if it is offered no more."""
        known = {entry.value for entry in listed}
        gone = [str(value) for value in present if value and str(value) not in known]
        named = {str(key): name for (of, key), name in self._names.items() if of == kind}
        return [*listed, *entries((value, named.get(value, "Not there any more")) for value in gone)]

    @cached_property
    def people(self) -> list[tuple[Any, str]]:
        return list(people.choices(self._session))

    @cached_property
    def _pipelines(self) -> list[pipelines.PipelineRow]:
        return pipelines.offered(self._session)

    @property
    def pipelines(self) -> list[SelectChoice]:
        return entries((pipeline.id, pipeline.name) for pipeline in self._pipelines)

    @property
    def stages(self) -> list[SelectChoice]:
        return [
            entry
            for pipeline in self._pipelines
            for entry in entries(((stage.id, stage.name) for stage in pipeline.stages), pipeline.name)
        ]


def _fields(
    entity_type: str | None, chosen: str | None, *, are_writable: bool = False
) -> Iterator[SelectChoice]:
    for entry in catalog.CATALOG.get(entity_type or "", {}).values():
        if (entry.is_writable or not are_writable) and (
            entry.key not in catalog.TECHNICAL or entry.key == chosen
        ):
            yield from entries([(entry.key, entry.label)], GROUPS[entry.path] or None)
    may_have = {"Deal": CUSTOM_KEYS, "Entity": {catalog.CUSTOM: CUSTOM_KEYS[catalog.CUSTOM]}}
    for key, label in may_have.get(entity_type or "", {}).items():
        if not are_writable or key == catalog.CUSTOM:
            yield from entries([(key, f"{label}…")], "Custom fields")


def _first(chosen: Any, words: str) -> list[SelectChoice]:
    """An entry that asks to choose, as long as nothing is chosen."""
    return [] if chosen else entries([("", f"{words}…")])


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
