"""The board of a pipeline as plain rows: lanes with totals over all their deals, and the cards that are shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from crmweb.errors import FieldError, NotFoundError
from crmweb.models import Pipeline, Stage
from crmweb.models.gates import called
from crmweb.queries import attention, cards, lanes
from crmweb.queries.attention import NONE, Counts
from crmweb.queries.cards import Card
from crmweb.queries.lanes import NO_FILTER, Filter

FIRST, MORE, MOST = 25, 50, 1000
"""Cards of a lane at first, on each further page, and at the most in one answer."""


@dataclass(frozen=True, slots=True)
class Money:
    """A sum in one currency, and what of it the stages' chances leave."""

    currency: str
    amount: Decimal
    weighted: Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """A lane. `count` and `totals` are over all its deals that pass the filter; `cards` are the `shown` first ones.

    `share` (0–100) is its money beside the richest lane's, `after` the cursor of the next page. `held` counts all deals
    of the stage, which should be, or can be, at most `max_deals`; `needs` is what it asks for, in words.
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
    rot_days: int | None = None
    held: int = 0
    max_deals: int | None = None
    needs: str = ""
    share: int = 0
    cards: list[Card] = field(default_factory=list)
    shown: int = 0
    after: str | None = None


class PipelineHead(NamedTuple):
    """What a board shows of its pipeline."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    board_version: int


@dataclass(frozen=True, slots=True)
class Board:
    """A pipeline's lanes in order. `totals`, `open_count` and the viewer's `mine_count` are over its open stages.

    `wanting` counts the open deals that want attention, the viewer's own ones when the filter is on those.
    """

    pipeline: PipelineHead
    columns: list[Column]
    totals: list[Money]
    open_count: int
    mine_count: int
    filter: Filter
    query: str = ""
    wanting: Counts = NONE
    pipelines: list[tuple[UUID, str]] = field(default_factory=list)

    def column(self, stage_id: UUID) -> Column | None:
        """The lane of a stage, if it is on this board."""
        return next((column for column in self.columns if column.id == stage_id), None)


def load(
    session: Session,
    pipeline_id: UUID,
    chosen: Filter = NO_FILTER,
    viewer_id: UUID | None = None,
    query: str = "",
) -> Board:
    """The board's heads without cards, under the filter `chosen`; `query` is the view's query string, kept with it.

    Three statements, whatever the number of deals. NotFoundError when there is no such pipeline.
    """
    rows = session.execute(
        select(Stage.id, Stage.name, Stage.description, Stage.color, Stage.status, Stage.probability, Stage.version,
               Stage.rot_days, Stage.max_deals, Stage.required_fields, Pipeline.asks_lost_reason,
               Pipeline.id.label("pipeline_id"), Pipeline.name.label("pipeline"), Pipeline.description.label("about"),
               Pipeline.is_active, Pipeline.board_version)
        .join_from(Pipeline, Stage, and_(Stage.pipeline_id == Pipeline.id, Stage.is_archived.is_(False)), isouter=True)
        .where(Pipeline.id == pipeline_id)
        .order_by(Stage.order)
    ).all()  # fmt: skip
    if not rows:
        raise NotFoundError("This pipeline is not there any more.")
    stages = [row for row in rows if row.id is not None]
    pursued = [(stage.id, stage.rot_days) for stage in stages if stage.status == "open"]
    dates = attention.dates(pursued)
    if chosen.wants_attention:
        chosen = chosen._replace(dates=dates)
    sums, mine, held = lanes.sums(session, [stage.id for stage in stages], chosen, viewer_id)
    columns = [_column(stage, sums[stage.id], held[stage.id]) for stage in stages]
    order = _currencies(columns)
    columns = [_measured(column, columns, order) for column in columns]
    is_open = [column for column in columns if column.status == "open"]
    return Board(
        PipelineHead(rows[0].pipeline_id, rows[0].pipeline, rows[0].about, rows[0].is_active, rows[0].board_version),
        columns, _added(is_open, order), sum(column.count for column in is_open),
        sum(mine[column.id] for column in is_open), chosen, query,
        attention.count(session, [stage for stage, _ in pursued], dates, chosen.owner_id if chosen.mine else None),
    )  # fmt: skip


