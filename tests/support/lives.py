"""Companies at random, for what must hold whatever people and rules do."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.models import Deal, Entity, Stage, User, WorkflowRule
from tests.support.factories import make_deal, make_person, make_rule, save

Stages = dict[str, Stage]


def when(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """A condition."""
    return {"field": field, "operator": operator, "value": value}


def act(kind: str, **settings: Any) -> dict[str, Any]:
    """An action."""
    return {"type": kind, "config": settings}


class Life:
    """A company at random: deals that are made, moved, edited and deleted, contacts that change, under rules."""

    def __init__(self, session: Session, stages: Stages, seed: int) -> None:
        self.session, self.dice = session, random.Random(seed)
        self.stages = list(stages.values())
        self.people = [make_person(f"Person {number} of {seed}", role="manager") for number in range(2)]
        self.entities = [save(Entity(name=f"Entity {number} of {seed}")) for number in range(2)]
        self.deals = [make_deal(self.dice.choice(self.stages[:4]), f"First {number}") for number in range(3)]

    def rule(self, number: int) -> WorkflowRule:
        """A rule at random, switched on."""
        dice = self.dice
        trigger = dice.choice(("create", "update", "update", "update", "delete", "stage_changed"))
        doings = [act("create_activity", subject="Noted")]
        if trigger != "delete":
            doings += [
                act("update_field", field_name="amount", value=str(dice.choice((1, 500, 2000)))),
                act("update_field", field_name="entity.status", value=dice.choice(("Active", "Inactive"))),
                act("move_to_stage", stage_id=str(dice.choice(self.stages).id)),
                act("assign", to=str(dice.choice(self.people).id)),
            ]
        chosen = dice.sample(doings, dice.randint(1, min(2, len(doings))))
        conditions: list[Any] = [self.condition() for _ in range(dice.randint(0, 2))]
        if dice.random() < 0.3:
            conditions.append(
                {"match": dice.choice(("all", "any")), "conditions": [self.condition(), self.condition()]}
            )
        fires = dice.choice(("every_time", "becomes_true")) if conditions else "every_time"
        return make_rule(
            f"Rule {number}", trigger_event=trigger, order=number, conditions=conditions, actions=chosen,
            match=dice.choice(("all", "all", "any")), fires=fires, stop_after=dice.random() < 0.2,
        )  # fmt: skip

    def condition(self) -> dict[str, Any]:
        """A condition at random."""
        dice = self.dice
        stage = str(dice.choice(self.stages).id)
        return dice.choice(
            (
                when("amount", "greater_than", dice.choice((10, 600))),
                when("amount", "changed"),
                when("stage", "changed_to", stage),
                when("stage", "changed_from", stage),
                when("stage", "not_equals", stage),
                when("status", "equals", dice.choice(("open", "closed_won"))),
                when("assigned_to", "is_empty"),
                when("entity.status", "equals", "Inactive"),
                when("entity.name", "contains", "0"),
                when("pipeline", "is_not_empty"),
                when("version", "greater_than", 3),
                when("custom_fields.vip", "equals", True),
            )
        )

    def act(self) -> None:
        """Somebody does something."""
        by = self.dice.choice(self.people)
        deal_id = self.dice.choice(self.deals).id
        step = self.dice.choice((self.move, self.edit, self.edit, self.edit_entity, self.make, self.delete))
        step(deal_id, by)

    def change(self) -> tuple[UUID, Callable[[Session], Any], User]:
        """What somebody might do to a deal: the deal, the work, and who."""
        by, deal_id = self.dice.choice(self.people), self.dice.choice(self.deals).id
        return deal_id, self.dice.choice((self.moving, self.editing))(deal_id, by), by

    def move(self, deal_id: UUID, by: User) -> None:
        changes.commit(self.moving(deal_id, by), by=by)

    def moving(self, deal_id: UUID, by: User) -> Callable[[Session], Any]:
        stage_id = self.dice.choice(self.stages).id
        return lambda session: self.there(session, deal_id).move_to(stage_id, by=by)

    def edit(self, deal_id: UUID, by: User) -> None:
        changes.commit(self.editing(deal_id, by), by=by)

    def editing(self, deal_id: UUID, by: User) -> Callable[[Session], Any]:
        field, value = self.dice.choice(
            (
                ("amount", self.dice.choice((None, 5, 700))),
                ("name", self.dice.choice(("Fleet", "Depot"))),
                ("entity_id", self.dice.choice(self.entities).id),
                ("assigned_to_id", self.dice.choice((None, by.id))),
                ("custom_fields", {"vip": self.dice.random() < 0.5}),
            )
        )
        return lambda session: setattr(self.there(session, deal_id), field, value)

    def edit_entity(self, _: UUID, by: User) -> None:
        entity_id, status = self.dice.choice(self.entities).id, self.dice.choice(("Active", "Inactive"))
        changes.commit(lambda session: setattr(Entity.locked(session, entity_id), "status", status), by=by)

    def make(self, _: UUID, by: User) -> None:
        stage = self.dice.choice(self.stages[:4])
        entity = self.session.get_one(Entity, self.dice.choice(self.entities).id)
        self.deals.append(make_deal(stage, "Made", entity=entity, by=by))

    def delete(self, deal_id: UUID, by: User) -> None:
        if len(self.deals) > 2 and self.dice.random() < 0.3:
            self.deals = [deal for deal in self.deals if deal.id != deal_id]
            changes.commit(lambda session: Deal.locked(session, deal_id).delete(by), by=by)

    @staticmethod
    def there(session: Session, deal_id: UUID) -> Deal:
        return Deal.locked(session, deal_id)
