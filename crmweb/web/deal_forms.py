"""A deal's forms: a new one, changes, deletion."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from babel.numbers import get_currency_name
from flask import g, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from crmweb import changes, config, rights
from crmweb.errors import CRMError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.forms.deals import DealForm
from crmweb.forms.fields import offer, plain
from crmweb.models import Deal
from crmweb.models.currency import CURRENCIES
from crmweb.queries import deal_list, deals, entities, people, pipelines
from crmweb.queries.deals import DealDetail
from crmweb.queries.pipelines import PipelineRow
from crmweb.web.access import Person, access, me
from crmweb.web.conflicts import told
from crmweb.web.deals import bp, panel
from crmweb.web.htmx import is_htmx, see_other
from crmweb.web.outcome import flash_with_undo, saved

NOBODY = (None, "Nobody yet")


@bp.route("/deals/new", methods=["GET", "POST"])
@access("everyone")
def new() -> Response | str | tuple[str, int]:
    """Add a deal, in the stage of `stage_id`, else in the first one of `pipeline_id` or of the board seen last."""
    person = me()
    offered = pipelines.offered(db.session())
    if not offered:
        raise CRMError("There is no pipeline that takes deals. A manager can add one under Pipelines.")
    form = _new_form(person, offered)
    if request.method == "GET":
        return _new_page(form, offered)

    def work(session: Session) -> tuple[UUID, UUID]:
        deal = form.add(session, person)
        return deal.id, deal.stage.pipeline_id

    if not form.save(work, by=person):
        return _new_page(form, offered), form.http_status
    deal_id, pipeline_id = form.result
    return saved(form, url_for("board.show", pipeline_id=pipeline_id, _anchor=f"deal-{deal_id}"))


@bp.route("/deals/<uuid:deal_id>/edit", methods=["GET", "POST"])
@access("everyone")
def edit(deal_id: UUID) -> Response | str | tuple[str, int]:
    """Change a deal's fields, on a page or in its panel. What somebody else changed is never overwritten unasked."""
    person, deal = me(), deals.load(db.session(), deal_id)
    if not rights.may_edit_deal(person, deal.owner_id):
        raise PermissionDeniedError("Only the owner or a manager can change this deal.")
    form = _edit_form(person, deal)
    if request.method == "GET":
        return _edit_page(form, deal, person)

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal_id)
        rights.require_edit_deal(person, locked)
        form.write(session, locked, person)

    if not form.save(work, by=person):
        return _edit_page(form, deals.load(db.session(), deal_id), person), form.http_status
    if is_htmx():
        return render_template(
            "deals/_edited_panel.html", heading="h2", failures=form.failures, **panel(deal_id, person)
        )
    return saved(form, url_for("deals.show", deal_id=deal_id))


@bp.route("/deals/<uuid:deal_id>/deletion", methods=["GET", "POST"])
@access("everyone")
def delete(deal_id: UUID) -> Response | str:
    """Ask, then delete the deal."""
    person, deal = me(), deals.load(db.session(), deal_id)
    rights.require_delete_deal(person, deal.owner_id)
    if request.method == "GET":
        return render_template("deals/delete.html", deal=deal)

    def work(session: Session) -> UUID:
        locked = Deal.locked(session, deal_id)
        rights.require_delete_deal(person, locked.assigned_to_id)
        locked.delete(person)
        return changes.begin(session).id

    flash_with_undo(f"“{deal.name}” is deleted.", changes.commit(work, by=person))
    return see_other(url_for("board.show", pipeline_id=deal.pipeline_id))


def _new_form(person: Person, offered: list[PipelineRow]) -> DealForm:
    session, asked = db.session(), request.args
    stage_id = _first_stage(offered, asked.get("stage_id", type=UUID), asked.get("pipeline_id", type=UUID))
    values: dict[str, Any] = {"stage_id": stage_id, "currency": config.settings.default_currency}
    if entity_id := asked.get("entity_id", type=UUID):
        entity = entities.load(session, entity_id)
        values |= {"entity_id": entity.id, "entity_name": entity.name, "entity_for": entity.name}
    sent = request.form if request.method == "POST" else None
    form = DealForm(sent, locale=person.locale, assigned_to_id=person.id, **values)
    owners = (
        people.choices(session)
        if rights.may_own_new_deal(person, UUID(int=0))
        else [(person.id, person.name)]
    )
    _offer(form, session, owners, offered)
    return form


