"""The chips over the board count, and let through, what a patient person would find by looking at each deal."""

from __future__ import annotations

import random
import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Pipeline, Stage, User
from crmweb.models.types import new_id
from crmweb.queries import attention, board
from crmweb.queries.lanes import MARKS, Filter
from tests.support.factories import make_deal, make_entity, save
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import count_statements

Stages = dict[str, Stage]
LIMITS = {"Lead": 10, "Qualified": 3, "Proposal": None, "Negotiation": 7}


@pytest.fixture
def crowd(stages: Stages, priya: User, tom: User, noon: datetime) -> list[Deal]:
    """Sixty deals in all states of neglect, in all stages, of two people and of nobody."""
    dice = random.Random("neglect")
    for name, days in LIMITS.items():
        stages[name].rot_days = days
    save(*stages.values())
    entity = make_entity()
    near = [
        timedelta(days=days, hours=hours)
        for days in (-12, -11, -10, -8, -7, -4, -3, 0)
        for hours in (-13, -12, 0, 11)
    ]
    deals = []
    for number in range(60):
        with clock.at(noon + dice.choice(near)):
            deal = Deal(name=f"Deal {number}", entity=entity, stage=dice.choice(list(stages.values())))
        deal.assigned_to = dice.choice([priya, tom, None])
        deals.append(deal)
    save(*deals)
    for deal in deals:
        deal.last_human_activity_at = dice.choice([None, None, noon + dice.choice(near)])
        deal.snoozed_until = dice.choice([None, None, date(2026, 3, 2), date(2026, 3, 3)])
        for due in dice.choice([[], [], [None], [dice.choice(near)], [dice.choice(near), None]]):
            task = Activity(
                type="task", subject="Call", deal=deal, due_at=None if due is None else noon + due
            )
            task.completed_at = dice.choice([None, None, noon])
            db.session.add(task)
    changes.commit()
    return deals


def marks_of(deal: Deal, today: date) -> set[str]:
    """The model: one deal, looked at."""
    if deal.status != "open":
        return set()
    tasks = [
        task for task in db.session.query(Activity).filter_by(deal_id=deal.id) if task.completed_at is None
    ]
    due = [task.due_at for task in tasks if task.due_at]
    touched = max(filter(None, [deal.stage_entered_at, deal.last_human_activity_at]))
    limit = LIMITS[deal.stage.name]
    is_awake = deal.snoozed_until is None or deal.snoozed_until <= today
    found = set()
    if limit and is_awake and (today - touched.date()).days > limit:
        found.add("rotting")
    if due and min(due).date() < today:
        found.add("overdue")
    if not tasks:
        found.add("no_step")
    return found


def test_they_count_what_is_so(crowd: list[Deal], pipeline: Pipeline, priya: User) -> None:
    db.session.expire_all()
    marks = {deal: marks_of(deal, clock.today()) for deal in crowd}
    for mine in (False, True):
        shown = board.load(
            db.session(), pipeline.id, Filter(mine=mine, owner_id=priya.id if mine else None), priya.id
        )
        hers = {deal for deal in crowd if not mine or deal.assigned_to_id == priya.id}
        for mark in MARKS[1:]:
            count = sum(mark in marks[deal] for deal in hers)
            assert getattr(shown.wanting, mark) == count, mark
            assert count > 0, "a test of nothing"


@pytest.mark.parametrize(
    "asked",
    [
        ("rotting",),
        ("overdue",),
        ("no_step",),
        ("rotting", "no_step"),
        ("mine", "rotting"),
        ("mine", "overdue"),
    ],
)
def test_they_let_through_what_they_count(
    crowd: list[Deal], pipeline: Pipeline, priya: User, asked: tuple[str, ...]
) -> None:
    db.session.expire_all()
    chosen = Filter(owner_id=priya.id if "mine" in asked else None)._replace(**dict.fromkeys(asked, True))
    shown = board.fill(db.session(), board.load(db.session(), pipeline.id, chosen, priya.id))
    hers = [deal for deal in crowd if "mine" not in asked or deal.assigned_to_id == priya.id]
    wanted = {deal.name for deal in hers if set(asked) - {"mine"} <= marks_of(deal, clock.today())}
    assert {card.name for column in shown.columns for card in column.cards} == wanted
    assert sum(column.count for column in shown.columns) == len(wanted)


