"""Whatever people and rules did in one change: undone, the database is as it was; undone again, as it was after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.models import Activity, ChangeSet, Deal, Entity, Stage, WorkflowRule
from crmweb.models.deal import Place
from crmweb.undo import undo
from tests.support import states
from tests.support.cast import make_cast
from tests.support.databases import empty
from tests.support.factories import make_deal, make_note, make_pipeline, save

STAGES = ("Lead", "Qualified", "Proposal", "Negotiation", "Closed Won", "Closed Lost")
DEALS = st.integers(0, 3)
Act = Callable[[Session, "World"], None]


class World:
    """Four deals of three companies with a note and a task each, on one board."""

    def __init__(self) -> None:
        self.cast = make_cast()
        self.stages = make_pipeline("Sales Pipeline")
        self.others = make_pipeline("Others")
        entities = [Entity(name=f"Company {number}") for number in range(3)]
        owners = (None, self.cast.priya, self.cast.priya, self.cast.marek)
        self.deals = [
            make_deal(
                self.stages[STAGES[number + 1]], f"Deal {number}", entity=entities[number % 3], owner=owner
            )
            for number, owner in enumerate(owners)
        ]
        self.notes = [make_note(deal, by=self.cast.priya) for deal in self.deals]
        self.tasks = [make_note(deal, "Call them", type="task", by=self.cast.priya) for deal in self.deals]
        self.entities = [entity.id for entity in entities]


def moves(deal: int, stage: str, note: str | None, position: int | None, reason: str | None) -> Act:
    def act(session: Session, world: World) -> None:
        locked = Deal.locked(session, world.deals[deal].id)
        locked.move_to(
            world.stages[stage].id,
            by=world.cast.priya,
            note=note,
            place=Place(position=position),
            lost_reason=reason,
        )

    return act


def edits(deal: int, fields: dict[str, Any]) -> Act:
    def act(session: Session, world: World) -> None:
        locked = Deal.locked(session, world.deals[deal].id)
        for name, value in fields.items():
            if name == "entity":
                locked.entity = session.get_one(Entity, world.entities[value])
            elif name == "owner":
                locked.assigned_to_id = None if value is None else world.cast[value].id
            else:
                setattr(locked, name, value)

    return act


def writes(deal: int, kind: str, days: int | None) -> Act:
    def act(session: Session, world: World) -> None:
        due = None if days is None else clock.now() + timedelta(days=days)
        session.add(
            Activity(
                type=kind, subject="New", deal_id=Deal.locked(session, world.deals[deal].id).id, due_at=due
            )
        )

    return act


def changes_task(number: int, is_deleted: bool) -> Act:
    def act(session: Session, world: World) -> None:
        Deal.locked(session, world.deals[number].id)
        task = Activity.locked(session, world.tasks[number].id)
        if is_deleted:
            task.delete(world.cast.priya)
        else:
            task.completed_at, task.subject = clock.now(), "Called"

    return act


def deletes(deal: int) -> Act:
    return lambda session, world: Deal.locked(session, world.deals[deal].id).delete(world.cast.marek)


def adds(stage: str, entity: int) -> Act:
    def act(session: Session, world: World) -> None:
        company = Entity.locked(session, world.entities[entity])
        session.add(
            Deal(name="New", amount=7, entity=company, stage=session.get_one(Stage, world.stages[stage].id))
        )

    return act


def renames(entity: int, name: str) -> Act:
    def act(session: Session, world: World) -> None:
        company = Entity.locked(session, world.entities[entity])
        company.name, company.custom_fields = name, {"size": len(name), "key": True}

    return act


amounts = st.one_of(st.none(), st.decimals(0, 10**6, places=2))
some_fields = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Alpha", "Beta"]),
        "amount": amounts,
        "currency": st.sampled_from(["EUR", "USD"]),
        "entity": st.integers(0, 2),
        "owner": st.sampled_from([None, 1, 2]),
        "expected_close_date": st.sampled_from([None, date(2026, 12, 1)]),
        "custom_fields": st.sampled_from([None, {"size": 1}, {"size": 1.5, "hot": True}]),
        "snoozed_until": st.sampled_from([None, date(2027, 1, 1)]),
    },
)
acts = st.one_of(
    st.builds(
        moves, DEALS, st.sampled_from(STAGES), st.sampled_from([None, "Why"]), st.sampled_from([None, 2, 9]),
        st.sampled_from([None, "Price"]),
    ),
    st.builds(edits, DEALS, some_fields),
    st.builds(writes, DEALS, st.sampled_from(["note", "task"]), st.sampled_from([None, 3])),
    st.builds(changes_task, DEALS, st.booleans()),
    st.builds(adds, st.sampled_from(STAGES), st.integers(0, 2)),
    st.builds(renames, st.integers(0, 2), st.sampled_from(["Acme", "Zenith Ltd"])),
    st.builds(deletes, DEALS),
)  # fmt: skip
ACTIONS = (
    ("update_field", {"field_name": "amount", "value": "123"}),
    ("update_field", {"field_name": "assigned_to", "value": "priya"}),
    ("update_field", {"field_name": "entity.status", "value": "Inactive"}),
    ("create_activity", {"type": "task", "subject": "Follow up {name}", "due_in_days": "2"}),
    ("create_activity", {"subject": "Seen"}),
    ("send_notification", {"to": "managers"}),
    ("move_to_stage", {"stage_id": "Negotiation"}),
    ("move_to_stage", {"stage_id": "Closed Lost"}),
)
rules = st.lists(
    st.tuples(
        st.sampled_from(["create", "update"]),
        st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2),
        st.sampled_from([[], [{"field": "amount", "operator": "greater_than", "value": "100"}]]),
    ),
    max_size=3,
)


def add_rules(world: World, chosen: list[Any]) -> None:
    known = {
        "priya": str(world.cast.priya.id),
        **{name: str(stage.id) for name, stage in world.stages.items()},
    }
    made = [
        WorkflowRule(
            name=f"Rule {number}", entity_type="Deal", trigger_event=trigger, order=number, conditions=conditions,
            actions=[
                {"type": kind, "config": {key: known.get(value, value) for key, value in config.items()}}
                for kind, config in actions
            ],
        )
        for number, (trigger, actions, conditions) in enumerate(chosen, 1)
    ]  # fmt: skip
    if made:
        save(*made)


def last_set() -> ChangeSet:
    db.session.rollback()
    return db.session.scalars(select(ChangeSet).order_by(ChangeSet.id.desc()).limit(1)).one()


@settings(
    max_examples=40, deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(done=st.lists(acts, min_size=1, max_size=3), chosen=rules)
def test_an_undone_change_leaves_no_trace_and_redone_it_is_all_there(
    app: Any, done: list[Act], chosen: Any
) -> None:
    from tests.integration.conftest import TABLES  # noqa: PLC0415

    db.session.remove()
    empty(db.engine, TABLES)
    world = World()
    add_rules(world, chosen)
    before, last = states.look(), last_set().id

    def work(session: Session) -> None:
        for act in done:
            act(session, world)
            session.flush()

    try:
        changes.commit(work, by=world.cast.priya)
    except CRMError:
        return  # one of them does not allow the next
    after, made = states.look(), last_set()
    if made.id == last or before == after:
        return
    undone = undo(made.id, world.cast.ann)
    states.expect_exactly(before, states.look())
    redone = undo(undone.change_set_id, world.cast.ann)
    assert states.in_sight(states.look()) == states.in_sight(after)
    undo(redone.change_set_id, world.cast.ann)
    states.expect_exactly(before, states.look())
