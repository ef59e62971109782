"""A rule as one English sentence, in parts, so that its values can be emphasised and linked to their fields.

The same sentence stands in the list, in the editor and in the log. It reads definitions (`WorkflowRule.definition()`),
complete or not: what is missing in a draft reads as "…".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from crmweb.workflow import catalog, kinds
from crmweb.workflow.conditions import ANY
from crmweb.workflow.naming import Definition, Names, field_of
from crmweb.workflow.operators import OPERATORS, Operator
from crmweb.workflow.parts import is_group
from crmweb.workflow.phrases import LONGEST, MISSING, Part, Values, Write, between, of_actions
from crmweb.workflow.triggers import BEFORE, DATES

__all__ = ["Part", "Write", "changes_only", "plainly", "sentence", "text"]

A = {"Deal": "a deal", "Entity": "a contact", "Activity": "an activity"}
HAPPENS = {"create": "is created", "update": "is updated", "delete": "is deleted"}
CHANGES = ("changed", "changed_to", "changed_from")
STAGE = catalog.field("Deal", "stage")


def plainly(value: Any, currency: str) -> str:
    """Numbers in groups, days ISO, the currency behind: how sentences are written for nobody in particular."""
    return f"{kinds.shown(value)} {currency}".rstrip()


def sentence(definition: Definition, names: Names, write: Write = plainly) -> list[Part]:
    """What the rule does and when. Never raises."""
    values = Values(names, write, currency_of(definition))
    parts, joined = list(_beginning(definition, values)), " and "
    conditions = list(_conditions(definition.get("conditions"), definition, values))
    if conditions:
        joined = " so that " if _becomes_true(definition) else _joint(definition)
        parts += [Part(joined), *_group(conditions, definition.get("match"))]
    actions = list(of_actions(definition, values._replace(currency="")))
    parts += [Part(", "), *(between(actions, " and ") or [Part(MISSING, is_value=True)]), Part(".")]
    if definition.get("stop_after"):
        parts.append(Part(" Stop here."))
    if definition.get("on_failure") == "undo":
        parts.append(Part(" If that fails, undo the change."))
    return _merged(parts)


def text(parts: Iterable[Part]) -> str:
    """The sentence without emphasis."""
    return "".join(part.text for part in parts)


def changes_only(definition: Definition) -> bool:
    """Whether the conditions ask for a change, so that the rule cannot act on edits of something else."""
    return _asks_for_change(definition.get("conditions") or (), definition.get("match"))


def _asks_for_change(parts: Iterable[Any], match: Any) -> bool:
    asks = [
        _asks_for_change(part["conditions"], part.get("match"))
        if is_group(part)
        else part.get("operator") in CHANGES
        for part in parts
    ]
    return bool(asks) and (all(asks) if match == ANY else any(asks))


def _beginning(definition: Definition, values: Values) -> Iterator[Part]:
    trigger, config = definition.get("trigger_event") or "", definition.get("trigger_config") or {}
    if trigger in _BEGINNINGS:
        yield from _BEGINNINGS[trigger](definition, config, values)
        return
    is_each = trigger == "update" and definition.get("fires") == "every_time" and not changes_only(definition)
    what = A.get(definition.get("entity_type") or "", MISSING)
    yield Part(f"{'Each time' if is_each else 'When'} {what} {HAPPENS.get(trigger, MISSING)}")


def _stage_changed(_: Definition, config: Definition, values: Values) -> list[Part]:
    came, went = config.get("from"), config.get("to")
    if not came and not went:
        return [Part("When a deal moves to another stage")]
    if not went:
        return [Part("When a deal leaves "), _stage(values, came, "from")]
    from_where = [Part(" from "), _stage(values, came, "from")] if came else []
    return [Part("When a deal moves"), *from_where, Part(" to "), _stage(values, went, "to")]


def _days_in_stage(_: Definition, config: Definition, values: Values) -> list[Part]:
    where = [_stage(values, config["stage"], "stage")] if config.get("stage") else [Part("its stage")]
    return [Part("When a deal has been in "), *where, Part(" for "), _days(config)]


def _no_activity(_: Definition, config: Definition, __: Values) -> list[Part]:
    return [Part("When nothing has happened on a deal for "), _days(config)]


def _date_reached(definition: Definition, config: Definition, _: Values) -> list[Part]:
    kind = str(definition.get("entity_type"))
    day = DATES.get(kind, {}).get(str(config.get("field")), MISSING)
    of = Part(f" of {A.get(kind, MISSING)}")
    date = Part(day, is_value=True, anchor="trigger_field")
    if str(config.get("days", "")).strip() == "0":
        return [Part("On "), date, of]
    side = BEFORE if config.get("side") == BEFORE else "after"
    return [_days(config), Part(f" {side} "), date, of]


_BEGINNINGS: dict[str, Callable[[Definition, Definition, Values], list[Part]]] = {
    "stage_changed": _stage_changed,
    "days_in_stage": _days_in_stage,
    "no_activity": _no_activity,
    "date_reached": _date_reached,
}


def _days(config: Definition) -> Part:
    written = str(config.get("days", "")).strip()
    said = MISSING if not written else "1 day" if written == "1" else f"{kinds.brief(written)} days"
    return Part(said, is_value=True, anchor="trigger_days")


def _stage(values: Values, stage: Any, setting: str) -> Part:
    return Part(values.word(STAGE, stage), is_value=True, anchor=f"trigger_{setting}")


def _joint(definition: Definition) -> str:
    """What joins the conditions to the beginning."""
    return " if " if definition.get("trigger_event") == "date_reached" else " and "


def _becomes_true(definition: Definition) -> bool:
    is_update = definition.get("trigger_event") == "update"
    return is_update and definition.get("fires") == "becomes_true" and not changes_only(definition)


def _conditions(parts: Any, definition: Definition, values: Values, lead: str = "") -> Iterator[list[Part]]:
    """Each condition, and each group of them, in the order in which the form asks for them: groups come last."""
    for number, condition in enumerate(part for part in parts or () if not is_group(part)):
        yield _condition(condition, definition, values, f"{lead}conditions-{number}")
    for number, group in enumerate(part for part in parts or () if is_group(part)):
        inner = list(_conditions(group["conditions"], definition, values, f"groups-{number}-"))
        if inner:
            yield _group(inner, group.get("match"), is_inner=True)


def _group(said: list[list[Part]], match: Any, *, is_inner: bool = False) -> list[Part]:
    if len(said) == 1:
        return said[0]
    if match == ANY:
        return [Part("either "), *between(said, " or ")]
    together = [Part("both ")] if is_inner and len(said) == 2 else []
    end = [Part(" together")] if is_inner and len(said) > 2 else []
    return [*together, *between(said, " and "), *end]


def _condition(condition: Definition, definition: Definition, values: Values, anchor: str) -> list[Part]:
    entry, operator = (
        field_of(definition, condition.get("field")),
        OPERATORS.get(str(condition.get("operator"))),
    )
    if entry is None:
        return [Part(MISSING, is_value=True, anchor=f"{anchor}-field")]
    if operator is None:
        return [Part(f"{entry.words} "), Part(MISSING, is_value=True, anchor=f"{anchor}-operator")]
    return compared(entry, operator, condition.get("value"), values, f"{anchor}-value")


def compared(
    entry: catalog.Field, operator: Operator, value: Any, values: Values, anchor: str = ""
) -> list[Part]:
    """A condition in words: "the amount is more than 100,000"."""
    words = operator.words_for(entry.kind)
    if operator.takes == "nothing":
        return [Part(f"{entry.words} {words}")]
    if kinds.is_missing(value) and operator.name in ("equals", "not_equals"):
        return [Part(f"{entry.words} {words} empty")]
    if operator.takes == "several":
        written = value if isinstance(value, list | tuple) else str("" if value is None else value).split(",")
        said = ", ".join(
            values.word(entry, part.strip() if isinstance(part, str) else part) for part in written
        )
    elif operator.name == "contains":
        said = MISSING if kinds.is_missing(value) else kinds.brief(value, LONGEST)
    else:
        said = values.word(entry, value)
    return [Part(f"{entry.words} {words} "), Part(said, is_value=True, anchor=anchor)]


def currency_of(definition: Definition) -> str:
    """The one currency that all records have to have. Without it an amount is compared in whatever currency it has."""
    if definition.get("match") == "any":
        return ""
    asked = {
        str(condition.get("value")).strip().upper()
        for condition in definition.get("conditions") or ()
        if condition.get("field") == "currency" and condition.get("operator") in ("equals", "changed_to")
    }
    return asked.pop() if len(asked) == 1 else ""


def _merged(parts: Iterable[Part]) -> list[Part]:
    merged: list[Part] = []
    for part in parts:
        if merged and not part.is_value and not merged[-1].is_value:
            merged[-1] = Part(merged[-1].text + part.text)
        else:
            merged.append(part)
    return merged
