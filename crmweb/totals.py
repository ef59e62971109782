"""The last statements before COMMIT: next steps, totals, stage and board versions; in id order, so none deadlock."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Boolean, Connection, String, and_, bindparam, inspect, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb import next_steps
from crmweb.errors import InvalidStageTransitionError
from crmweb.models import Deal, Entity, Pipeline, Record, Stage, StageTotal, User
from crmweb.models.snapshot import changed_columns
from crmweb.models.stage import NOBODY


class Share(NamedTuple):
    """What a deal adds to its stage's totals."""

    stage_id: UUID
    owner_id: UUID
    currency: str
    amount: Decimal


class Effects:
    """Which totals and boards a change set touches; filled at each flush, written once at the end."""

    def __init__(self) -> None:
        self.first: dict[UUID, Share | None] = {}
        self.deals: dict[UUID, Deal] = {}
        self.stages: set[UUID] = set()
        self.taking: dict[UUID, str] = {}
        self.pipelines: set[UUID] = set()
        self.renamed: list[Record] = []
        self.stepping: set[UUID] = set()

    def look(self, session: Session) -> None:
        """Note what the coming flush changes on boards. Runs after the ledger noted it."""
        for record in [*session.new, *(record for record in session.dirty if session.is_modified(record))]:
            if isinstance(record, Deal):
                if record.id not in self.first:
                    self.first[record.id] = None if record in session.new else _stored_share(record)
                self.deals[record.id] = record
            elif isinstance(record, Stage):
                self.stages.add(record.id)
                self.pipelines.add(record.pipeline_id)
            elif isinstance(record, Pipeline):
                self.pipelines.add(record.id)
            elif isinstance(record, Entity | User) and _is_renamed(session, record):
                self.renamed.append(record)
            self.stepping |= next_steps.deals_of(record)

    def write(self, session: Session) -> None:
        """Apply all of it."""
        changes: dict[tuple[UUID, UUID, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
        for deal_id, deal in self.deals.items():
            before, after = self.first[deal_id], share(deal)
            for part, sign in ((before, -1), (after, 1)):
                if part is not None:
                    self.stages.add(part.stage_id)
                    if sign > 0 and (before is None or before.stage_id != part.stage_id):
                        self.taking[part.stage_id] = deal.status
                    if before != after:
                        total = changes[part.stage_id, part.owner_id, part.currency]
                        total[0] += sign
                        total[1] += sign * part.amount
        for record in self.renamed:
            owned = Deal.entity_id if isinstance(record, Entity) else Deal.assigned_to_id
            self.stages.update(session.scalars(select(Deal.stage_id).where(owned == record.id).distinct()))
        self.stages |= next_steps.keep(session, self.stepping)
        add(session, {key: total for key, total in changes.items() if total[0] or total[1]})
        self._raise_versions(session)

    def _raise_versions(self, session: Session) -> None:
        connection = session.connection()
        if self.stages:
            self._raise_stages(connection)
            missing = self.stages - {stage.id for stage in _held(session, Stage, self.stages)}
            self.pipelines.update(stage.pipeline_id for stage in _held(session, Stage, self.stages))
            if missing:
                self.pipelines.update(
                    session.scalars(select(Stage.pipeline_id).where(Stage.id.in_(missing)).distinct())
                )
        if self.pipelines:
            taking = {stage.pipeline_id for stage in _held(session, Stage, set(self.taking))}
            self._raise_boards(connection, taking)
        for stage in _held(session, Stage, self.stages):
            session.expire(stage, ["version"])
        for pipeline in _held(session, Pipeline, self.pipelines):
            session.expire(pipeline, ["board_version"])

    def _raise_stages(self, connection: Connection) -> None:
        """Raise the versions; a stage that takes deals must still be what it was when they were let in."""
        stage: Any = Stage.__table__
        taking = bindparam("taking", type_=String)
        fits = or_(taking.is_(None), and_(~stage.c.is_archived, stage.c.status == taking))
        raised = (
            stage.update().where(stage.c.id == bindparam("stage"), fits).values(version=stage.c.version + 1)
        )
        rows = [{"stage": id_, "taking": self.taking.get(id_)} for id_ in sorted(self.stages)]
        if connection.execute(raised, rows).rowcount < len(rows):
            raise InvalidStageTransitionError(
                "This stage was changed at the same moment and takes no deals. Load the board again."
            )

    def _raise_boards(self, connection: Connection, taking: set[UUID]) -> None:
        """Raise the versions; a pipeline that takes deals must still be active."""
        pipeline: Any = Pipeline.__table__
        fits = or_(pipeline.c.is_active, ~bindparam("taking", type_=Boolean))
        raised = pipeline.update().where(pipeline.c.id == bindparam("pipeline"), fits)
        rows = [{"pipeline": id_, "taking": id_ in taking} for id_ in sorted(self.pipelines)]
        result = connection.execute(raised.values(board_version=pipeline.c.board_version + 1), rows)
        if result.rowcount < len(rows):
            raise InvalidStageTransitionError(
                "This pipeline was archived at the same moment and takes no deals."
            )


def share(deal: Deal) -> Share | None:
    """What the deal counts for now; None when it is deleted."""
    if deal.deleted_at is not None:
        return None
    return Share(deal.stage_id, deal.assigned_to_id or NOBODY, deal.currency, deal.amount or Decimal(0))


def _stored_share(deal: Deal) -> Share | None:
    """What the deal counted for before the coming flush."""
    state = inspect(deal)

    def stored(name: str) -> Any:
        history = state.attrs[name].load_history()
        return history.deleted[0] if history.deleted else getattr(deal, name)

    if stored("deleted_at") is not None:
        return None
    amount = stored("amount") or Decimal(0)
    return Share(stored("stage_id"), stored("assigned_to_id") or NOBODY, stored("currency"), amount)


def add(session: Session, totals: dict[tuple[UUID, UUID, str], list[Any]]) -> None:
    """Add (count, amount) to the totals of (stage, owner, currency); either may be below zero."""
    if not totals:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    rows = [
        {
            "stage_id": stage,
            "owner_id": owner,
            "currency": currency,
            "deal_count": count,
            "amount_sum": amount,
        }
        for (stage, owner, currency), (count, amount) in sorted(totals.items())
    ]
    new = dialect.insert(StageTotal).values(rows)
    session.connection().execute(
        new.on_conflict_do_update(
            index_elements=["stage_id", "owner_id", "currency"],
            set_={
                "deal_count": StageTotal.deal_count + new.excluded.deal_count,
                "amount_sum": StageTotal.amount_sum + new.excluded.amount_sum,
            },
        )
    )


def _held(session: Session, model: Any, ids: set[UUID]) -> list[Any]:
    """Those of `ids` that the session holds, without asking the database."""
    keys = [(model, (record,), None) for record in ids]
    return [session.identity_map[key] for key in keys if key in session.identity_map]


def _is_renamed(session: Session, record: Entity | User) -> bool:
    # A new record is on no board yet, and asking what it was before would be a statement for each of its fields.
    return record not in session.new and "name" in changed_columns(session, record)
