"""Where a card lies in its column: the arithmetic of positions.

Cards are ordered by `(position, id)`; positions are sparse integers and need not be unique. The top is one GAP above
the first card, a place between two cards is their midpoint, and a used-up gap spreads out the cards around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, bindparam, select, tuple_
from sqlalchemy.orm import Session, aliased

if TYPE_CHECKING:
    from crmweb.models.deal import Deal

GAP = 65_536
NEIGHBOURS = 64
END = 2**31
"""As a position it means the end, whatever the column's length."""

Bounds = tuple[int | None, int | None]


class Place(NamedTuple):
    """Where to lay a card: above `before`, below `after`, or as number `position` (1 = top). Nothing given: on top."""

    before: UUID | None = None
    after: UUID | None = None
    position: int | None = None


TOP = Place()


def position_at(session: Session, deal: Deal, stage_id: UUID, place: Place = TOP) -> int:
    """The position value that puts `deal` at `place` in the stage. A named card that is gone means the top."""
    above, below = _bounds(session, deal, stage_id, place)
    if above is not None and below is not None and below - above < 2:
        _spread(session, deal, stage_id, above)
        above, below = _bounds(session, deal, stage_id, place)
    if below is None:
        return 0 if above is None else above + GAP
    return below - GAP if above is None else (above + below) // 2


def card_below(deal: Deal) -> ScalarSelect[UUID]:
    """The card that lies directly below `deal` where it is now, as a subquery for the statement that keeps it."""
    card = type(deal)
    rest = _cards(deal, deal.stage_id).where(_spot(card) > tuple_(deal.position, deal.id))
    return _downwards(rest, card).with_only_columns(card.id).limit(1).scalar_subquery()


def _bounds(session: Session, deal: Deal, stage_id: UUID, place: Place) -> Bounds:
    """The positions of the cards between which `place` lies; None where there is none."""
    card, cards = type(deal), _cards(deal, stage_id)
    if place.before or place.after:
        anchor = aliased(card)
        beside = cards.join(anchor, anchor.id == (place.before or place.after)).where(
            anchor.stage_id == stage_id, anchor.deleted_at.is_(None), anchor.id != deal.id
        )
        if place.before:
            found = session.execute(_upwards(beside.where(_spot(card) <= _spot(anchor)), card).limit(2)).all()
            bounds = _position(found, 1), _position(found, 0)
        else:
            found = session.execute(
                _downwards(beside.where(_spot(card) >= _spot(anchor)), card).limit(2)
            ).all()
            bounds = _position(found, 0), _position(found, 1)
        if found:
            return bounds
    elif place.position is not None and place.position > 1:
        skipped = min(place.position, END) - 2
        found = session.execute(_downwards(cards, card).offset(skipped).limit(2)).all()
        if not found:
            found = session.execute(_upwards(cards, card).limit(1)).all()
        return _position(found, 0), _position(found, 1)
    return None, _position(session.execute(_downwards(cards, card).limit(1)).all(), 0)


def _spread(session: Session, deal: Deal, stage_id: UUID, around: int) -> None:
    """Give the cards around a used-up gap room, evenly, without passing the next ones."""
    card, cards, half = type(deal), _cards(deal, stage_id), NEIGHBOURS // 2
    while True:
        upper, lower = cards.where(card.position <= around), cards.where(card.position > around)
        above = list(session.execute(_upwards(upper, card).limit(half + 1)))
        below = list(session.execute(_downwards(lower, card).limit(half + 1)))
        # A card more than asked for stays where it is, and bounds the room; without one there is room without end.
        low = above.pop().position if len(above) > half else above[-1].position - GAP * (len(above) + 1)
        last = (below or above[:1])[-1].position
        high = below.pop().position if len(below) > half else last + GAP * (len(below) + 1)
        moved = [*reversed(above), *below]
        if high - low > 2 * (len(moved) + 1):
            break
        half *= 2
    step = (high - low) // (len(moved) + 1)
    spots = [{"card": row.id, "spot": low + step * number} for number, row in enumerate(moved, 1)]
    table: Any = card.__table__
    # The stage again: a card that leaves it at this very moment keeps the place that it has found.
    laid = table.update().where(table.c.id == bindparam("card"), table.c.stage_id == stage_id)
    session.execute(laid.values(position=bindparam("spot"), updated_at=table.c.updated_at), spots)
    for row in moved:
        if held := session.identity_map.get((card, (row.id,), None)):
            session.expire(held, ["position"])


def _cards(deal: Deal, stage_id: UUID) -> Select[Any]:
    """The other cards of the stage."""
    card = type(deal)
    cards: Any = select(card.id, card.position)
    return cards.where(card.stage_id == stage_id, card.deleted_at.is_(None), card.id != deal.id)  # type: ignore[no-any-return]


def _spot(card: Any) -> Any:
    return tuple_(card.position, card.id)


def _downwards(cards: Select[Any], card: Any) -> Select[Any]:
    return cards.order_by(card.position, card.id)


def _upwards(cards: Select[Any], card: Any) -> Select[Any]:
    return cards.order_by(card.position.desc(), card.id.desc())


def _position(rows: Any, index: int) -> int | None:
    return rows[index].position if index < len(rows) else None