def test_a_card_says_the_same_as_its_chip(crowd: list[Deal], pipeline: Pipeline) -> None:
    db.session.expire_all()
    shown = board.fill(db.session(), board.load(db.session(), pipeline.id))
    cards = {card.name: card for column in shown.columns for card in column.cards}
    for deal in crowd:
        card, marks = cards[deal.name], marks_of(deal, clock.today())
        assert (card.quiet_days is not None) == ("rotting" in marks), deal.name
        assert (card.status == "open" and card.step is None) == ("no_step" in marks), deal.name
        is_late = card.step_due_at is not None and clock.day_of(card.step_due_at) < clock.today()
        assert (card.status == "open" and is_late) == ("overdue" in marks), deal.name
        assert card.step_due_at == deal.next_due_at


def test_of_several_open_tasks_the_earliest_is_shown_and_one_without_a_day_comes_last(
    stages: Stages, pipeline: Pipeline, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"])
    for subject, due in (
        ("Some day", None),
        ("Later", noon + timedelta(days=3)),
        ("First", noon),
        ("Second", noon),
    ):
        save(Activity(type="task", subject=subject, deal=deal, due_at=due))
    shown = board.fill(db.session(), board.load(db.session(), pipeline.id))
    assert [card.step for column in shown.columns for card in column.cards] == ["First"]


def test_the_chips_are_links_that_say_what_is_on_and_keep_each_other(
    client: Browser, crowd: list[Deal], pipeline: Pipeline, marek: User
) -> None:
    page = sign_in(client, marek).get(f"/pipelines/{pipeline.id}?rotting=1&q=Deal").text
    links = dict(re.findall(r'<a class="chip" href="([^"]*)"[^>]*>(?:<svg.*?</svg>)?([A-Z][^<]*) <b', page))
    by_words = {words: address.replace("&amp;", "&") for address, words in links.items()}
    assert set(by_words) == {"My deals", "Rotting", "Step overdue", "No next step"}
    assert by_words["Rotting"].endswith("?q=Deal"), "off again"
    assert by_words["Step overdue"].endswith("?q=Deal&rotting=1&overdue=1")
    assert page.count('aria-current="true"') == 1


def test_above_a_thousand_they_only_say_that_there_are_more(
    client: Browser, stages: Stages, pipeline: Pipeline, marek: User
) -> None:
    row = {column.key: getattr(make_deal(stages["Lead"]), column.key) for column in Deal.__table__.columns}
    more = [{**row, "id": new_id()} for _ in range(attention.MOST)]
    changes.commit(lambda session: bool(session.execute(insert(Deal), more)), cause="bookkeeping")
    page = sign_in(client, marek).get(f"/pipelines/{pipeline.id}").text
    assert "No next step <b>1,000+</b>" in page


def test_one_statement_counts_all_whatever_the_number_of_stages(crowd: list[Deal], stages: Stages) -> None:
    ids = [stage.id for stage in stages.values()]
    with count_statements() as statements:
        attention.count(db.session(), ids, attention.dates([(stage, 5) for stage in ids]))
    assert len(statements) == 1


def plans(database: str, pipeline: Pipeline, chosen: Filter) -> str:
    """How the database goes about everything that a board asks of it."""
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        board.fill(db.session(), board.load(db.session(), pipeline.id, chosen))
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    connection = db.session.connection()
    if database == "postgresql":  # a handful of rows is read whole unless that is forbidden
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN"
    found = [row for each in asked for row in connection.exec_driver_sql(f"{explain} {each[0]}", each[1])]
    return "\n".join(str(row[-1]) for row in found)


def test_the_databases_find_them_by_their_indexes(
    database: str, crowd: list[Deal], pipeline: Pipeline
) -> None:
    plan = plans(database, pipeline, Filter())
    # Of several indexes that serve, PostgreSQL takes any for so few rows.
    known = ("ix_deals_quiet", "ix_deals_due", "ix_activities_next_step", "ix_deals_board")
    assert database == "postgresql" or all(index in plan for index in known), plan
    assert not re.search(r"(SCAN|Seq Scan on) (deals|activities)", plan), plan
