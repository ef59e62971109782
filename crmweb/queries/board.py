"""The board of a pipeline as plain rows: lanes with totals over all their deals, and the cards that are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, tuple_, union_all
from sqlalchemy.orm import Session

from crmweb.errors import FieldError, NotFoundError
from crmweb.models import Deal, Entity, Pipeline, Stage, StageTotal, User

FIRST, MORE, MOST = 25, 50, 1000
"""Cards of a lane at first, on each further page, and at the most in one answer."""


class Filter(NamedTuple):
    """What narrows a board. `owner_id`: the viewer's own deals only."""

    text: str = ""
    mine: bool = False
    owner_id: UUID | None = None

    @property
    def is_set(self) -> bool:
        return bool(self.text or self.mine)


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Money:
    """A sum in one currency, and what of it the stages' chances leave."""

    currency: str
    amount: Decimal
    weighted: Decimal


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card shows. Days count from `stage_entered_at` (UTC)."""

    id: UUID
    name: str
    entity_id: UUID
    entity_name: str
    amount: Decimal | None
    currency: str
    owner_id: UUID | None
    owner_name: str | None
    expected_close_date: date | None
    closed_date: datetime | None
    status: str
    lost_reason: str | None
    stage_entered_at: datetime
    version: int
    stage_id: UUID


@dataclass(frozen=True, slots=True)
class Column:
    """A lane. `count` and `totals` are over all its deals that pass the filter; `cards` are the `shown` first ones.

    `share` (0–100) is its money beside the richest lane's, `after` the cursor of the next page.
    """

    id: UUID
    name: str
    description: str | None
    color: str
    status: str
    probability: float
    version: int
    count: int
    totals: list[Money]
    share: int = 0
    cards: list[Card] = field(default_factory=list)
    shown: int = 0
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """A pipeline's lanes in order. `totals` and `open_count` are over its open stages, `mine_count` over the viewer's."""

    pipeline: Any
    columns: list[Column]
    totals: list[Money]
    open_count: int
    mine_count: int
    filter: Filter
    query: str = ""
    pipelines: list[tuple[UUID, str]] = field(default_factory=list)

    def column(self, stage_id: UUID) -> Column | None:
        """The lane of a stage, if it is on this board."""
        return next((column for column in self.columns if column.id == stage_id), None)


def load(
    session: Session, pipeline_id: UUID, filter: Filter = NO_FILTER, viewer_id: UUID | None = None, query: str = ""  # noqa: A002
) -> Board:  # fmt: skip
    """The board's heads without cards, under `filter`; `query` is the view's query string, kept with it.

    Two statements, whatever the number of deals. NotFoundError when there is no such pipeline.
    """
    rows = session.execute(
        select(Stage.id, Stage.name, Stage.description, Stage.color, Stage.status, Stage.probability, Stage.version,
               Pipeline.id.label("pipeline_id"), Pipeline.name.label("pipeline"), Pipeline.description.label("about"),
               Pipeline.is_active, Pipeline.board_version, Pipeline.lost_reasons)
        .join_from(Pipeline, Stage, and_(Stage.pipeline_id == Pipeline.id, Stage.is_archived.is_(False)), isouter=True)
        .where(Pipeline.id == pipeline_id)
        .order_by(Stage.order)
    ).all()  # fmt: skip
    if not rows:
        raise NotFoundError("This pipeline is not there any more.")
    stages = [row for row in rows if row.id is not None]
    sums, mine = _sums(session, [stage.id for stage in stages], filter, viewer_id)
    columns = _measured([_column(stage, sums[stage.id]) for stage in stages])
    is_open = [column for column in columns if column.status == "open"]
    return Board(
        PipelineHead(rows[0].pipeline_id, rows[0].pipeline, rows[0].about, rows[0].is_active, rows[0].board_version),
        columns, _added(is_open), sum(column.count for column in is_open),
        sum(mine[column.id] for column in is_open), filter, query,
    )  # fmt: skip


def fill(
    session: Session,
    board: Board,
    shown: Mapping[UUID, int] | None = None,
    only: Iterable[UUID] | None = None,
) -> Board:
    """The board with cards: `shown` per stage (FIRST where not named), of the stages in `only` (None: all).

    One statement, whatever the number of deals and stages.
    """
    wanted = {column.id for column in board.columns} if only is None else set(only)
    numbers = {column.id: _number(shown, column.id) for column in board.columns if column.id in wanted}
    asked = [column for column in board.columns if column.id in numbers and column.count]
    if not asked:
        return board
    by_stage: dict[UUID, list[Any]] = defaultdict(list)
    for row in _rows(session, [_lane(column.id, board.filter, numbers[column.id] + 1) for column in asked]):
        by_stage[row.stage_id].append(row)
    filled = [
        _filled(column, by_stage[column.id], numbers[column.id]) if column.id in numbers else column
        for column in board.columns
    ]
    return replace(board, columns=filled)


class PipelineHead(NamedTuple):
    """What a board shows of its pipeline."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    board_version: int


