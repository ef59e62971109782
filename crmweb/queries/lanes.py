"""The SQL of a board's lanes: sums under a chosen, and the first cards of several stages in one statement."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Select, func, or_, select, tuple_, union_all
from sqlalchemy.orm import Session

from crmweb.models import Deal, Entity, StageTotal
from crmweb.queries import attention
from crmweb.queries.attention import Dates
from crmweb.queries.cards import select_cards

if TYPE_CHECKING:
    from collections.abc import Iterable

Q = TypeVar("Q", bound=Select[*tuple[Any, ...]])
Sums = dict[str, tuple[int, Decimal]]
"""Currency → number of deals and their money."""


class Filter(NamedTuple):
    """What narrows a board. `owner_id`: the viewer's own deals only; `dates`: the day that the last three go by."""

    text: str = ""
    mine: bool = False
    owner_id: UUID | None = None
    rotting: bool = False
    overdue: bool = False
    no_step: bool = False
    dates: Dates | None = None

    @property
    def is_set(self) -> bool:
        return self.address() != {}

    @property
    def is_counted(self) -> bool:
        """Whether deals must be looked at to count what passes; the kept totals do not know."""
        return bool(self.text or self.wants_attention)

    @property
    def wants_attention(self) -> bool:
        """Whether it depends on the day what passes."""
        return self.rotting or self.overdue or self.no_step

    def address(self, **other: bool) -> dict[str, Any]:
        """What it is in a query string, with `other` marks on or off."""
        marks = {name: getattr(self, name) for name in MARKS} | other
        text = {"q": self.text} if self.text else {}
        return text | {name: 1 for name, is_on in marks.items() if is_on}


MARKS = ("mine", "rotting", "overdue", "no_step")
"""The marks of a filter that are on or off."""


NO_FILTER = Filter()


def sums(
    session: Session, stage_ids: list[UUID], chosen: Filter, viewer_id: UUID | None
) -> tuple[dict[UUID, Sums], dict[UUID, int], dict[UUID, int]]:
    """Per stage: currency → count and money, under the filter; without it how many are the viewer's, and all in all."""
    mine: dict[UUID, int] = defaultdict(int)
    held: dict[UUID, int] = defaultdict(int)
    found: dict[UUID, Sums] = defaultdict(dict)

    def add(stage_id: UUID, currency: str, count: int, amount: Decimal) -> None:
        had = found[stage_id].get(currency, (0, Decimal(0)))
        found[stage_id][currency] = (had[0] + count, had[1] + (amount or Decimal(0)))

    totals = select(StageTotal).where(StageTotal.stage_id.in_(stage_ids), StageTotal.deal_count > 0)
    for row in session.execute(totals.with_only_columns(*StageTotal.__table__.columns)):
        held[row.stage_id] += row.deal_count
        if row.owner_id == viewer_id:
            mine[row.stage_id] += row.deal_count
        if not chosen.is_counted and (not chosen.mine or row.owner_id == chosen.owner_id):
            add(row.stage_id, row.currency, row.deal_count, row.amount_sum)
    if chosen.is_counted:
        # What rots is found stage by stage, each having its own limit; a name is looked for in all at once.
        parts = [[stage_id] for stage_id in stage_ids] if chosen.rotting else [stage_ids]
        for row in (
            session.execute(union_all(*(_summed(part, chosen) for part in parts if part)))
            if stage_ids
            else ()
        ):
            add(row.stage_id, row.currency, row.deals, row.amount)
    return found, mine, held


def first(session: Session, numbers: Iterable[tuple[UUID, int]], chosen: Filter) -> list[Any]:
    """The first cards of several stages, so many of each, in one statement."""
    return list(session.execute(_first(tuple(numbers), chosen)))


def further(
    session: Session, stage_id: UUID, number: int, chosen: Filter, behind: tuple[int, UUID]
) -> list[Any]:
    """A stage's next cards, `behind` a card's position and id."""
    rest = tuple_(Deal.position, Deal.id) > tuple_(*behind)
    return list(session.execute(_cards([_keys(stage_id, chosen, number).where(rest)])))


@lru_cache(maxsize=64)  # to build it takes longer than to run it, and a board is looked at again and again
def _first(numbers: tuple[tuple[UUID, int], ...], chosen: Filter) -> Select[*tuple[Any, ...]]:
    return _cards([_keys(stage_id, chosen, number) for stage_id, number in numbers])


def _summed(stage_ids: list[UUID], chosen: Filter) -> Select[*tuple[Any, ...]]:
    """Number and money of the deals of these stages that pass, by stage and currency."""
    columns = Deal.stage_id, Deal.currency, func.count().label("deals"), func.sum(Deal.amount).label("amount")
    query = select(*columns).where(Deal.stage_id.in_(stage_ids), Deal.deleted_at.is_(None))
    return _passing(query, chosen, stage_ids).group_by(Deal.stage_id, Deal.currency)


def _keys(stage_id: UUID, chosen: Filter, number: int) -> Select[Any]:
    """The ids of a stage's first cards. Ids alone, so that names are looked up for the shown ones only."""
    lane = select(Deal.id.label("deal_id")).where(Deal.stage_id == stage_id, Deal.deleted_at.is_(None))
    # Few deals rot or are late: a computed order keeps databases from walking a whole lane in search of them.
    position = Deal.position + 0 if chosen.rotting or chosen.overdue else Deal.position
    return _passing(lane, chosen, [stage_id]).order_by(position, Deal.id).limit(number)


def _cards(lanes: list[Select[Any]]) -> Select[*tuple[Any, ...]]:
    """The rows of all `lanes`' cards, in each lane's order."""
    parts = [select(lane.subquery().c.deal_id) for lane in lanes]
    return select_cards((union_all(*parts) if len(parts) > 1 else parts[0]).subquery())


def _passing(deals: Q, chosen: Filter, stage_ids: list[UUID]) -> Q:
    """Those of the `deals`, all of these stages, that pass the filter."""
    on = chosen.dates
    if chosen.mine:
        deals = deals.where(Deal.assigned_to_id == chosen.owner_id)
    if on and chosen.rotting:
        deals = deals.where(attention.is_rotting(on, stage_ids))
    if on and chosen.overdue:
        deals = deals.where(attention.is_overdue(on))
    if on and chosen.no_step:
        deals = deals.where(attention.has_no_step())
    if chosen.text:
        deals = deals.join(Entity, Entity.id == Deal.entity_id)
    for word in chosen.text.casefold().split():
        named = (key.contains(word, autoescape=True) for key in (Deal.name_key, Entity.name_key))
        deals = deals.where(or_(*named))
    return deals
