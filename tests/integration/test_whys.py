"""“Why?”: who looked at a change, what each condition saw, and that it stays right after the rule was edited."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.models import ChangeSet, Deal, RuleLook, RuleRun, Stage, User, WorkflowRule
from crmweb.models.types import new_id
from crmweb.queries import looks, rules
from tests.support.factories import make_deal, make_pipeline, make_rule
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import plans
from tests.support.words import text

Stages = dict[str, Stage]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def priyas(app: Flask, priya: User) -> Browser:
    """Priya's browser: a rep's."""
    return sign_in(app.test_client(), priya)


def when(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def rule(name: str, *conditions: dict[str, Any], **more: Any) -> WorkflowRule:
    return make_rule(name, trigger_event="update", order=None, conditions=list(conditions), **more)


def edit(record: Any, **values: Any) -> None:
    model, record_id = type(record), record.id

    def work(session: Session) -> None:
        for name, value in values.items():
            setattr(session.get_one(model, record_id), name, value)

    changes.commit(work)


def last_look(session: Session) -> RuleLook:
    session.rollback()
    return session.scalars(
        select(RuleLook).order_by(RuleLook.at.desc(), RuleLook.change_set_id.desc())
    ).first()  # type: ignore[return-value]


def why(browser: Browser, look: RuleLook, headers: Any = HTMX) -> str:
    answer = browser.get(f"/changes/{look.change_set_id}/why?record={look.record_id}", headers=headers)
    assert answer.status_code == 200
    return text(answer.text)


def test_it_says_who_acted_and_who_did_not_on_which_condition(
    session: Session, priyas: Browser, stages: Stages
) -> None:
    rule("Chase", when("amount", "greater_than", 100_000), when("currency", "equals", "USD"))
    rule("Tell", when("currency", "equals", "USD"), when("amount", "greater_than", 10))
    deal = make_deal(stages["Lead"], amount=5)
    edit(deal, amount=600)
    assert "Why? 2 rules looked at this, 1 acted" in text(priyas.get(f"/deals/{deal.id}"))
    said = why(priyas, last_look(session))
    assert "2 rules looked, 1 acted." in why(priyas, last_look(session), {})
    assert said.index("Tell") < said.index("Chase")
    assert "Tell Acted Added a note: Say hello" in said
    assert "Met: The amount is more than US$10 it was US$600" in said
    assert "Chase Did not act" in said
    assert "Not met: The amount is more than US$100,000 it was US$600" in said
    assert "Not looked at: The currency is USD" in said


def test_a_rule_that_looks_in_several_rounds_is_told_once(
    session: Session, priyas: Browser, stages: Stages
) -> None:
    more = {"type": "update_field", "config": {"field_name": "lost_reason", "value": "More"}}
    away = {"type": "move_to_stage", "config": {"stage_id": str(make_pipeline("Partners")["Lead"].id)}}
    rule("Chase", when("amount", "greater_than", 100_000))
    rule("Mark", actions=[more])
    rule("Broken", when("amount", "greater_than", 10), actions=[away])
    deal = make_deal(stages["Lead"], amount=5)
    edit(deal, amount=600)
    assert "Why? 3 rules looked at this, 1 acted, 1 failed" in text(priyas.get(f"/deals/{deal.id}"))
    page = why(priyas, last_look(session), {})
    assert "3 rules looked, 1 acted." in page
    assert [page.count(f"{name} ") for name in ("Mark Acted", "Broken Failed", "Chase Did not act")] == [
        1,
        1,
        1,
    ]


def test_rules_that_chase_each_other_are_cut_once(session: Session, priyas: Browser, stages: Stages) -> None:
    for name, value in (("One", "one"), ("Two", "two"), ("Three", "three")):
        setting = {"type": "update_field", "config": {"field_name": "lost_reason", "value": value}}
        rule(name, when("lost_reason", "changed"), actions=[setting])
    deal = make_deal(stages["Lead"])
    edit(deal, lost_reason="none")
    cut = select(RuleRun.rule_id).where(RuleRun.outcome == "cut")
    found = session.scalars(cut).all()
    assert found
    assert len(found) == len(set(found))
    assert "It looked at nothing in vain lately." in text(priyas.get(f"/rules/{found[0]}?show=did_not"))


def test_a_rule_that_had_nothing_to_do_did_not_act(session: Session, priyas: Browser, stages: Stages) -> None:
    same = {"type": "update_field", "config": {"field_name": "currency", "value": "USD"}}
    rule("Dollars", when("amount", "greater_than", 10), actions=[same])
    deal = make_deal(stages["Lead"], amount=5)
    edit(deal, amount=600)
    assert "Why? 1 rule looked at this, none acted" in text(priyas.get(f"/deals/{deal.id}"))
    assert "Dollars Did not act Had nothing left to do" in why(priyas, last_look(session))


def test_it_is_told_as_the_rule_was_then(session: Session, priyas: Browser, stages: Stages) -> None:
    chase = rule("Chase", when("amount", "greater_than", 100_000))
    edit(make_deal(stages["Lead"]), amount=600)
    look = last_look(session)
    edit(chase, name="Chase them", conditions=[when("amount", "less_than", 3)])
    said = why(priyas, look)
    assert "Chase Did not act" in said
    assert "The amount is more than 100,000" in said


def test_groups_and_bounds_are_told(session: Session, priyas: Browser, stages: Stages) -> None:
    rule(
        "Either", {"match": "any", "conditions": [when("amount", "less_than", 3), when("currency", "equals", "USD")]},
        fires="becomes_true",
    )  # fmt: skip
    edit(make_deal(stages["Lead"]), name="Fleet")
    said = why(priyas, last_look(session))
    assert "Any of these" in said
    assert "It was so before, and acts only when it becomes so." in said


def test_a_failure_says_why_and_a_page_shows_the_same(
    session: Session, priyas: Browser, stages: Stages
) -> None:
    elsewhere = {"type": "move_to_stage", "config": {"stage_id": str(stages["Closed Won"].id)}}
    rule("Broken", actions=[elsewhere])
    deal = make_deal(stages["Lead"])
    edit(stages["Closed Won"], is_archived=True)
    edit(deal, name="Fleet")
    look = last_look(session)
    for headers in (HTMX, {}):
        assert "Broken Failed Could not move the deal" in why(priyas, look, headers)


def test_a_change_at_which_nobody_looked_says_so_and_one_that_is_not_there_is_not_found(
    session: Session, priyas: Browser, stages: Stages
) -> None:
    make_deal(stages["Lead"])
    session.rollback()
    change_set = session.scalars(select(ChangeSet.id)).first()
    assert "No rule looked" in priyas.get(f"/changes/{change_set}/why").text
    assert priyas.get(f"/changes/{new_id()}/why").status_code == 404
    assert "No rule looked" in priyas.get(f"/changes/{change_set}/why", headers=HTMX).text


@pytest.mark.parametrize(
    ("show", "names"),
    [
        ("", ["Fleet", "Depot"]),
        ("acted", ["Fleet"]),
        ("did_not", ["Small"]),
        ("failed", []),
        ("cut", ["Depot"]),
    ],
)
def test_the_runs_of_a_rule_can_be_narrowed(
    session: Session, priyas: Browser, stages: Stages, show: str, names: list[str]
) -> None:
    """Depot: another rule sets its amount back and forth, so the second time is cut."""
    big = rule(
        "Big",
        when("amount", "greater_than", 100),
        actions=[{"type": "update_field", "config": {"field_name": "amount", "value": "50"}}],
    )
    rule(
        "Back",
        when("amount", "equals", 50),
        when("name", "equals", "Depot"),
        actions=[{"type": "update_field", "config": {"field_name": "amount", "value": "500"}}],
    )
    edit(make_deal(stages["Lead"], "Small", amount=1), amount=2)
    edit(make_deal(stages["Lead"], "Depot", amount=1), amount=200)
    edit(make_deal(stages["Lead"], "Fleet", amount=1), amount=300)
    page = priyas.get(f"/rules/{big.id}?show={show}").text
    log = text(page[page.index('id="runs"') :])
    for name in ("Fleet", "Depot", "Small"):
        if name in names:
            assert name in log
    assert ("Small" in log) is ("Small" in names)
    if not names:
        assert "None of these yet." in log


def test_a_rule_that_is_deleted_with_its_record_is_still_named(
    session: Session, priyas: Browser, stages: Stages
) -> None:
    rule("Chase", when("amount", "greater_than", 100_000))
    deal = make_deal(stages["Lead"])
    edit(deal, amount=600)
    look = last_look(session)
    changes.commit(lambda session: Deal.locked(session, deal.id).delete(changes.Actor("Ann", None)))
    assert "Chase Did not act" in why(priyas, look)


def test_on_a_busy_system_only_the_newest_looks_are_read_and_it_says_since_when(
    session: Session, priyas: Browser, stages: Stages, monkeypatch: pytest.MonkeyPatch, noon: datetime
) -> None:
    chase = rule("Chase", when("amount", "greater_than", 100_000))
    for hours, name in enumerate(("Fleet", "Depot", "Yard")):
        with clock.at(noon + timedelta(hours=hours)):
            edit(make_deal(stages["Lead"], name, amount=1), amount=2)
    assert looks.idle(session, chase.id, "Deal", 20)[1] is None
    monkeypatch.setattr(looks, "MOST_READ", 2)
    with clock.at(noon + timedelta(hours=5)):
        page = priyas.get(f"/rules/{chase.id}?show=did_not").text
        log = text(page[page.index('id="runs"') :])
        assert ("Yard" in log, "Depot" in log, "Fleet" in log) == (True, True, False)
        assert "Since" in log
        assert looks.idle(session, chase.id, "Deal", 2)[1] is None, "as many as were asked for"


def test_what_did_not_act_is_found_without_going_through_all_that_did(
    session: Session, stages: Stages, database: str
) -> None:
    chase = rule("Chase", when("amount", "greater_than", 100_000))
    edit(make_deal(stages["Lead"], amount=1), amount=2)
    plan = plans(lambda: looks.idle(session, chase.id, "Deal", 20))
    assert "ix_rule_runs_rule" not in plan, plan
    assert database == "postgresql" or "ix_rule_runs_change_set_id" in plan, plan


@pytest.mark.parametrize("outcome", ["failed", "cut"])
def test_what_failed_or_was_cut_is_found_among_all_that_acted(
    session: Session, stages: Stages, outcome: str, database: str
) -> None:
    made = rule("Chase")
    for one, index in ((None, "ix_rule_runs_outcome"), (made.id, "ix_rule_runs_rule_outcome")):
        plan = plans(lambda: rules.last_runs(session, one, None, outcome))  # noqa: B023
        # In a table without rows all indexes are alike to PostgreSQL.
        assert index in plan if database == "sqlite" else "Seq Scan on rule_runs" not in plan, plan