def choices(session: Session) -> list[tuple[UUID, str]]:
    """The active pipelines in order: id and name."""
    query = select(Pipeline.id, Pipeline.name).where(Pipeline.is_active).order_by(Pipeline.order, Pipeline.id)
    return [(row.id, row.name) for row in session.execute(query)]


def version(session: Session, pipeline_id: UUID) -> int:
    """The board's version. NotFoundError when there is no such pipeline."""
    found = session.scalar(select(Pipeline.board_version).where(Pipeline.id == pipeline_id))
    if found is None:
        raise NotFoundError("This pipeline is not there any more.")
    return found


def more(session: Session, board: Board, stage_id: UUID, after: str) -> Column:
    """The lane with the next MORE cards behind the cursor `after`. FieldError when the cursor is none."""
    column = board.column(stage_id)
    if column is None:
        raise NotFoundError("This stage is not on this board any more.")
    number, position, card = _cursor(after)
    spot = tuple_(Deal.position, Deal.id) > tuple_(position, card)
    return _filled(
        column, _rows(session, [_lane(stage_id, board.filter, MORE + 1).where(spot)]), MORE, number
    )


def _number(shown: Mapping[UUID, int] | None, stage_id: UUID) -> int:
    return max(1, min((shown or {}).get(stage_id, FIRST), MOST))


Sums = dict[str, tuple[int, Decimal]]


def _sums(
    session: Session, stage_ids: list[UUID], filter: Filter, viewer_id: UUID | None  # noqa: A002
) -> tuple[dict[UUID, Sums], dict[UUID, int]]:  # fmt: skip
    """Per stage: currency → count and money, under the filter; and how many deals are the viewer's without it."""
    mine: dict[UUID, int] = defaultdict(int)
    sums: dict[UUID, Sums] = defaultdict(dict)

    def add(stage_id: UUID, currency: str, count: int, amount: Decimal) -> None:
        had = sums[stage_id].get(currency, (0, Decimal(0)))
        sums[stage_id][currency] = (had[0] + count, had[1] + (amount or Decimal(0)))

    totals = select(StageTotal).where(StageTotal.stage_id.in_(stage_ids), StageTotal.deal_count > 0)
    for row in session.execute(totals.with_only_columns(*StageTotal.__table__.columns)):
        if row.owner_id == viewer_id:
            mine[row.stage_id] += row.deal_count
        if not filter.text and (not filter.mine or row.owner_id == filter.owner_id):
            add(row.stage_id, row.currency, row.deal_count, row.amount_sum)
    if filter.text:
        query = select(
            Deal.stage_id, Deal.currency, func.count().label("count"), func.sum(Deal.amount).label("amount")
        )
        query = query.join(Entity, Entity.id == Deal.entity_id).where(
            Deal.stage_id.in_(stage_ids), Deal.deleted_at.is_(None), _passes(filter)
        )
        for row in session.execute(query.group_by(Deal.stage_id, Deal.currency)):
            add(row.stage_id, row.currency, row.count, row.amount)
    return sums, mine


def _column(stage: Any, sums: Sums) -> Column:
    chance = Decimal(str(stage.probability)) / 100
    totals = [Money(currency, amount, amount * chance) for currency, (_, amount) in sums.items() if amount]
    return Column(
        stage.id, stage.name, stage.description, stage.color, stage.status, stage.probability, stage.version,
        sum(count for count, _ in sums.values()), totals,
    )  # fmt: skip


