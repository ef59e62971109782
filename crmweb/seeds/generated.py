"""Any number of deals, to see how Crmweb behaves at size.

They do not go through the records' own methods: a million of them would take hours. Plain rows in bulk take minutes,
and are what the methods would have left: stages and totals agree, each deal has its first StageChange, its version 1
and its creation in the history, so that `doctor` finds nothing. The dice are fixed: the same number, the same deals.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, inspect, select
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, totals
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.ledger import WHOLE
from crmweb.models import Change, ChangeSet, Deal, Entity, Stage, StageChange, User
from crmweb.models.placing import GAP
from crmweb.models.snapshot import UNTRACKED_FIELDS, encode
from crmweb.models.stage import NOBODY
from crmweb.models.types import new_id
from crmweb.seeds import pipelines

BATCH = 10_000
"""Deals per transaction: an interruption leaves whole batches."""
DEALS_PER_CUSTOMER = 10
SHARES = {"open": 6, "closed_won": 3, "closed_lost": 2}
"""How often a stage of each status is chosen."""
DAYS = 365
THINGS = (
    "Telematics", "Yard cameras", "Route planning", "Cold-chain sensors", "Driver app", "Dispatch desk", "Fuel reports",
    "Dock scheduling", "Trailer tracking", "Proof of delivery", "Customs module", "Axle load monitoring",
)  # fmt: skip
PLACES = (
    "Aarhus", "Bilbao", "Brno", "Cork", "Gdańsk", "Graz", "Leeds", "Lyon", "Malmö", "Porto", "Riga", "Turin", "Utrecht",
)  # fmt: skip
TRADES = ("Haulage", "Logistics", "Forwarding", "Couriers", "Cold Storage", "Coaches", "Shipping")
REASONS = ("Price", "Timing", "No budget", "No answer", "Chose a rival")


def generate(count: int) -> str:
    """Add `count` deals with their customers to the default pipeline; answers what was made, in words.

    Raises CRMError in production.
    """
    if config.settings.is_production:
        raise CRMError("These deals are made up: CRMWEB_ENV=production never gets them.")
    pipelines.make_default()
    first = db.session.scalar(select(func.count()).select_from(Deal)) or 0
    for start in range(first, first + count, BATCH):
        batch = Batch(start, min(BATCH, first + count - start))
        changes.commit(partial(_add, batch), cause="bookkeeping")
    return f"Made {count:,} deals."


class Batch:
    """The deals number `start` to `start + count - 1`."""

    def __init__(self, start: int, count: int) -> None:
        self.numbers = range(start, start + count)
        self.dice = random.Random(f"crmweb deals from {start}")  # noqa: S311


def _add(batch: Batch, session: Session) -> None:
    """Write the batch, with all that belongs to it. Inside `changes.commit`."""
    now, dice = clock.now(), batch.dice
    dice.seed(f"crmweb deals from {batch.numbers.start}")
    stages = _stages(session)
    owners = [None, *session.scalars(select(User.id).where(User.is_active).order_by(User.email_key))]
    tops = {stage.id: _top(session, stage.id) for stage in stages}
    customers = [_customer(number, now) for number in batch.numbers[::DEALS_PER_CUSTOMER]]
    rows = []
    for number in batch.numbers:
        stage = dice.choices(stages, [SHARES[stage.status] for stage in stages])[0]
        tops[stage.id] -= GAP
        customer = dice.choice(customers)["id"]
        rows.append(_deal(number, stage, customer, dice.choice(owners), tops[stage.id], now, dice))
    _write(session, now, customers, rows)
    _count(session, rows)


def _stages(session: Session) -> list[Any]:
    pipeline = pipelines.find(session, pipelines.DEFAULT_NAME)
    assert pipeline is not None, "made before the first batch"
    columns = select(Stage.id, Stage.status).where(Stage.pipeline_id == pipeline.id, ~Stage.is_archived)
    return list(session.execute(columns.order_by(Stage.order)))


def _top(session: Session, stage_id: UUID) -> int:
    highest = select(func.min(Deal.position)).where(Deal.stage_id == stage_id, Deal.deleted_at.is_(None))
    return session.scalar(highest) or 0


def _customer(number: int, now: datetime) -> dict[str, Any]:
    place, trade = PLACES[number // 10 % len(PLACES)], TRADES[number // 130 % len(TRADES)]
    name, mailbox = f"{place} {trade} {number // 10 + 1}", f"office@{number // 10 + 1}.example"
    made = now - timedelta(days=DAYS + 1)
    return {
        "id": new_id(), "created_at": made, "updated_at": made, "name": name, "name_key": name.casefold(),
        "legal_name": None, "kind": "organization", "status": "Active", "email": mailbox,
        "phone": f"+44 20 7946 0{number // 10 % 1000:03}", "note": None, "assigned_to_id": None, "custom_fields": None,
        "deleted_at": None, "deleted_by_id": None,
    }  # fmt: skip


def _deal(
    number: int,
    stage: Any,
    customer: UUID,
    owner: UUID | None,
    position: int,
    now: datetime,
    dice: random.Random,
) -> dict[str, Any]:
    name = f"{dice.choice(THINGS)}, {dice.choice(PLACES)} {number + 1}"
    made = now - timedelta(minutes=dice.randrange(1, DAYS * 24 * 60))
    amount = Decimal(dice.randrange(5, 2_000) * 100) if dice.random() < 0.95 else None
    return {
        "id": new_id(), "created_at": made, "updated_at": made, "name": name, "name_key": name.casefold(),
        "amount": amount, "currency": dice.choice(("EUR", "EUR", "EUR", "USD")), "entity_id": customer,
        "stage_id": stage.id, "assigned_to_id": owner, "status": stage.status, "custom_fields": None,
        "expected_close_date": (made + timedelta(days=dice.randrange(10, 200))).date(),
        "closed_date": None if stage.status == "open" else made,
        "lost_reason": dice.choice(REASONS) if stage.status == "closed_lost" else None,
        "position": position, "version": 1, "stage_entered_at": made, "last_human_activity_at": None,
        "next_due_at": None, "snoozed_until": None, "snooze_reason": None, "deleted_at": None, "deleted_by_id": None,
    }  # fmt: skip


def _write(
    session: Session, now: datetime, customers: list[dict[str, Any]], deals: list[dict[str, Any]]
) -> None:
    change_set, connection = new_id(), session.connection()
    connection.execute(insert(ChangeSet).values(id=change_set, at=now, by_label="System", cause="seed"))
    connection.execute(insert(Entity), customers)
    connection.execute(insert(Deal), deals)
    arrivals = [
        {
            "id": new_id(), "created_at": deal["created_at"], "updated_at": deal["created_at"], "deal_id": deal["id"],
            "deal_version": 1, "step": 0, "to_stage_id": deal["stage_id"], "at": deal["stage_entered_at"],
            "by_label": "System", "cause": "seed", "change_set_id": change_set,
        }
        for deal in deals
    ]  # fmt: skip
    connection.execute(insert(StageChange), arrivals)
    history = [
        {
            "change_set_id": change_set, "sequence": sequence, "record_type": model.__name__, "record_id": row["id"],
            "field": WHOLE, "old": None, "new": new, "round": 0,
        }
        for sequence, (model, row, new) in enumerate([*_whole(Entity, customers), *_whole(Deal, deals)])
    ]  # fmt: skip
    connection.execute(insert(Change), history)


def _whole(model: Any, rows: list[dict[str, Any]]) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Each row with its snapshot, as the history keeps it."""
    names = [column.key for column in inspect(model).column_attrs if column.key not in UNTRACKED_FIELDS]
    for row in rows:
        yield model, row, {name: encode(row[name]) for name in names}


def _count(session: Session, deals: list[dict[str, Any]]) -> None:
    """Add the deals to their stages' totals, and let the boards know."""
    shares: dict[tuple[UUID, UUID, str], list[Any]] = defaultdict(lambda: [0, Decimal(0)])
    for deal in deals:
        share = shares[deal["stage_id"], deal["assigned_to_id"] or NOBODY, deal["currency"]]
        share[0] += 1
        share[1] += deal["amount"] or 0
    totals.add(session, shares)
    session.info["effects"].stages.update(stage for stage, _, _ in shares)
