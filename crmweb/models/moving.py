"""The steps of a move that ask or tell the database: keys, conflicts, refusals, the audit note, the stage history."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.errors import ConflictError, FieldError, InvalidStageTransitionError
from crmweb.models.activity import AUDIT, Activity
from crmweb.models.base import text
from crmweb.models.history import MoveKey, StageChange
from crmweb.models.placing import card_below
from crmweb.models.stage import Stage
from crmweb.models.user import Author, User

if TYPE_CHECKING:
    from crmweb.models.deal import Deal

LONGEST_KEY = 64


class Seen(NamedTuple):
    """What the person saw who asks for a move: the deal's stage, and its version if known."""

    stage_id: UUID
    version: int | None = None


class Elsewhere(NamedTuple):
    """A stage that may be in another pipeline. A board's deals move within theirs; to leave it is an act of its own."""

    id: UUID


class Move(NamedTuple):
    """What became of a request to move. `kind`: moved, placed (same stage), repeated (same key, nothing done)."""

    kind: str
    old_stage_id: UUID
    new_stage_id: UUID


def is_repeated(session: Session, deal: Deal, key: str, stage_id: UUID) -> bool:
    """Whether a move with this key was accepted before; if not, it is written down now.

    FieldError when the key does not fit or was used for another stage.
    """
    key = str(text("idempotency_key", key, most=LONGEST_KEY, label="The key"))
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    taken = dialect.insert(MoveKey).values(deal_id=deal.id, key=key, stage_id=stage_id, at=clock.now())
    if session.connection().execute(taken.on_conflict_do_nothing().returning(MoveKey.key)).first():
        return False
    known = select(MoveKey.stage_id).where(MoveKey.deal_id == deal.id, MoveKey.key == key)
    if session.scalar(known) != stage_id:
        raise FieldError(
            "idempotency_key", "This key was used for a move to another stage. Send a fresh one."
        )
    return True


def refuse_conflict(session: Session, deal: Deal, by: Author, seen_version: int | None) -> None:
    """ConflictError, unless all that moved the deal since was this person, or a rule after this person's move."""
    query = (
        select(StageChange.by_id, StageChange.by_label, StageChange.at, User.name)
        .outerjoin(User, User.id == StageChange.by_id)
        .where(StageChange.deal_id == deal.id, StageChange.from_stage_id.is_not(None))
        .order_by(StageChange.deal_version.desc(), StageChange.step.desc())
    )  # fmt: skip
    rows = session.execute(query.where(StageChange.deal_version > (seen_version or 0))).all()
    if seen_version is not None and rows and by.id is not None and all(row.by_id == by.id for row in rows):
        return
    last = rows[0] if rows else None
    who = (last.by_label or last.name) if last else None
    where = session.scalar(select(Stage.name).where(Stage.id == deal.stage_id)) or "another stage"
    if not last or not who:
        _conflict(
            f"This deal is in {where} by now. Your move was not made.", None, where, last.at if last else None
        )
    _conflict(f"{who} moved this deal to {where}. Your move was not made.", who, where, last.at)


def _conflict(message: str, who: str | None, where: str, at: object) -> NoReturn:
    raise ConflictError(message, who=who, where=where, at=at)  # type: ignore[arg-type]


def load_stages(session: Session, old_id: UUID, new_id: UUID) -> dict[UUID, Stage]:
    """The stage left and the one entered, with their pipelines, in one statement."""
    found = session.scalars(select(Stage).where(Stage.id.in_({old_id, new_id})))
    return {stage.id: stage for stage in found}


def refuse(new: Stage | None, old: Stage | None) -> Stage:
    """`new`; InvalidStageTransitionError when it takes no deals, or is not in the pipeline of `old` (None: any)."""
    if new is None:
        raise InvalidStageTransitionError("This stage is not there any more. Choose another one.")
    if old is not None and new.pipeline_id != old.pipeline_id:
        raise InvalidStageTransitionError(
            f"{new.name} belongs to the pipeline {new.pipeline.name}; this deal is in {old.pipeline.name}. "
            "A deal moves within its pipeline."
        )
    if not new.pipeline.is_active:
        raise InvalidStageTransitionError(f"The pipeline {new.pipeline.name} is archived and takes no deals.")
    if new.is_archived:
        raise InvalidStageTransitionError(f"The stage {new.name} is archived and takes no deals.")
    return new


def record(
    session: Session, deal: Deal, old: Stage, new: Stage, by: Author, note: str | None, moment: datetime
) -> None:
    """One audit note and one StageChange, both before anything that rules do. The deal is still in `old`."""
    label = None if by.id else by.name
    said = text("note", note, most=20_000, required=False)
    session.add(
        Activity(
            type="note", kind=AUDIT, deal=deal, created_at=moment, author_id=by.id, by_label=label,
            subject=f"Deal moved: {old.name} → {new.name}",
            description=said or f"Deal stage changed from {old.name} to {new.name}",
        )
    )  # fmt: skip
    session.add(
        StageChange(
            deal=deal, from_stage=old, to_stage=new, at=moment, by_id=by.id, by_label=label,
            below_id=card_below(deal),
            seconds_in_from=max(0, int((moment - deal.stage_entered_at).total_seconds())),
        )
    )  # fmt: skip


def record_arrival(session: Session, deal: Deal) -> None:
    """The first StageChange of a deal, without `from`."""
    session.add(StageChange(deal=deal, to_stage=deal.stage, at=deal.stage_entered_at))
