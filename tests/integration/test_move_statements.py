"""What a move asks of the database: a few statements, the same few however many deals there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, config, seeds
from crmweb.extensions import db
from crmweb.models import Deal, Stage, User
from crmweb.models.deal import Place, Seen
from tests.support.deals import move
from tests.support.factories import make_deal, make_rule
from tests.support.statements import Statements, count_statements

Stages = dict[str, Stage]
MOST = 14
MOST_FOR_A_RULE = 3


def ten_idle_rules() -> None:
    for number in range(10):
        make_rule(
            f"Idle {number}", trigger_event="update", order=number,
            conditions=[{"field": "amount", "operator": "greater_than", "value": 10**9}],
        )  # fmt: skip


def written(deal: Deal, stage: Stage, by: User, **how: Any) -> Statements:
    """The statements of one move as the board asks for it, with everything that it sends along."""
    db.session.rollback()
    how = {
        "seen": Seen(deal.stage_id, deal.version),
        "key": f"{deal.id}",
        "note": "They want an offer",
        **how,
    }
    by_id, deal_id, stage_id, by_value = by.id, deal.id, stage.id, changes.Actor.of(by)
    assert by_id

    def work(session: Session) -> None:
        Deal.locked(session, deal_id).move_to(stage_id, by=by_value, **how)

    db.session.expunge_all()
    with count_statements() as statements:
        changes.commit(work, by=by_value)
    return statements


def test_a_move_with_ten_idle_rules_needs_few_statements(stages: Stages, priya: User) -> None:
    ten_idle_rules()
    move(make_deal(stages["Lead"], "Warm"), stages["Proposal"])
    for place in (Place(), Place(before=make_deal(stages["Proposal"]).id), Place(position=2)):
        statements = written(make_deal(stages["Lead"]), stages["Proposal"], priya, place=place)
        assert len(statements.writing) <= MOST, str(statements)


def test_a_rule_that_acts_adds_few_statements(stages: Stages, priya: User) -> None:
    ten_idle_rules()
    move(make_deal(stages["Lead"], "Warm"), stages["Proposal"])
    idle = len(written(make_deal(stages["Lead"]), stages["Proposal"], priya).writing)
    actions = {
        "create_activity": {"subject": "Send the offer to {entity.name}"},
        "update_field": {"field_name": "lost_reason", "value": "By a rule"},
        "send_notification": {},
    }
    for number, (kind, settings) in enumerate(actions.items(), 1):
        make_rule(
            f"Acts {number}",
            trigger_event="update",
            order=20 + number,
            actions=[{"type": kind, "config": settings}],
        )
        move(make_deal(stages["Lead"], "Warm"), stages["Proposal"])
        statements = written(make_deal(stages["Lead"], owner=priya), stages["Proposal"], priya)
        assert len(statements.writing) <= idle + number * MOST_FOR_A_RULE, str(statements)


def test_a_rule_that_notifies_costs_no_more_when_it_is_mailed_too(stages: Stages, priya: User) -> None:
    config.use(replace(config.settings, smtp_url="smtp://mail.example.com", mail_from="crm@example.com"))
    ten_idle_rules()
    move(make_deal(stages["Lead"], "Warm"), stages["Proposal"])
    idle = len(written(make_deal(stages["Lead"], owner=priya), stages["Proposal"], priya).writing)
    for number, to in enumerate(("owner", "managers", "admins"), 1):
        make_rule(
            f"Tells {to}", trigger_event="update", order=20 + number,
            actions=[{"type": "send_notification", "config": {"to": to}}],
        )  # fmt: skip
        move(make_deal(stages["Lead"], "Warm", owner=priya), stages["Proposal"])
        statements = written(make_deal(stages["Lead"], owner=priya), stages["Proposal"], priya)
        assert len(statements.writing) <= idle + number * MOST_FOR_A_RULE, str(statements)
        assert sum(sent.startswith("INSERT INTO deliveries") for sent in statements.writing) == number


def test_a_move_costs_the_same_among_10000_deals_as_among_100(stages: Stages, priya: User) -> None:
    ten_idle_rules()
    costs = []
    for more in (100, 9_900):
        seeds.generate(more)
        lead, qualified = (
            db.session.scalars(select(Stage).where(Stage.name == name)).one()
            for name in ("Lead", "Qualified")
        )
        card = db.session.scalars(select(Deal.id).where(Deal.stage_id == qualified.id).limit(1)).one()
        places = (Place(), Place(before=card), Place(after=card), Place(position=10))
        costs.append(
            [len(written(make_deal(lead), qualified, priya, place=place).writing) for place in places]
        )
    assert costs[0] == costs[1]
    assert max(costs[0]) <= MOST
