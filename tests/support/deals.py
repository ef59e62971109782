"""Moves deals as the product does, and tells what became of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, Change, Deal, Stage, StageChange, StageTotal, User
from crmweb.models.deal import Move
from crmweb.models.stage import NOBODY


def move(deal: Deal, stage: Stage | UUID | str, *, by: User | None = None, **how: Any) -> Move:
    """Move `deal` in one change of `by`, on a locked deal, as every view does; `how` is what `move_to` takes."""
    deal_id, stage_id = deal.id, stage.id if isinstance(stage, Stage) else stage

    def work(session: Session) -> Move:
        return Deal.locked(session, deal_id).move_to(stage_id, by=by, **how)

    moved = changes.commit(work, by=by)
    assert moved is not None
    return moved


def edit(deal: Deal, *, by: User | None = None, **fields: Any) -> None:
    """Change fields of `deal` in one change of `by`."""
    deal_id = deal.id

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal_id)
        for name, value in fields.items():
            setattr(locked, name, value)

    changes.commit(work, by=by)


def column(stage: Stage) -> list[str]:
    """The names of the stage's deals from top to bottom."""
    order = select(Deal.name).where(Deal.stage_id == stage.id, Deal.deleted_at.is_(None))
    return list(db.session.scalars(order.order_by(Deal.position, Deal.id)))


def steps(deal: Deal) -> list[StageChange]:
    """The deal's way through its stages, from its creation on."""
    order = select(StageChange).where(StageChange.deal_id == deal.id)
    return list(db.session.scalars(order.order_by(StageChange.deal_version, StageChange.step)))


def path(deal: Deal) -> list[str]:
    """The names of the stages that the deal has been in, in order."""
    names = dict(db.session.execute(select(Stage.id, Stage.name)).all())
    return [names[step.to_stage_id] for step in steps(deal)]


def audit_notes(deal: Deal) -> list[Activity]:
    """The notes that moves wrote, oldest first."""
    notes = select(Activity).where(Activity.deal_id == deal.id, Activity.kind == "audit")
    return list(db.session.scalars(notes.order_by(Activity.created_at, Activity.id)))


def history(deal: Deal) -> list[tuple[str, Any, Any]]:
    """The deal's own Changes: field, old, new."""
    found = select(Change).where(Change.record_id == deal.id).order_by(Change.change_set_id, Change.sequence)
    return [(change.field, change.old, change.new) for change in db.session.scalars(found)]


def totals(stage: Stage) -> dict[tuple[str, str], tuple[int, int]]:
    """Owner's name and currency → count and whole units of money, without the empty ones."""
    names: dict[UUID, str] = {NOBODY: "", **dict(db.session.execute(select(User.id, User.name)).all())}
    rows = db.session.scalars(
        select(StageTotal).where(StageTotal.stage_id == stage.id).execution_options(populate_existing=True)
    )
    return {
        (names[row.owner_id], row.currency): (row.deal_count, int(row.amount_sum))
        for row in rows
        if row.deal_count or row.amount_sum
    }


def fresh(deal: Deal) -> Deal:
    """The deal as the database has it now."""
    return db.session.get_one(Deal, deal.id, populate_existing=True)
