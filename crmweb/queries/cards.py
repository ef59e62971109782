"""The cards of a board as plain rows, each with the deal's next step, in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from crmweb import clock
from crmweb.models import Activity, Deal, Entity, User
from crmweb.queries import attention
from crmweb.queries.next_steps import first_of


@dataclass(frozen=True, slots=True)
class Card:
    """All that a card shows, on the company's day on which it was read.

    `step` is the subject of the deal's earliest open task, due at `step_due_at` (UTC). `quiet_days`: nobody touched it
    for so long, more than the `rot_days` of its stage. `asleep_until`: until that day nobody minds.
    """

    id: UUID
    name: str
    entity_name: str
    amount: Decimal | None
    currency: str
    owner_id: UUID | None
    owner_name: str | None
    expected_close_date: date | None
    closed_date: datetime | None
    status: str
    lost_reason: str | None
    version: int
    stage_id: UUID
    step: str | None = None
    step_due_at: datetime | None = None
    quiet_days: int | None = None
    rot_days: int | None = None
    asleep_until: date | None = None


def of(row: Any, rot_days: int | None) -> Card:
    """The card of a row of `select_cards`, in a stage where deals rot after so many days."""
    shown, today = Card(*row[:15]), clock.today()
    if shown.status != "open":
        return shown
    values = {name: getattr(shown, name) for name in Card.__slots__}
    if attention.is_asleep(row.snoozed_until, today):
        return Card(**{**values, "asleep_until": row.snoozed_until})
    days = attention.quiet_days(row.stage_entered_at, row.last_human_activity_at, today)
    if rot_days is not None and days > rot_days:
        return Card(**{**values, "quiet_days": days, "rot_days": rot_days})
    return shown


def select_cards(keys: Any) -> Select[*tuple[Any, ...]]:
    """The rows of the deals that `keys` (a subquery with `deal_id`) names, in the order of their lanes."""
    step = aliased(Activity)
    return (
        select(
            Deal.id, Deal.name, Entity.name.label("entity_name"), Deal.amount, Deal.currency,
            Deal.assigned_to_id, User.name.label("owner_name"), Deal.expected_close_date, Deal.closed_date, Deal.status,
            Deal.lost_reason, Deal.version, Deal.stage_id, step.subject.label("step"), step.due_at.label("step_due_at"),
            Deal.position, Deal.stage_entered_at, Deal.last_human_activity_at, Deal.snoozed_until,
        )
        .join_from(keys, Deal, Deal.id == keys.c.deal_id)
        .join(Entity, Entity.id == Deal.entity_id)
        .outerjoin(User, User.id == Deal.assigned_to_id)
        .outerjoin(step, step.id == first_of(Deal.id))
        .order_by(Deal.stage_id, Deal.position, Deal.id)
    )  # fmt: skip
