"""Workflow rules: the list in its order, a rule with its last runs, the form. Everybody reads, managers write."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, config, rights
from crmweb.errors import ConflictError, CRMError
from crmweb.extensions import db
from crmweb.forms.rule_choices import TYPES
from crmweb.forms.rules import NEW_ACTION, NEW_CONDITION, RuleForm, drawn, redrawn
from crmweb.models import WorkflowRule
from crmweb.queries import rules
from crmweb.web import rule_words
from crmweb.web.access import access, me
from crmweb.web.htmx import is_htmx, see_other
from crmweb.workflow import ordering
from crmweb.workflow.texts import placeholders

bp = Blueprint("rules", __name__)
Answer = Response | str | tuple[str, int]
TABS = (("Deal", "Deals"), ("Entity", "Companies and people"), ("Activity", "Activities"))


@bp.get("/rules")
@access("everyone")
def index() -> str:
    """The rules of one type of record, in their order; with `archived` those that were put away."""
    of = request.args.get("of", "Deal")
    return page(of if of in TYPES else "Deal", are_archived="archived" in request.args)


@bp.route("/rules/new", methods=["GET", "POST"])
@access("managers")
def new() -> Answer:
    """Write a rule; it is saved switched on, or off with the other button."""
    person = me()
    if request.method == "GET":
        of = request.args.get("of", "Deal")
        return _form_page(_blank(of if of in TYPES else "Deal", person.locale))
    form = RuleForm(request.form, locale=person.locale)

    def work(session: Session) -> UUID:
        rights.require(person, "rules")
        rule = WorkflowRule(**form.definition(), is_active=request.form.get("do") != "save-off")
        session.add(rule)
        session.flush()
        return rule.id

    if not form.save(work, person):
        return _form_page(form), 422
    return _saved(form.result, "Saved.")


@bp.route("/rules/<uuid:rule_id>", methods=["GET", "POST"])
@access("everyone")
def show(rule_id: UUID) -> Answer:
    """A rule: what it does, its last runs; for managers the form to change it."""
    person, rule = me(), rules.load(db.session(), rule_id)
    if request.method == "GET":
        is_mine = rights.may(person, "rules") and rule.state != "archived"
        return _rule_page(rule, drawn(rule.definition, rule.version, person.locale) if is_mine else None)
    rights.require(person, "rules", "Only managers and admins change rules.")
    form = RuleForm(request.form, locale=person.locale)

    def work(session: Session) -> None:
        rights.require(person, "rules")
        stored = ordering.locked(session, rule_id)
        if form.version.data != str(stored.version):
            raise ConflictError("Somebody else changed this rule in the meantime. Nothing was overwritten.")
        for name, value in form.definition().items():
            setattr(stored, name, value)

    try:
        is_saved = form.save(work, person)
    except ConflictError as conflict:
        form.form_errors.append(conflict.message)
        return _rule_page(rule, form, is_conflict=True), conflict.status
    if not is_saved:
        return _rule_page(rule, form), 422
    return _saved(rule_id, "Saved.")


@bp.post("/rules/draft")
@access("managers")
def draft() -> str:
    """The form of a new rule, changed by one of its buttons or lists; nothing is saved."""
    return _drafted(None)


@bp.post("/rules/<uuid:rule_id>/draft")
@access("managers")
def redraft(rule_id: UUID) -> str:
    """The same for a rule that is there."""
    return _drafted(rules.load(db.session(), rule_id))


@bp.post("/rules/<uuid:rule_id>/place")
@access("managers")
def place(rule_id: UUID) -> Answer:
    """Move a rule in the order: `by` -1 up, 1 down."""
    person, rule = me(), rules.load(db.session(), rule_id)
    steps = {"-1": -1, "1": 1}.get(request.form.get("by", ""))
    if steps is None:
        raise CRMError("Rules move by one place at a time: by is -1 or 1.")

    def work(session: Session) -> int:
        rights.require(person, "rules")
        return ordering.shift(session, rule_id, steps)

    spot = changes.commit(work, by=person)
    return _listed(rule, f"{rule.name} is number {spot} now.")


@bp.post("/rules/<uuid:rule_id>/state")
@access("managers")
def state(rule_id: UUID) -> Answer:
    """Switch a rule on or off: `on` 1 or 0. Switching on ends a pause."""
    person, rule = me(), rules.load(db.session(), rule_id)
    on = {"1": True, "0": False}.get(request.form.get("on", ""))
    if on is None:
        raise CRMError("A rule is switched on or off: on is 1 or 0.")

    def work(session: Session) -> None:
        rights.require(person, "rules")
        stored = ordering.locked(session, rule_id)
        if stored.archived_at is not None:
            raise ConflictError("This rule is archived. Bring it back first.")
        ordering.switch(stored, on=on)

    changes.commit(work, by=person)
    said = f"{rule.name} is switched {'on' if on else 'off'}."
    if request.form.get("from") == "rule":
        flash(said)
        return see_other(url_for(".show", rule_id=rule_id))
    return _listed(rule, said)


@bp.post("/rules/<uuid:rule_id>/archiving")
@access("managers")
def archive(rule_id: UUID) -> Answer:
    """Take a rule out of the list: it acts no more, what it did stays told."""
    person, rule = me(), rules.load(db.session(), rule_id)
    changes.commit(lambda session: ordering.archive(ordering.locked(session, rule_id)), by=person)
    flash(f"{rule.name} is archived.")
    return see_other(url_for(".index", of=rule.entity_type))


@bp.post("/rules/<uuid:rule_id>/restoring")
@access("managers")
def restore(rule_id: UUID) -> Answer:
    """Bring an archived rule back, last in the order and switched off."""
    person, rule = me(), rules.load(db.session(), rule_id)
    changes.commit(lambda session: ordering.restore(session, ordering.locked(session, rule_id)), by=person)
    flash(f"{rule.name} is back, switched off. Check it, then switch it on.")
    return see_other(url_for(".show", rule_id=rule_id))


def page(entity_type: str, *, are_archived: bool = False, said: str = "") -> str:
    """The list; for htmx the list alone, with `said` for those who listen."""
    session, person = db.session(), me()
    live, archived = rules.counts(session)
    use, since = rules.use(session, entity_type)
    context = {
        "rules": rule_words.told(
            session, rules.listed(session, entity_type, are_archived=are_archived), person.locale
        ),
        "of": entity_type,
        "are_archived": are_archived,
        "tabs": [(kind, label, live[kind]) for kind, label in TABS],
        "archived": archived[entity_type],
        "most": config.settings.max_workflow_rules_per_entity,
        "use": use,
        "since": since,
        "may_write": rights.may(person, "rules"),
        "said": said,
    }
    return render_template("rules/_placed.html" if said and is_htmx() else "rules/index.html", **context)


def _listed(rule: rules.RuleRow, said: str) -> Answer:
    """After a change in the list: the list again for htmx, else back to it."""
    if is_htmx():
        return page(rule.entity_type, said=said)
    flash(said)
    return see_other(url_for(".index", of=rule.entity_type, _anchor=f"rule-{rule.id}"))


def _saved(rule_id: UUID, said: str) -> Response:
    flash(said)
    return see_other(url_for(".show", rule_id=rule_id))


def _blank(of: str, locale: str) -> RuleForm:
    first = {"field": "stage", "operator": "changed_to", "value": None} if of == "Deal" else NEW_CONDITION
    begun = {"entity_type": of, "trigger_event": "update", "fires": "becomes_true", "on_failure": "keep"}
    task = {**NEW_ACTION, "type": "create_activity", "config": {"type": "task"}}
    return drawn({**begun, "name": "", "conditions": [first], "actions": [task]}, locale=locale)


def _drafted(rule: rules.RuleRow | None) -> str:
    act = request.form.get("do", "")
    form = redrawn(RuleForm(request.form, locale=me().locale), act)
    if is_htmx():
        return render_template("rules/_form.html", **_form_context(form, rule, act))
    return _form_page(form, act) if rule is None else _rule_page(rule, form, act=act)


def _form_page(form: RuleForm, act: str = "") -> str:
    return render_template("rules/new.html", **_form_context(form, None, act))


def _rule_page(
    rule: rules.RuleRow, form: RuleForm | None, act: str = "", *, is_conflict: bool = False
) -> str:
    session, person = db.session(), me()
    use, _ = rules.use(session, rule.entity_type)
    runs, older = rules.last_runs(session, rule.id, request.args.get("before", type=UUID))
    return render_template(
        "rules/show.html",
        use=use.get(rule.id, rules.Use()),
        runs=runs,
        older=url_for(".show", rule_id=rule.id, before=older, _anchor="runs") if older else "",
        may_write=rights.may(person, "rules"),
        is_conflict=is_conflict,
        told=rule_words.told(session, [rule], person.locale)[0],
        **(_form_context(form, rule, act) if form is not None else {"form": None}),
    )


def _form_context(form: RuleForm, rule: rules.RuleRow | None, act: str) -> dict[str, Any]:
    """What the form needs: its lists filled, its sentence, its warnings. `act`: the button that was pressed."""
    session, definition = db.session(), form.definition()
    draft_url = url_for(".redraft", rule_id=rule.id) if rule else url_for(".draft")
    return {
        "form": rule_words.offered(session, form),
        "rule": rule,
        "draft_url": draft_url,
        "sentence": rule_words.sentence(session, definition, me().locale),
        "cautions": rule_words.cautions_of(session, definition, rule.id if rule else None),
        "placeholders": placeholders(definition["entity_type"]) if definition["entity_type"] in TYPES else [],
        "act": act,
    }