def _measured(columns: list[Column]) -> list[Column]:
    """The columns with their totals in one order, the currency of most lanes first, and their shares of the richest."""
    seen: dict[str, tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
    for column in columns:
        for money in column.totals:
            seen[money.currency] = (seen[money.currency][0] + 1, seen[money.currency][1] + money.amount)
    order = sorted(seen, key=lambda currency: (-seen[currency][0], -seen[currency][1], currency))
    main = order[0] if order else None
    richest = max(
        (money.amount for column in columns for money in column.totals if money.currency == main), default=0
    )
    measured = []
    for column in columns:
        own = next((money.amount for money in column.totals if money.currency == main), Decimal(0))
        share = round(100 * own / richest) if richest else 0
        totals = sorted(column.totals, key=lambda money: order.index(money.currency))
        measured.append(replace(column, totals=totals, share=share))
    return measured


def _added(columns: list[Column]) -> list[Money]:
    added: dict[str, Money] = {}
    for column in columns:
        for money in column.totals:
            had = added.get(money.currency, Money(money.currency, Decimal(0), Decimal(0)))
            added[money.currency] = Money(
                money.currency, had.amount + money.amount, had.weighted + money.weighted
            )
    return sorted(added.values(), key=lambda money: -money.amount)


def _lane(stage_id: UUID, filter: Filter, limit: int) -> Select[Any]:  # noqa: A002
    """The keys of a stage's first cards. Only keys, so that the names are looked up for the shown ones alone."""
    lane = select(Deal.id.label("deal_id")).where(Deal.stage_id == stage_id, Deal.deleted_at.is_(None))
    if filter.mine:
        lane = lane.where(Deal.assigned_to_id == filter.owner_id)
    if filter.text:
        lane = lane.join(Entity, Entity.id == Deal.entity_id).where(_passes(filter))
    return lane.order_by(Deal.position, Deal.id).limit(limit)


def _rows(session: Session, lanes: list[Select[Any]]) -> list[Any]:
    """The cards of all `lanes` in one statement, in the lanes' order."""
    parts = [select(lane.subquery().c.deal_id) for lane in lanes]
    keys = (union_all(*parts) if len(parts) > 1 else parts[0]).subquery()
    query = (
        select(
            Deal.id, Deal.name, Deal.entity_id, Entity.name.label("entity_name"), Deal.amount, Deal.currency,
            Deal.assigned_to_id, User.name.label("owner_name"), Deal.expected_close_date, Deal.closed_date, Deal.status,
            Deal.lost_reason, Deal.stage_entered_at, Deal.version, Deal.stage_id, Deal.position,
        )
        .join_from(keys, Deal, Deal.id == keys.c.deal_id)
        .join(Entity, Entity.id == Deal.entity_id)
        .outerjoin(User, User.id == Deal.assigned_to_id)
        .order_by(Deal.stage_id, Deal.position, Deal.id)
    )  # fmt: skip
    return list(session.execute(query))


def _filled(column: Column, rows: list[Any], number: int, before: int = 0) -> Column:
    shown = rows[:number]
    cards = [Card(*row[:15]) for row in shown]
    seen = before + len(cards)
    after = f"{seen}.{shown[-1].position}.{shown[-1].id}" if len(rows) > number else None
    return replace(column, cards=cards, shown=seen, after=after)


def _cursor(after: str) -> tuple[int, int, UUID]:
    try:
        number, position, card = after.split(".")
        return int(number), int(position), UUID(card)
    except ValueError as wrong:
        raise FieldError("after", "This page of cards is not there. Open the board again.") from wrong


def _passes(filter: Filter) -> ColumnElement[bool]:  # noqa: A002
    """The filter's conditions on Deal joined with Entity."""
    conditions: list[ColumnElement[bool]] = [true()]
    if filter.mine:
        conditions.append(Deal.assigned_to_id == filter.owner_id)
    for word in filter.text.casefold().split():
        conditions.append(
            or_(
                Deal.name_key.contains(word, autoescape=True), Entity.name_key.contains(word, autoescape=True)
            )
        )
    return and_(*conditions)
