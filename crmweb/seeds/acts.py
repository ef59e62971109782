"""What people of the demo company did, one act each: an act is a change of its own, made through the real methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb.models import Activity, Deal, Entity, Stage, User
from crmweb.models.user import Actor
from crmweb.seeds.talk import Saying


@dataclass
class World:
    """The demo company as far as it was told: ids by the names that `company` and `deals` give."""

    people: dict[str, Actor] = field(default_factory=dict)
    customers: dict[str, UUID] = field(default_factory=dict)
    stages: dict[str, UUID] = field(default_factory=dict)
    deals: dict[str, UUID] = field(default_factory=dict)
    tasks: dict[tuple[str, str], UUID] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """`who` (a key of people) did something at `at` (UTC)."""

    at: datetime
    who: str

    def do(self, session: Session, world: World) -> None:
        """Do it, inside `changes.commit`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Opened(Act):
    """A deal was made."""

    deal: str
    customer: str
    stage: str
    amount: Decimal | None
    currency: str
    closes: date | None

    def do(self, session: Session, world: World) -> None:
        deal = Deal(
            name=self.deal, amount=self.amount, currency=self.currency, expected_close_date=self.closes,
            entity=session.get_one(Entity, world.customers[self.customer]),
            stage=session.get_one(Stage, world.stages[self.stage]),
            assigned_to=session.get_one(User, world.people[self.who].id),
        )  # fmt: skip
        session.add(deal)
        world.deals[self.deal] = deal.id


@dataclass(frozen=True)
class Moved(Act):
    """A deal was moved."""

    deal: str
    stage: str
    note: str | None = None
    lost: str | None = None

    def do(self, session: Session, world: World) -> None:
        deal = Deal.locked(session, world.deals[self.deal])
        by = world.people[self.who]
        deal.move_to(world.stages[self.stage], by=by, note=self.note, lost_reason=self.lost)


@dataclass(frozen=True)
class Edited(Act):
    """A deal got another amount, or another closing day."""

    deal: str
    amount: Decimal | None = None
    closes: date | None = None

    def do(self, session: Session, world: World) -> None:
        deal = Deal.locked(session, world.deals[self.deal])
        if self.amount is not None:
            deal.amount = self.amount
        if self.closes is not None:
            deal.expected_close_date = self.closes


@dataclass(frozen=True)
class Said(Act):
    """Something was said or written about a deal."""

    deal: str
    saying: Saying

    def do(self, session: Session, world: World) -> None:
        deal = session.get_one(Deal, world.deals[self.deal])
        kind, subject, description, minutes = self.saying
        subject = subject.format(customer=deal.entity.name)
        said = Activity(
            type=kind, deal=deal, subject=subject, description=description, duration_minutes=minutes
        )
        session.add(said)


@dataclass(frozen=True)
class Planned(Act):
    """A task was set."""

    deal: str
    subject: str
    due: datetime

    def do(self, session: Session, world: World) -> None:
        deal = session.get_one(Deal, world.deals[self.deal])
        subject = self.subject.format(customer=deal.entity.name)
        task = Activity(
            type="task", deal=deal, subject=subject, due_at=self.due, assigned_to=deal.assigned_to
        )
        session.add(task)
        world.tasks[self.deal, self.subject] = task.id


@dataclass(frozen=True)
class Snoozed(Act):
    """A deal was let sleep."""

    deal: str
    until: date
    reason: str

    def do(self, session: Session, world: World) -> None:
        deal = Deal.locked(session, world.deals[self.deal])
        deal.snoozed_until, deal.snooze_reason = self.until, self.reason


@dataclass(frozen=True)
class Completed(Act):
    """A task was done."""

    deal: str
    subject: str

    def do(self, session: Session, world: World) -> None:
        session.get_one(Activity, world.tasks[self.deal, self.subject]).completed_at = self.at


@dataclass(frozen=True)
class Noted(Act):
    """Something was written down about a customer."""

    customer: str
    text: str

    def do(self, session: Session, world: World) -> None:
        customer = session.get_one(Entity, world.customers[self.customer])
        session.add(Activity(type="note", entity=customer, subject=self.text))


@dataclass(frozen=True)
class Gone(Act):
    """A customer was marked inactive."""

    customer: str
    reason: str

    def do(self, session: Session, world: World) -> None:
        customer = session.get_one(Entity, world.customers[self.customer])
        customer.status, customer.note = "Inactive", self.reason


@dataclass(frozen=True)
class FollowedUp(Act):
    """The oldest open tasks that rules set were done, all but the last few."""

    keep: int

    def do(self, session: Session, world: World) -> None:
        made_by_rules = (
            Activity.type == "task",
            Activity.rule_run_id.is_not(None),
            Activity.completed_at.is_(None),
        )
        tasks = session.scalars(
            select(Activity).where(*made_by_rules).order_by(Activity.created_at.desc(), Activity.id)
        )
        for task in list(tasks)[self.keep :]:
            task.completed_at = self.at
