"""Two people's changes of one field, in words: who made the other one, both values, which can be kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from crmweb import clock
from crmweb.extensions import db
from crmweb.forms.numbers import write_number
from crmweb.forms.records import EditForm
from crmweb.queries import history
from crmweb.queries.history import LastChange
from crmweb.web import filters
from crmweb.web.access import Person

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Dispute:
    """One field that two people changed. `at` is UTC; the values are as people read them."""

    who: str
    label: str
    at: datetime
    theirs: str
    yours: str


def told(form: EditForm, record_id: UUID, person: Person, **known: tuple[str, str]) -> dict[str, Dispute]:
    """The form's conflicts, by field. `known` gives both values of a field that cannot say them itself."""
    if not form.conflicts:
        return {}
    last = history.last_changes(db.session(), record_id, form.conflicts)
    disputes = {}
    for name, conflict in form.conflicts.items():
        change = last.get(name) or LastChange(name, "Somebody", clock.now())
        values = known.get(name) or tuple(
            _words(form[name], value, person) for value in (conflict.theirs, conflict.yours)
        )
        label = form[form.renamed.get(name, name)].label.text.lower()
        disputes[name] = Dispute(change.who, label, change.at, *values)
    return disputes


def _words(field: Any, value: Any, person: Person) -> str:
    if hasattr(field, "words"):
        return str(field.words(value))[:LONGEST]
    if isinstance(value, date):
        return filters.day(value, clock.today(), person.locale)
    if isinstance(value, Decimal | float):
        return write_number(Decimal(str(value)), person.locale)
    return "nothing" if value is None else str(value)[:LONGEST]
