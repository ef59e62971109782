"""Makes records the way the product does: through `changes.commit`. What a test does not name has a plain default."""

from __future__ import annotations

from typing import Any, TypeVar

from crmweb import changes
from crmweb.extensions import db
from crmweb.models import Activity, Base, Deal, Entity, Pipeline, Stage, User, WorkflowRule

R = TypeVar("R", bound=Base)

# The documents' default pipeline: name, probability, status.
DEFAULT_STAGES = (
    ("Lead", 10, "open"),
    ("Qualified", 25, "open"),
    ("Proposal", 50, "open"),
    ("Negotiation", 75, "open"),
    ("Closed Won", 100, "closed_won"),
    ("Closed Lost", 0, "closed_lost"),
)


def save(record: R, *others: Base, by: User | None = None) -> R:
    """Save the records in one change of `by` (None: System); answers the first."""
    db.session.add_all([record, *others])
    changes.commit(by=by)
    return record


def make_person(name: str = "Robin", **fields: Any) -> User:
    """A rep; `role="manager"` or `"admin"` makes more of them. Cannot sign in with a password."""
    return save(User(**{"name": name, "email": f"{name.lower().replace(' ', '.')}@example.org", **fields}))


def make_pipeline(name: str = "Partners", stages: Any = DEFAULT_STAGES, **fields: Any) -> dict[str, Stage]:
    """A pipeline with the documents' stages, or with `stages` (name, probability, status); answers them by name."""
    pipeline = Pipeline(name=name, **fields)
    rows = [
        Stage(pipeline=pipeline, name=step, order=order, probability=probability, status=status)
        for order, (step, probability, status) in enumerate(stages, 1)
    ]
    save(pipeline, *rows)
    return {stage.name: stage for stage in rows}


def make_entity(name: str = "Northwind Traders", **fields: Any) -> Entity:
    """An organization that nobody is assigned to."""
    return save(Entity(name=name, **fields))


def make_deal(stage: Stage, name: str = "Forklift fleet", *, by: User | None = None, **fields: Any) -> Deal:
    """A deal over 50,000 in `stage`, of nobody; with an entity of its own unless `entity` is given."""
    entity = fields.pop("entity", None) or Entity(name=f"{name} Ltd")
    owner = fields.pop("owner", None)
    plain = {"name": name, "amount": 50_000, "entity": entity, "stage": stage, "assigned_to": owner}
    return save(Deal(**{**plain, **fields}), entity, by=by)


def make_note(
    deal: Deal, subject: str = "They liked the offer", *, by: User | None = None, **fields: Any
) -> Activity:
    """A note on `deal` by `by`."""
    return save(Activity(**{"type": "note", "subject": subject, "deal": deal, **fields}), by=by)


def make_rule(name: str = "Welcome every new deal", **fields: Any) -> WorkflowRule:
    """An active rule; unless told otherwise it adds a note to every new deal."""
    action = {"type": "create_activity", "config": {"subject": "Say hello"}}
    rule = {
        "entity_type": "Deal",
        "trigger_event": "create",
        "order": 1,
        "conditions": [],
        "actions": [action],
    }
    return save(WorkflowRule(**{"name": name, **rule, **fields}))