def fill(
    session: Session,
    board: Board,
    shown: Mapping[UUID, int] | None = None,
    only: Iterable[UUID | None] | None = None,
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
    for row in lanes.first(session, [(column.id, numbers[column.id] + 1) for column in asked], board.filter):
        by_stage[row.stage_id].append(row)
    filled = [
        _filled(column, by_stage[column.id], numbers[column.id]) if column.id in numbers else column
        for column in board.columns
    ]
    return replace(board, columns=filled)


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
    rest = lanes.further(session, stage_id, MORE + 1, board.filter, (position, card))
    return _filled(column, rest, MORE, number)


def _number(shown: Mapping[UUID, int] | None, stage_id: UUID) -> int:
    return max(1, min((shown or {}).get(stage_id, FIRST), MOST))


def _column(stage: Any, sums: lanes.Sums, held: int) -> Column:
    chance = Decimal(str(stage.probability)) / 100
    totals = [Money(currency, amount, amount * chance) for currency, (_, amount) in sums.items() if amount]
    return Column(
        stage.id, stage.name, stage.description, stage.color, stage.status, stage.probability, stage.version,
        sum(count for count, _ in sums.values()), totals, stage.rot_days, held, stage.max_deals, _needs(stage),
    )  # fmt: skip


def _needs(stage: Any) -> str:
    asks_why = ["lost_reason"] if stage.asks_lost_reason and stage.status == "closed_lost" else []
    return ", ".join(map(called, [*stage.required_fields, *asks_why]))


def _currencies(columns: list[Column]) -> list[str]:
    """The board's currencies, the one that most lanes have first."""
    seen: dict[str, tuple[int, Decimal]] = {}
    for money in (money for column in columns for money in column.totals):
        lanes_with, amount = seen.get(money.currency, (0, Decimal(0)))
        seen[money.currency] = (lanes_with + 1, amount + money.amount)
    return sorted(seen, key=lambda currency: (-seen[currency][0], -seen[currency][1], currency))


def _measured(column: Column, columns: list[Column], order: list[str]) -> Column:
    """The column with its totals in `order` and its share of the richest one, both in the main currency."""
    totals = sorted(column.totals, key=lambda money: order.index(money.currency))
    money = {id(each): _main(each, order) for each in columns}
    richest = max(money.values(), default=Decimal(0))
    return replace(column, totals=totals, share=round(100 * money[id(column)] / richest) if richest else 0)


def _main(column: Column, order: list[str]) -> Decimal:
    return (
        next((money.amount for money in column.totals if money.currency == order[0]), Decimal(0))
        if order
        else Decimal(0)
    )


def _added(columns: list[Column], order: list[str]) -> list[Money]:
    added: dict[str, Money] = {}
    for money in (money for column in columns for money in column.totals):
        had = added.get(money.currency, Money(money.currency, Decimal(0), Decimal(0)))
        added[money.currency] = Money(had.currency, had.amount + money.amount, had.weighted + money.weighted)
    return sorted(added.values(), key=lambda money: order.index(money.currency))


def _filled(column: Column, rows: list[Any], number: int, before: int = 0) -> Column:
    shown = rows[:number]
    seen = before + len(shown)
    after = f"{seen}.{shown[-1].position}.{shown[-1].id}" if len(rows) > number else None
    return replace(column, cards=[cards.of(row, column.rot_days) for row in shown], shown=seen, after=after)


def _cursor(after: str) -> tuple[int, int, UUID]:
    try:
        number, position, card = after.split(".")
        return int(number[:9]), int(position[:19]), UUID(card)
    except ValueError as wrong:
        raise FieldError("after", "This page of cards is not there. Open the board again.") from wrong
