"""Rules in words, as the person who looks writes numbers and days: for the list, the form and the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from crmweb import config
from crmweb.errors import FieldError
from crmweb.forms.rule_choices import Offering
from crmweb.forms.rules import RuleForm
from crmweb.models import WorkflowRule
from crmweb.queries import rules
from crmweb.web import filters
from crmweb.workflow import cautions, checking, due, explain, kinds, naming, triggers
from crmweb.workflow.explain import Part
from crmweb.workflow.naming import Definition

MOST_CAUTIONS = 4


@dataclass(frozen=True, slots=True)
class Told:
    """A rule of the list. `fault`: why it cannot run any more; `circle`: rules with which it sets off each other."""

    row: rules.RuleRow
    sentence: list[Part]
    fault: str
    circle: list[str]


def told(session: Session, rows: Sequence[rules.RuleRow], locale: str) -> list[Told]:
    """The rules with their sentences. Two statements, however many there are."""
    names = naming.names(session, [row.definition for row in rows])
    running = rules.running(session)
    circles = cautions.circles(running)
    return [
        Told(
            row,
            explain.sentence(row.definition, names, writer(locale)),
            checking.fault(row.definition),
            sorted(running[other]["name"] for other in circles.get(row.id, ())),
        )
        for row in rows
    ]


def sentence(session: Session, definition: Definition, locale: str) -> list[Part]:
    """One rule's sentence."""
    return explain.sentence(definition, naming.names(session, [definition]), writer(locale))


def qualifying(session: Session, form: RuleForm, rule_id: UUID | None) -> due.Qualifying | None:
    """How many records time has brought to such a rule already; None when it is no rule of time, or not one yet."""
    definition = form.definition()
    trigger = triggers.TRIGGERS.get(definition["trigger_event"])
    if trigger is None or not trigger.is_time:
        return None
    try:
        triggers.check(
            session, definition["entity_type"], definition["trigger_event"], definition["trigger_config"]
        )
        rule = WorkflowRule(
            **{name: definition[name] for name in ("entity_type", "trigger_event", "trigger_config")}
        )
    except FieldError:
        return None
    rule.id = rule_id or rule.id
    return due.qualifying(session, rule)


def offered(session: Session, form: RuleForm) -> RuleForm:
    """The form with its lists filled."""
    return Offering(session, naming.names(session, [form.definition()])).fill(form)


def cautions_of(session: Session, definition: Definition, rule_id: UUID | None) -> list[str]:
    """What is worth a warning about a rule that may be saved as it is."""
    own = rule_id or UUID(int=0)
    running = {**rules.running(session), own: dict(definition)}
    circle = cautions.circles(running).get(own, set())
    told = [cautions.repeats(definition), _feeds_itself(definition)]
    for other, meant in running.items():
        if other != own:
            told.append(_feeds(definition, meant, is_circle=other in circle))
    warnings = [warning for warning in told if warning]
    return (
        warnings
        if len(warnings) <= MOST_CAUTIONS
        else [*warnings[:MOST_CAUTIONS], "And it feeds more rules."]
    )


def _feeds_itself(definition: Definition) -> str:
    sets = cautions.fed(definition, definition)
    if not sets or definition.get("trigger_event") == "create":
        return ""
    return f"This rule feeds itself: it {_does(sets)}, which it looks at. It acts at most once per change."


def _feeds(one: Definition, other: Definition, *, is_circle: bool) -> str:
    sets, back, name = cautions.fed(one, other), cautions.fed(other, one), other["name"]
    if sets and back:
        return (
            f"This rule and “{name}” set off each other: this one {_does(sets)}, that one {_does(back)}. "
            "Each acts at most once per change."
        )
    if is_circle:
        return f"This rule and “{name}” set off each other through others. Each acts at most once per change."
    return f"This rule feeds “{name}”: it {_does(sets)}, which that one looks at." if sets else ""


def _does(words: list[str]) -> str:
    """What a rule does that others look at: "sets the amount, the stage and more"."""
    if words == [cautions.ACTIVITY]:
        return f"adds {cautions.ACTIVITY}"
    shown = [*words[:2], "more"] if len(words) > 3 else words
    *first, last = shown
    return f"sets {', '.join(first)} and {last}" if first else f"sets {last}"


def writer(locale: str) -> Callable[[Any, str], str]:
    """Writes a sentence's values in the person's locale; days and times in the company's zone, as rules read them."""

    def write(value: Any, currency: str) -> str:
        if isinstance(value, Decimal):
            return filters.money(value, currency, locale) if currency else filters.number(value, locale)
        if isinstance(value, datetime):
            local = value.astimezone(ZoneInfo(config.settings.timezone))
            at = filters.time(value, config.settings.timezone, locale)
            is_midnight = (local.hour, local.minute) == (0, 0)
            return _day(local.date(), locale) if is_midnight else f"{_day(local.date(), locale)}, {at}"
        return _day(value, locale) if isinstance(value, date) else kinds.shown(value)

    return write


def _day(value: date, locale: str) -> str:
    # A rule outlives "tomorrow" and "Mon", so days are written in full, without the weekday.
    return filters.full_day(value, locale).partition(" ")[2]