def _edit_form(person: Person, deal: DealDetail) -> DealForm:
    session = db.session()
    form = DealForm(
        request.form if request.method == "POST" else None, locale=person.locale,
        name=deal.name, amount=deal.amount, currency=deal.currency, stage_id=deal.stage_id,
        entity_id=deal.entity_id, entity_name=deal.entity_name, entity_for=deal.entity_name,
        assigned_to_id=deal.owner_id, expected_close_date=deal.expected_close_date, lost_reason=deal.lost_reason,
    )  # fmt: skip
    _offer(form, session, people.choices(session, deal.owner_id), [pipelines.load(session, deal.pipeline_id)])
    return form


def _offer(
    form: DealForm, session: Session, owners: list[tuple[UUID, str]], offered: list[PipelineRow]
) -> None:
    form.assigned_to_id.choices = offer([NOBODY, *owners])
    form.stage_id.choices = [
        choice
        for pipeline in offered
        for choice in offer(
            [(stage.id, stage.name) for stage in pipeline.stages], pipeline.name if len(offered) > 1 else None
        )
    ]
    used = dict.fromkeys(
        [form.currency.data, config.settings.default_currency, *deal_list.currencies(session)]
    )
    known = [code for code in used if code in CURRENCIES]
    form.currency.choices = [
        *offer([(code, _currency(code)) for code in known], "In use"),
        *offer([(code, _currency(code)) for code in sorted(CURRENCIES - set(known))], "All others"),
    ]


def _currency(code: str) -> str:
    return f"{code}, {get_currency_name(code, locale='en')}"


def _first_stage(offered: list[PipelineRow], stage_id: UUID | None, pipeline_id: UUID | None) -> UUID:
    """The stage asked for; else the first of the pipeline asked for, of the board seen last, of the first pipeline."""
    stages = {stage.id for pipeline in offered for stage in pipeline.stages}
    if stage_id is not None and stage_id in stages:
        return stage_id
    by_id: dict[UUID | None, PipelineRow] = {pipeline.id: pipeline for pipeline in offered}
    pipeline = by_id.get(pipeline_id) or by_id.get(g.board_id) or offered[0]
    return pipeline.stages[0].id


def _new_page(form: DealForm, offered: list[PipelineRow]) -> str:
    pipeline, stage = next(
        (
            (pipeline, stage)
            for pipeline in offered
            for stage in pipeline.stages
            if stage.id == form.stage_id.data
        ),
        (offered[0], None),
    )
    return render_template(
        "deals/new.html", form=form, matches=_matches(form), stage_name=stage.name if stage else "", disputes={},
        is_lost=stage is not None and stage.status == "closed_lost",
        cancel_url=url_for("board.show", pipeline_id=pipeline.id),
    )  # fmt: skip


def _edit_page(form: DealForm, deal: DealDetail, person: Person) -> str:
    """The form over the deal as it is now."""
    if form.conflicts and plain(form.entity_id.data) == plain(deal.entity_id):
        form.entity_name.process(None, deal.entity_name)
    whose = (deal.entity_name, form.entity_name.data)
    return render_template(
        "deals/_panel_edit.html" if is_htmx() else "deals/edit.html",
        deal=deal, form=form, matches=_matches(form),
        is_lost=deal.status == "closed_lost" or bool(form.lost_reason.errors),
        disputes=told(form, deal.id, person, entity_id=whose), cancel_url=url_for("deals.show", deal_id=deal.id),
    )  # fmt: skip


def _matches(form: DealForm) -> list[entities.Match]:
    """Whom the name in the form may mean; before it was touched, whom it means."""
    name = (form.entity_name.data or "")[:200] if form.entity_name.raw_data else ""
    return entities.matches(db.session(), name, form.chosen_id) if name or form.chosen_id else []
