"""One workflow rule: its page with its last runs, and the form in which managers write it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import rights
from crmweb.errors import ConflictError
from crmweb.extensions import db
from crmweb.forms.rule_drafts import NEW_ACTION, NEW_CONDITION, drawn, opened, redrawn
from crmweb.forms.rule_options import TYPES
from crmweb.forms.rules import RuleForm
from crmweb.models import WorkflowRule
from crmweb.queries import deliveries, rules
from crmweb.web import rule_side, rule_words, whys
from crmweb.web.access import access, me
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.rules import Answer, bp
from crmweb.workflow import ordering
from crmweb.workflow.recipes import RECIPES
from crmweb.workflow.texts import placeholders

SHOWN = ("acted", "did_not", "failed", "cut")
MOST_IDLE = 20


@bp.route("/rules/new", methods=["GET", "POST"])
@access("managers")
def new() -> Answer:
    """Write a rule; it is saved switched on, or off with the other button."""
    person = me()
    if request.method == "GET":
        if recipe := RECIPES.get(request.args.get("recipe", "")):
            return _form_page(drawn(recipe.definition, locale=person.locale))
        of = request.args.get("of", "Deal")
        return _form_page(_blank(of if of in TYPES else "Deal", person.locale))
    form = RuleForm(request.form, locale=person.locale)

    def work(session: Session) -> UUID:
        rights.require(person, "rules")
        rule = WorkflowRule(**form.definition(), is_active=request.form.get("do") != "save-off")
        if form.counts_past.data:
            rule.on_since = None
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
        return _rule_page(rule, opened(rule.definition, rule.version, person.locale) if is_mine else None)
    rights.require(person, "rules", "Only managers and admins change rules.")
    form = RuleForm(request.form, locale=person.locale)

    def work(session: Session) -> None:
        rights.require(person, "rules")
        stored = ordering.locked(session, rule_id)
        if stored.archived_at is not None:
            raise ConflictError(
                "This rule was archived in the meantime, and nothing was saved. Bring it back first."
            )
        if form.version.data != str(stored.version):
            form.version.data = str(stored.version)
            raise ConflictError(
                "Somebody else changed this rule in the meantime, and nothing was overwritten. "
                "Save again to have it as it stands here."
            )
        for name, value in form.definition().items():
            setattr(stored, name, value)
        if form.counts_past.data:
            stored.on_since = None

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


@bp.post("/rules/try")
@access("managers")
def try_new() -> str:
    """Try a rule that is not saved yet on a record; nothing stays of it."""
    return _tried(None)


@bp.post("/rules/<uuid:rule_id>/try")
@access("managers")
def try_stored(rule_id: UUID) -> str:
    """Try a stored rule as the form has it."""
    return _tried(rules.load(db.session(), rule_id))


def _tried(rule: rules.RuleRow | None) -> str:
    person = me()
    form = RuleForm(request.form, locale=person.locale)
    if not is_htmx():
        return _form_page(form, "try") if rule is None else _rule_page(rule, form, "try")
    is_tried = request.form.get("do") != "find"
    return render_template("rules/_try.html", **rule_side.context(form, rule, person, is_tried=is_tried))


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
        return render_template("rules/_drafted.html", **_form_context(form, rule, act))
    return _form_page(form, act) if rule is None else _rule_page(rule, form, act=act)


def again(form: RuleForm, rule: rules.RuleRow | None) -> str:
    """The page of the form, with what is wrong in it."""
    return _form_page(form) if rule is None else _rule_page(rule, form)


def _form_page(form: RuleForm, act: str = "") -> str:
    return render_template("rules/new.html", **_form_context(form, None, act))


def _rule_page(
    rule: rules.RuleRow, form: RuleForm | None, act: str = "", *, is_conflict: bool = False
) -> str:
    session, person = db.session(), me()
    use, _ = rules.use(session, rule.entity_type)
    show = request.args.get("show", "")
    show = show if show in SHOWN else ""
    is_idle = show == "did_not"
    runs, older = rules.last_runs(
        session, rule.id, request.args.get("before", type=UUID), "" if is_idle else show
    )
    idle = whys.idle(session, rule.id, rule.entity_type, MOST_IDLE) if is_idle else (None, None)
    return render_template(
        "rules/show.html",
        use=use.get(rule.id, rules.Use()),
        runs=runs,
        mails=deliveries.of_runs(session, [run.id for run in runs]),
        older=url_for(".show", rule_id=rule.id, before=older, show=show or None, _anchor="runs")
        if older
        else "",
        show=show,
        idle=idle[0],
        idle_since=idle[1],
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
        **rule_side.context(form, rule, me(), is_tried=act == "try"),
        "form": rule_words.offered(session, form),
        "rule": rule,
        "draft_url": draft_url,
        "sentence": rule_words.sentence(session, definition, me().locale),
        "cautions": rule_words.cautions_of(session, definition, rule.id if rule else None),
        "placeholders": placeholders(definition["entity_type"]) if definition["entity_type"] in TYPES else [],
        "qualifying": rule_words.qualifying(session, form, rule.id if rule else None),
        "act": act,
    }
