"""Recipes: each can be saved from its form as it is, and does what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock, ticks
from crmweb.models import Activity, Deal, Notification, Stage, User, WorkflowRule
from crmweb.workflow.recipes import RECIPES
from tests.support.factories import make_deal, make_entity, make_rule
from tests.support.forms import Form, form_at, read
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.words import text

Stages = dict[str, Stage]


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser: a manager's."""
    return sign_in(app.test_client(), marek)


def move(deal: Deal, stage: Stage) -> None:
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stage.id))


def later(days: int) -> None:
    with clock.at(clock.now() + timedelta(days=days)):
        ticks.tick(10)


def win(stages: Stages, priya: User) -> None:
    move(make_deal(stages["Lead"], owner=priya), stages["Closed Won"])


def lose(stages: Stages, priya: User) -> None:
    move(make_deal(stages["Lead"], owner=priya), stages["Closed Lost"])


def advance(stages: Stages, priya: User) -> None:
    move(make_deal(stages["Lead"], owner=priya), stages["Qualified"])


def sleep(stages: Stages, priya: User) -> None:
    make_deal(stages["Lead"], owner=priya)
    later(14)


def miss(stages: Stages, priya: User) -> None:
    make_deal(stages["Lead"], owner=priya, expected_close_date=clock.today() + timedelta(days=3))
    later(4)


def grow(stages: Stages, _: User) -> None:
    deal_id = make_deal(stages["Lead"]).id
    changes.commit(lambda session: setattr(Deal.locked(session, deal_id), "amount", 200_000))


def arrive(stages: Stages, _: User) -> None:
    make_deal(stages["Lead"])


def please(stages: Stages, _: User) -> None:
    make_deal(stages["Lead"], entity=make_entity("Acme", note="VIP, since 2019"))


HAPPENS: dict[str, Callable[[Stages, User], None]] = {
    "won": win, "lost": lose, "next": advance, "quiet": sleep, "late": miss, "big": grow, "share": arrive,
    "vip": please,
}  # fmt: skip


def test_there_are_recipes_for_what_sales_teams_want() -> None:
    assert set(RECIPES) == set(HAPPENS)


@pytest.mark.parametrize("key", RECIPES)
def test_a_recipe_does_what_it_says(
    session: Session, stages: Stages, priya: User, marek: User, noon: datetime, key: str
) -> None:
    make_rule(order=None, **RECIPES[key].definition)
    HAPPENS[key](stages, priya)
    made = session.scalars(select(Activity).where(Activity.rule_name.is_not(None))).all()
    sent = session.scalars(select(Notification)).all()
    given = session.scalars(select(Deal).where(Deal.assigned_to_id.is_not(None))).all()
    assert made or sent or (key == "share" and given)


@pytest.mark.parametrize("key", RECIPES)
def test_a_recipe_is_saved_from_its_form_as_it_is(
    session: Session, mareks: Browser, stages: Stages, key: str
) -> None:
    form = form_at(mareks, f"/rules/new?recipe={key}", "/rules/new")
    assert form.send(mareks, do="save").status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    wanted = RECIPES[key].definition
    assert {name: value for name, value in made.definition().items() if name != "actions"} == {
        name: value for name, value in wanted.items() if name != "actions"
    }
    assert [action["type"] for action in made.actions] == [action["type"] for action in wanted["actions"]]


def test_all_recipes_are_listed_as_sentences(mareks: Browser) -> None:
    page = text(mareks.get("/rules/recipes").text)
    for recipe in RECIPES.values():
        assert recipe.name in page
    assert "When nothing has happened on a deal for 14 days" in page


def test_a_rule_is_copied_switched_off_and_last(session: Session, mareks: Browser, stages: Stages) -> None:
    first = make_rule("Chase" * 40, order=None, trigger_event="no_activity", trigger_config={"days": 3})
    form = read(mareks.get("/rules")).form(f"/rules/{first.id}/copying")
    answer = Form(form.action, form.fields).send(mareks)
    assert answer.status_code == 303
    second = session.scalars(select(WorkflowRule).where(WorkflowRule.id != first.id)).one()
    assert answer.location == f"/rules/{second.id}"
    assert (second.is_active, second.order, second.trigger_config) == (False, 2, {"days": 3})
    assert second.name.endswith(" (copy)")
    assert len(second.name) == 200


def test_another_persons_copy_is_none_of_a_reps_business(app: Flask, priya: User, stages: Stages) -> None:
    rule: Any = make_rule("Chase")
    browser = sign_in(app.test_client(), priya)
    token = read(browser.get("/rules")).forms[0]
    assert Form(f"/rules/{rule.id}/copying", token.fields).send(browser).status_code == 403
