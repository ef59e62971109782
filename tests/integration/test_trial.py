"""A rule is tried on a record: what it would do is what it does when it happens, and nothing is left of the trial."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, trial
from crmweb.errors import FieldError, NotFoundError
from crmweb.models import Base, Deal, Notification, RuleRun, Stage, User
from crmweb.models.types import new_id
from tests.support.factories import make_deal, make_note, make_person, make_rule
from tests.support.lives import Life

Stages = dict[str, Stage]


def act(kind: str, **settings: Any) -> dict[str, Any]:
    return {"type": kind, "config": settings}


def when(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


TASK = act("create_activity", type="task", subject="Call {deal.name}", due_in_days="2")


def draft(on: str, *actions: dict[str, Any], of: str = "Deal", **more: Any) -> dict[str, Any]:
    return {
        "name": "Draft", "entity_type": of, "trigger_event": on, "conditions": [], "actions": list(actions) or [TASK],
        **more,
    }  # fmt: skip


def everything(session: Session) -> dict[str, list[Any]]:
    """All rows of all tables."""
    session.rollback()
    tables = Base.metadata.sorted_tables
    return {table.name: sorted(map(str, session.execute(select(table)).all())) for table in tables}


def test_a_rule_on_a_move_is_tried_as_if_the_deal_moved_there(
    session: Session, stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Proposal"], "Fleet")
    rule = draft(
        "stage_changed", TASK, act("send_notification", to=str(priya.id)),
        trigger_config={"to": str(stages["Negotiation"].id)}, conditions=[when("amount", "greater_than", 10_000)],
    )  # fmt: skip
    before = everything(session)
    found = trial.dry_run(rule, deal.id, by=priya)
    assert everything(session) == before
    assert found.outcome == "acted"
    assert found.effects == ["add a task: Call Fleet", f"notify {priya.name}: “Draft: Fleet”"]
    assert found.assumed == ["It moves to Negotiation."]
    assert found.look
    assert found.look.trace == [[1, "50000"]]


def test_what_keeps_it_from_acting_is_seen(session: Session, stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Proposal"], amount=500)
    found = trial.dry_run(
        draft("update", conditions=[when("amount", "greater_than", 10_000)]), deal.id, by=priya
    )
    assert (found.outcome, found.effects) == ("", [])
    assert found.look
    assert (found.look.failing, found.look.seen) == (0, "500")


@pytest.mark.parametrize(
    ("rule", "assumed"),
    [
        (draft("create"), "It was just made."),
        (draft("update"), "It was just saved."),
        (draft("update", conditions=[when("status", "changed_to", "closed_won")]), "It moves to Closed Won."),
        (draft("update", conditions=[when("amount", "changed_to", 7)]), "The amount becomes 7."),
        (draft("update", conditions=[when("amount", "changed")]), "The amount just changed."),
        (draft("update", conditions=[when("stage", "changed")]), "The stage just changed."),
        (draft("stage_changed"), "The stage just changed."),
        (draft("no_activity", trigger_config={"days": 500}), "It is time."),
        (draft("delete"), "It is deleted."),
    ],
)
def test_what_a_rule_waits_for_is_let_happen(
    session: Session, stages: Stages, priya: User, rule: dict[str, Any], assumed: str
) -> None:
    deal, before = make_deal(stages["Lead"]), None
    before = everything(session)
    found = trial.dry_run(rule, deal.id, by=priya)
    assert (found.outcome, found.assumed) == ("acted", [assumed])
    assert everything(session) == before


def test_a_deal_that_is_there_already_is_tried_as_if_it_had_just_come(
    session: Session, stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Negotiation"])
    to = {"to": str(stages["Negotiation"].id)}
    found = trial.dry_run(draft("stage_changed", trigger_config=to), deal.id, by=priya)
    assert (found.outcome, found.assumed) == ("acted", ["The stage just changed."])


def test_a_stored_rule_is_tried_as_it_would_be_and_stays_as_it_is(
    session: Session, stages: Stages, priya: User
) -> None:
    stored = make_rule(
        "Big", trigger_event="update", is_active=False, conditions=[when("amount", "less_than", 5)]
    )
    deal = make_deal(stages["Lead"])
    before = everything(session)
    changed = draft("update", conditions=[when("amount", "greater_than", 5)])
    assert trial.dry_run(changed, deal.id, by=priya, rule_id=stored.id).outcome == "acted"
    assert everything(session) == before


def test_a_failure_says_why_and_other_rules_are_named(session: Session, stages: Stages, priya: User) -> None:
    make_rule("Welcome", trigger_event="update")
    deal = make_deal(stages["Closed Won"])
    gone = make_person("Gone", is_active=True)
    rule = draft(
        "update", act("update_field", field_name="assigned_to", value=str(gone.id)), on_failure="undo"
    )

    def leave(session: Session) -> None:
        session.get_one(User, gone.id).is_active = False
        Deal.locked(session, deal.id).amount = 1

    found = trial.dry_run(rule, deal.id, by=priya, happening=leave)
    assert found.outcome == "failed"
    assert "not active any more" in found.error
    assert ("Welcome", "would add a note: Say hello") in found.others


def test_a_trial_is_what_really_happens(
    session: Session, stages: Stages, priya: User, noon: datetime
) -> None:
    """The same rule, saved, on the same change: the same look and the same effects."""
    deal = make_deal(stages["Lead"], "Fleet")
    rule = draft(
        "update", TASK, act("update_field", field_name="amount", value="1"), act("send_notification", to="admins"),
        conditions=[when("stage", "changed_to", str(stages["Proposal"].id)), when("amount", "greater_than", 5)],
    )  # fmt: skip
    move = moving(deal, stages["Proposal"], priya)
    tried = trial.dry_run(rule, deal.id, by=priya, happening=move)
    make_rule(order=None, **rule)
    changes.commit(move, by=priya)
    run = session.scalars(select(RuleRun)).one()
    assert tried.outcome == run.outcome == "acted"
    assert len(tried.effects) == len(run.effects)


def moving(deal: Deal, stage: Stage, by: User) -> Any:
    deal_id, stage_id = deal.id, stage.id
    return lambda session: Deal.locked(session, deal_id).move_to(stage_id, by=by)


def test_nothing_is_sent(session: Session, app: Flask, stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    trial.dry_run(draft("update", act("send_notification", to=str(priya.id))), deal.id, by=priya)
    assert not session.scalars(select(Notification)).all()


def test_contacts_and_activities_can_be_tried_too(session: Session, stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    note = make_note(deal)
    hello = act("create_activity", subject="Hello")
    assert trial.dry_run(draft("update", hello, of="Activity"), note.id, by=priya).outcome == "acted"
    assert trial.dry_run(draft("update", hello, of="Entity"), deal.entity_id, by=priya).outcome == "acted"


def test_what_cannot_be_saved_or_is_not_there_cannot_be_tried(
    session: Session, stages: Stages, priya: User
) -> None:
    with pytest.raises(FieldError):
        trial.dry_run(draft("update", conditions=[when("naem", "equals", 1)]), new_id(), by=priya)
    with pytest.raises(NotFoundError):
        trial.dry_run(draft("update"), new_id(), by=priya)


@pytest.mark.parametrize("seed", range(2))
def test_a_trial_tells_what_really_happens_whatever_rules_there_are(
    session: Session, stages: Stages, seed: int
) -> None:
    """Each of five random rules is tried on a random change; then the change is made."""
    life = Life(session, stages, seed)
    rules = [life.rule(number) for number in range(1, 6)]
    for step in range(12):
        rule = rules[step % len(rules)]
        deal_id, change, by = life.change()
        session.rollback()
        tried = trial.dry_run(rule.definition(), deal_id, by=by, rule_id=rule.id, happening=change)
        known = set(session.scalars(select(RuleRun.id)))
        changes.commit(change, by=by)
        query = select(RuleRun).where(
            RuleRun.id.not_in(known), RuleRun.rule_id == rule.id, RuleRun.record_id == deal_id
        )
        run = session.scalars(query.order_by(RuleRun.round)).first()
        really = (run.outcome, len(run.effects), run.error or "") if run else ("", 0, "")
        assert (tried.outcome, len(tried.effects), tried.error) == really, rule.definition()
