"""Tells the demo company's story: every act through the real code, with the clock set back to when it happened."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, passwords
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.models import Deal, Entity, Notification, User, WorkflowRule
from crmweb.models.user import Actor
from crmweb.seeds import company, deals, pipelines
from crmweb.seeds.acts import World
from crmweb.seeds.plan import FIRST_DAY, Calendar, plan
from crmweb.seeds.removal import MARK, empty
from crmweb.seeds.rules import rules

UNREAD_DAYS = 3
"""Notifications of so many last working days are still unread."""


def tell_demo() -> str:
    """Put the demo company into an empty database; answers what was made, in words.

    Raises CRMError in production, and when the database holds anything but default pipelines. What was half told when
    something fails is taken back.
    """
    _refuse_what_is_real(db.session())
    try:
        with _without_waiting_for_the_disk():
            acts = _tell()
    except BaseException:
        db.session.rollback()
        changes.commit(empty, cause="bookkeeping")
        raise
    return (
        f"The demo company is told: {len(company.PEOPLE)} people, {len(company.CUSTOMERS)} customers, "
        f"{len(deals.SALES) + len(deals.RENEWALS)} deals, {acts} acts."
    )


def _refuse_what_is_real(session: Session) -> None:
    if config.settings.is_production:
        raise CRMError("The demo people's password is public: CRMWEB_ENV=production never gets them.")
    for model, words in ((User, "people"), (Entity, "customers"), (Deal, "deals"), (WorkflowRule, "rules")):
        if count := session.scalar(select(func.count()).select_from(model)):
            raise CRMError(
                f"This database holds {count} {words}. The demo company goes into an empty one: "
                "name a new one with DATABASE_URL=sqlite:////path/to/demo.db"
            )


@contextmanager
def _without_waiting_for_the_disk() -> Iterator[None]:
    """A story cut short by a power failure is told again from its beginning, so its commits need not reach the disk."""
    chosen = config.settings
    db.session.remove()
    db.engine.dispose()
    config.use(replace(chosen, sqlite_synchronous="NORMAL"))
    try:
        yield
    finally:
        db.session.remove()
        db.engine.dispose()
        config.use(chosen)


def _tell() -> int:
    calendar = Calendar(clock.now(), ZoneInfo(config.settings.timezone))
    world = World()
    with clock.at(calendar.at(calendar.workday(FIRST_DAY + 1), 7 * 60)):
        changes.commit(lambda session: _set_up(session, world), cause="seed", key=MARK)
    acts = plan(calendar)
    for act in acts:
        with clock.at(act.at):
            changes.commit(partial(act.do, world=world), by=world.people[act.who], key=MARK)
    changes.commit(
        partial(_read_notifications, before=calendar.at(calendar.workday(UNREAD_DAYS), 0)),
        cause="bookkeeping",
    )
    return len(acts)


def _set_up(session: Session, world: World) -> None:
    """People, customers, pipelines and rules, as they were before the first deal. Nobody is there to get mail."""
    hashed = passwords.hash_password(company.PASSWORD)
    people = {
        person.key: User(
            email=person.email, name=person.name, role=person.role, timezone=person.timezone,
            password_hash=hashed if person.with_password else None, gets_mail=False,
        )
        for person in company.PEOPLE
    }  # fmt: skip
    session.add_all(people.values())
    world.people.update({key: Actor.of(person) for key, person in people.items()})
    sales = pipelines.find(session, pipelines.DEFAULT_NAME) or pipelines.add(
        session, pipelines.DEFAULT_NAME, pipelines.DEFAULT
    )
    session.flush()
    renewals = pipelines.add(
        session,
        pipelines.RENEWALS_NAME,
        pipelines.RENEWALS,
        "Contracts that end this year.",
        pipelines.WHY_ENDED,
    )
    session.flush()
    stages = {**pipelines.stages_of(renewals), **pipelines.stages_of(sales)}
    for name, days in deals.ROT_DAYS.items():
        stages[name].rot_days = days
    stages[deals.PROPOSAL].max_deals = deals.MOST_PROPOSALS
    world.stages.update({name: stage.id for name, stage in stages.items()})
    owners = {stand.customer: people[stand.owner] for stand in (*deals.RENEWALS, *deals.SALES)}
    dice = random.Random("crmweb telephones")  # noqa: S311
    for customer in company.CUSTOMERS:
        made = Entity(
            name=customer.name, kind=customer.kind, email=customer.mailbox, assigned_to=owners.get(customer.name),
            phone=company.telephone(customer.place, dice.randrange(10, 99)),
        )  # fmt: skip
        session.add(made)
        world.customers[customer.name] = made.id
    session.add_all(rules(stages, people))


def _read_notifications(session: Session, before: datetime) -> None:
    table: Any = Notification.__table__
    old = table.c.created_at < before
    session.connection().execute(
        update(table).where(old).values(read_at=table.c.created_at, updated_at=table.c.created_at)
    )
