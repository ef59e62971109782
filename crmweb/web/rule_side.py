"""What stands beside the form of a rule: a record to try it on, and what the rule would do to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request, url_for

from crmweb import trial
from crmweb.errors import CRMError, FieldError, NotFoundError
from crmweb.extensions import db
from crmweb.forms.rule_rows import Template
from crmweb.forms.rules import RuleForm
from crmweb.models.locking import MODELS
from crmweb.queries import rules, trials
from crmweb.queries.sign_in import Person
from crmweb.web import rule_words
from crmweb.workflow import explain, naming, texts, why
from crmweb.workflow.phrases import Values
from crmweb.workflow.snapshots import Reader

LONGEST = 200
ROWS = ("conditions", "groups", "actions")
NOT_YET: dict[str, Any] = {"trial": None, "problem": "", "checks": []}


def context(
    form: RuleForm, rule: rules.RuleRow | None, person: Person, *, is_tried: bool = False
) -> dict[str, Any]:
    """What the side needs; with `is_tried` the rule is tried on the chosen record."""
    kind = form.entity_type.data or ""
    find = request.values.get("find", "").strip()[:LONGEST]
    chosen = request.values.get("record", type=UUID)
    found = trials.choices(db.session(), kind, find, chosen) if kind in MODELS else []
    chosen = chosen if chosen in dict(found) else found[0][0] if found else None
    return {
        "kind": kind,
        "records": found,
        "find": find,
        "chosen": chosen,
        "try_url": url_for("rules.try_stored", rule_id=rule.id) if rule else url_for("rules.try_new"),
        "test_url": url_for("rules.test_stored", rule_id=rule.id) if rule else url_for("rules.test_new"),
        "reads": _reads(form, kind, chosen),
        **(_tried(form, rule, person, chosen) if is_tried else NOT_YET),
    }


def _reads(form: RuleForm, kind: str, chosen: UUID | None) -> dict[str, tuple[str, str]]:
    """The form's texts that name fields: a text's id → as it reads on the chosen record, or what is wrong with it."""
    fields = [text for row in form.actions for text in row.form if isinstance(text, Template)]
    named = [text for text in fields if text.data and texts.PLACEHOLDER.search(text.data)]
    record = db.session().get(MODELS[kind], chosen) if named and chosen else None
    if record is None:
        return {}
    reader = Reader(db.session(), record, kind)
    return {text.id: _reading(text.data, kind, reader) for text in named}


def _reading(template: str, kind: str, reader: Reader) -> tuple[str, str]:
    """How a text reads; instead, what is wrong with a field that it names."""
    try:
        texts.check_text(kind, "", template)
    except FieldError as unknown:
        return "", unknown.message
    return texts.fill(template, reader), ""


def _tried(form: RuleForm, rule: rules.RuleRow | None, person: Person, record: Any) -> dict[str, Any]:
    if record is None:
        return {**NOT_YET, "problem": "There is nothing of this kind to try it on yet."}
    if not form.values().get("name"):
        form.name.data = "This rule"  # a name is nothing that a trial depends on
    if not form.validate():
        return {**NOT_YET, "problem": f"The rule is not complete yet. {_first_fault(form)}"}
    definition = form.definition()
    try:
        found = trial.dry_run(definition, record, by=person, rule_id=rule.id if rule else None)
    except (CRMError, NotFoundError) as refused:
        return {**NOT_YET, "problem": refused.message}
    session = db.session()
    values = Values(
        naming.names(session, [definition]), rule_words.writer(person.locale), explain.currency_of(definition)
    )
    checks = why.lines(definition, found.look, values) if found.look else []
    return {"trial": found, "problem": "", "checks": checks}


def _first_fault(form: RuleForm) -> str:
    """The first sentence that the form says of what is wrong."""
    rows = [*form.condition_rows(), *(row.form for row in form.actions)]
    fields = [*(field for field in form if field.name not in ROWS), *(field for row in rows for field in row)]
    said = (words for field in fields for words in field.errors if isinstance(words, str))
    return next(iter([*said, *form.form_errors]), "")
