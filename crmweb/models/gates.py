"""What a stage asks of the person who brings a deal in, and how many deals it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from crmweb.errors import FieldError, MissingFieldsError, StageFullError
from crmweb.models.stage import CUSTOM, REQUIRABLE, Stage
from crmweb.models.user import User

if TYPE_CHECKING:
    from crmweb.models.deal import Deal

OVER = 1000
"""How many deals above its limit a full stage is told to hold, at most: counting stays cheap."""


class Asked(NamedTuple):
    """A person asks for the move, so the stage may ask back; without this, nothing but hard limits holds.

    `given`: values by field (of REQUIRABLE, or `custom_fields.<key>`; an owner by id) for what the deal lacks.
    `lets_in`: a manager lets the deal into a full stage.
    """

    given: Mapping[str, Any] = MappingProxyType({})
    lets_in: bool = False


def let_in(
    session: Session, deal: Deal, old: Stage, new: Stage, asked: Asked | None, lost_reason: str | None
) -> None:
    """Let a deal from `old` into `new`, with what the person gave for it.

    Raises StageFullError, MissingFieldsError with all that is missing, FieldError for a value that does not fit.
    """
    if asked is None or not asked.lets_in:
        refuse_full(session, deal, new, old.id)
    if asked is not None:
        _fill(session, deal, asked.given)
        refuse_missing(deal, new, lost_reason or (deal.lost_reason if old.status == new.status else None))


def refuse_full(
    session: Session, deal: Deal, stage: Stage, old_id: UUID | None = None, arriving: int = 0
) -> None:
    """StageFullError when the stage has a hard limit and no room for `deal`.

    `arriving`: how many go in with it that are not stored yet. Exact whoever else moves: the stage is locked until the
    transaction ends, with the stage that the deal leaves and in id order, as the totals will lock them.
    """
    if stage.max_deals is None or stage.limit_mode != "hard":
        return
    card, both = type(deal), {stage.id, old_id or stage.id}
    session.execute(select(Stage.id).where(Stage.id.in_(both)).order_by(Stage.id).with_for_update())
    inside = select(card.id).where(card.stage_id == stage.id, card.deleted_at.is_(None))
    counted = select(func.count()).select_from(inside.limit(stage.max_deals + OVER).subquery())
    held = arriving + (session.scalar(counted) or 0)
    if held >= stage.max_deals:
        raise StageFullError(stage.name, held, stage.max_deals)


def refuse_missing(deal: Deal, stage: Stage, lost_reason: str | None) -> None:
    """MissingFieldsError when a person brings the deal in without what the stage, or losing a deal, asks for."""
    missing = [name for name in stage.required_fields if _lacks(deal, name)]
    if stage.status == "closed_lost" and stage.pipeline.asks_lost_reason and not lost_reason:
        missing.append("lost_reason")
    if missing:
        words = {name: f"{stage.name} needs {called(name)}." for name in missing}
        raise MissingFieldsError(sentence(stage.name, missing), words)


def called(name: str) -> str:
    """What a stage asks for, in words: "a close date", "“contract_no”"."""
    return REQUIRABLE.get(name) or ("a reason" if name == "lost_reason" else f"“{name.removeprefix(CUSTOM)}”")


def sentence(stage: str, names: Iterable[str]) -> str:
    """What the stage of that name asks for, and why one should give it."""
    words = [called(name) for name in names]
    if words == [called("lost_reason")]:
        return "Why was this deal lost?"
    *first, last = words
    said = f"{', '.join(first)} and {last}" if first else last
    return f"{stage} needs {said}. Add {'them' if first else 'it'} and the deal moves."


def _lacks(deal: Deal, name: str) -> bool:
    if name.startswith(CUSTOM):
        return (deal.custom_fields or {}).get(name.removeprefix(CUSTOM)) in (None, "")
    known = {
        "amount": deal.amount,
        "expected_close_date": deal.expected_close_date,
        "assigned_to": deal.assigned_to_id,
    }
    return known[name] is None


def _fill(session: Session, deal: Deal, given: Mapping[str, Any]) -> None:
    """Take what the person gave for what is empty; what somebody else wrote meanwhile stays."""
    for name, value in given.items():
        if value is None or not _lacks(deal, name):
            continue
        if name.startswith(CUSTOM):
            deal.custom_fields = {**(deal.custom_fields or {}), name.removeprefix(CUSTOM): value}
        elif name == "assigned_to":
            deal.assigned_to = _active(session, value)
        elif name == "amount":
            deal.amount = value
        else:
            deal.expected_close_date = value


def _active(session: Session, user_id: UUID) -> User:
    user = session.get(User, user_id)
    if user is None or not user.is_active:
        raise FieldError("assigned_to", "This person cannot have it. Choose somebody else.")
    return user
