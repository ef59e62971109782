"""Why a rule acted or did not: who looked at a change, condition by condition, as the rules were then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import render_template, request
from sqlalchemy.orm import Session

from crmweb.extensions import db
from crmweb.queries import looks
from crmweb.queries.looks import Idle, Looked
from crmweb.web import rule_words
from crmweb.web.access import access, me
from crmweb.web.history import bp
from crmweb.web.htmx import is_htmx
from crmweb.workflow import explain, naming, why
from crmweb.workflow.phrases import Values
from crmweb.workflow.why import Line, Look


@dataclass(frozen=True, slots=True)
class Told:
    """A rule's look in words. `checks` are its conditions; `bound` says what else kept it from acting."""

    rule_id: UUID
    rule_name: str
    outcome: str
    told: str
    checks: list[Line]
    bound: str
    round: int
    is_gone: bool


@bp.get("/changes/<uuid:change_set_id>/why", endpoint="why")
@access("everyone")
def why_it_acted(change_set_id: UUID) -> str:
    """Which rules looked in a change set, as a page or for a timeline; `record`, repeated: at these records alone."""
    found = looks.of_change(db.session(), change_set_id, request.args.getlist("record", type=UUID))
    template = "history/_why.html" if is_htmx() else "history/why.html"
    return render_template(template, told=_told(found), acted=sum(one.outcome == "acted" for one in found))


def _told(found: list[Looked]) -> list[Told]:
    names = naming.names(db.session(), [one.definition for one in found])
    return [
        Told(
            one.rule_id, one.rule_name, one.outcome, one.told, _checks(one.definition, one.line, names),
            "" if one.outcome else Look.of(one.line).bound, one.round, one.is_gone,
        )
        for one in found
    ]  # fmt: skip


def idle(
    session: Session, rule_id: UUID, entity_type: str, most: int
) -> tuple[list[tuple[Idle, list[Line], str]], datetime | None]:
    """The newest looks after which a rule did not act: each with its conditions, and what else kept it.

    When not all looks were read, and those that were are too few, also since when they are.
    """
    found, since = looks.idle(session, rule_id, entity_type, most)
    names = naming.names(session, [one.definition for one in found])
    return [(one, _checks(one.definition, one.line, names), Look.of(one.line).bound) for one in found], since


def _checks(definition: dict[str, Any], line: list[Any], names: Any) -> list[Line]:
    if not definition:
        return []
    values = Values(names, rule_words.writer(me().locale), explain.currency_of(definition))
    return why.lines(definition, Look.of(line), values)
