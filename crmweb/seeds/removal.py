"""Leaving the demo: a database that holds only the demo company becomes an empty one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from crmweb import changes, workflow
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.ledger import WHOLE
from crmweb.models import AppState, Base, Change, ChangeSet, Deal, Entity, Pipeline, User, WorkflowRule
from crmweb.seeds.pipelines import DEFAULT_NAME

MARK = "demo"
"""The key of every change set that the demo company's story wrote; what another one made is somebody's own."""
OWN: dict[Any, str] = {
    User: "person",
    Pipeline: "pipeline",
    Entity: "contact",
    Deal: "deal",
    WorkflowRule: "rule",
}
SHOWN = 5


def remove_demo(force: bool = False) -> str:
    """Empty a database that holds the demo company; answers what was done, in words.

    Raises CRMError when there is no demo company; and, without `force`, naming them, when there are records that it did
    not bring.
    """

    def work(session: Session) -> None:
        told = session.scalar(select(ChangeSet.id).where(ChangeSet.idempotency_key == MARK).limit(1))
        if told is None:
            raise CRMError("This database does not hold the demo company. Nothing was removed.")
        if not force and (others := others_of(session)):
            raise CRMError(
                f"Not from the demo company: {'; '.join(others)}. Nothing was removed. "
                "With --force they are removed too."
            )
        empty(session)

    changes.commit(work, cause="bookkeeping")
    db.session.expunge_all()
    return (
        "The demo company is gone; the database is empty. Next: make run, or flask --app crmweb user create."
    )


def others_of(session: Session) -> list[str]:
    """What the demo company did not bring, in words, one entry per kind of record."""
    found = []
    for model, words in OWN.items():
        made = select(Change.record_id).join(ChangeSet, ChangeSet.id == Change.change_set_id)
        by_demo = made.where(Change.record_id == model.id, Change.field == WHOLE, Change.old.is_(None))
        conditions: list[Any] = [~by_demo.where(ChangeSet.idempotency_key == MARK).exists()]
        if hasattr(model, "deleted_at"):
            conditions.append(model.deleted_at.is_(None))
        if model is Pipeline:
            conditions.append(Pipeline.name_key != DEFAULT_NAME.casefold())
        count = session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0
        if count:
            names = session.scalars(
                select(model.name).where(*conditions).order_by(model.name).limit(SHOWN)
            ).all()
            more = f" and {count - SHOWN} more" if count > SHOWN else ""
            found.append(f"{words} {', '.join(f'“{name}”' for name in names)}{more}")
    return found


def empty(session: Session) -> None:
    """Delete every row of every table, but for facts about the installation. Inside `changes.commit`."""
    kept = {AppState.__tablename__}
    for table in reversed(Base.metadata.sorted_tables):
        if table.name not in kept:
            session.connection().execute(delete(table))
    workflow.raise_rules_version(session)
