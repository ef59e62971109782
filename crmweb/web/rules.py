"""Workflow rules: the list in its order, with its switches. Everybody reads, managers write."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, config, rights
from crmweb.errors import ConflictError, CRMError, FieldError
from crmweb.extensions import db
from crmweb.forms.rule_options import TYPES
from crmweb.models import WorkflowRule
from crmweb.queries import deliveries, rules
from crmweb.web import rule_words
from crmweb.web.access import access, me
from crmweb.web.htmx import is_htmx, see_other
from crmweb.workflow import checking, ordering
from crmweb.workflow.recipes import RECIPES

bp = Blueprint("rules", __name__)
Answer = Response | str | tuple[str, int]
OUTCOMES = ("acted", "failed", "cut")
MOST_LOGGED = 50
TABS = (("Deal", "Deals"), ("Entity", "Companies and people"), ("Activity", "Activities"))


@bp.get("/rules")
@access("everyone")
def index() -> str:
    """The rules of one type of record, in their order; with `archived` those that were put away."""
    of = request.args.get("of", "Deal")
    return page(of if of in TYPES else "Deal", are_archived="archived" in request.args)


@bp.post("/rules/<uuid:rule_id>/place")
@access("managers")
def place(rule_id: UUID) -> Answer:
    """Move a rule in the order: `by` -1 up, 1 down; or `above` another rule, last when that is empty."""
    person, rule = me(), rules.load(db.session(), rule_id)
    steps = {"-1": -1, "1": 1}.get(request.form.get("by", ""))
    above = request.form.get("above", type=UUID)
    if steps is None and above is None and request.form.get("above") != "":
        raise CRMError("Rules move by one place (by is -1 or 1), or above another rule (above is its id).")

    def work(session: Session) -> int:
        rights.require(person, "rules")
        if steps is None:
            return ordering.put(session, rule_id, above)
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
        if on:
            _require_fit(session, stored)
        ordering.switch(stored, on=on)

    changes.commit(work, by=person)
    said = f"{rule.name} is switched {'on' if on else 'off'}."
    if request.form.get("from") == "rule":
        flash(said)
        return see_other(url_for(".show", rule_id=rule_id))
    return _listed(rule, said)


def _require_fit(session: Session, rule: WorkflowRule) -> None:
    """What a rule names may have gone since it was saved: then switching it on would be a promise in vain."""
    try:
        checking.check(session, rule)
    except FieldError as fault:
        raise CRMError(f"{rule.name} cannot be switched on: {fault.message} Edit it first.") from fault


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


@bp.get("/rules/log")
@access("everyone")
def log() -> str:
    """What all rules did, the newest first; `show` acted, failed or cut: only those."""
    session, show = db.session(), request.args.get("show", "")
    show = show if show in OUTCOMES else ""
    runs, older = rules.last_runs(session, None, request.args.get("before", type=UUID), show, MOST_LOGGED)
    return render_template(
        "rules/log.html",
        runs=runs,
        mails=deliveries.of_runs(session, [run.id for run in runs]),
        older=url_for(".log", before=older, show=show or None) if older else "",
        show=show,
        may_write=rights.may(me(), "rules"),
    )


@bp.get("/rules/recipes")
@access("managers")
def recipes() -> str:
    """Rules to start from."""
    session, locale = db.session(), me().locale
    told = [
        (key, recipe, rule_words.sentence(session, recipe.definition, locale))
        for key, recipe in RECIPES.items()
    ]
    return render_template("rules/recipes.html", recipes=told)


@bp.post("/rules/<uuid:rule_id>/copying")
@access("managers")
def copy(rule_id: UUID) -> Answer:
    """Make another rule like this one, last in the order and switched off."""
    person, rule = me(), rules.load(db.session(), rule_id)

    def work(session: Session) -> UUID:
        rights.require(person, "rules")
        return ordering.copied(session, ordering.locked(session, rule_id))

    made = changes.commit(work, by=person)
    flash(f"This is a copy of {rule.name}, switched off. Change it, then switch it on.")
    return see_other(url_for(".show", rule_id=made))


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
