"""The demo company's story as a plan: nobody acts in the future, on a Sunday, or out of order."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crmweb.seeds import company, deals, talk
from crmweb.seeds.acts import Act, Completed, Edited, Moved, Opened, Planned, Said
from crmweb.seeds.plan import Calendar, plan

MOMENTS = [
    datetime(2026, 3, 2, 0, 1, tzinfo=UTC),  # a Monday, just begun
    datetime(2026, 3, 4, 12, 0, tzinfo=UTC),
    datetime(2026, 3, 7, 23, 59, tzinfo=UTC),  # a Saturday
    datetime(2026, 1, 1, 9, 0, tzinfo=UTC),
    datetime(2028, 2, 29, 18, 0, tzinfo=UTC),
]
ZONES = ["UTC", "Pacific/Auckland", "America/Los_Angeles"]
STANDS = {stand.name: stand for stand in (*deals.SALES, *deals.RENEWALS)}


@pytest.fixture(params=MOMENTS, ids=str)
def now(request: pytest.FixtureRequest) -> datetime:
    return request.param


@pytest.fixture(params=ZONES)
def calendar(request: pytest.FixtureRequest, now: datetime) -> Calendar:
    return Calendar(now, ZoneInfo(request.param))


def of_deals(acts: list[Act]) -> dict[str, list[Act]]:
    by_deal: dict[str, list[Act]] = {}
    for act in acts:
        if name := getattr(act, "deal", None):
            by_deal.setdefault(name, []).append(act)
    return by_deal


def test_everything_is_past_and_in_order(calendar: Calendar, now: datetime) -> None:
    acts = plan(calendar)
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    assert acts[-1].at < now
    assert now - acts[0].at < timedelta(days=100)


def test_each_deal_is_opened_first_and_ends_where_it_stands(calendar: Calendar) -> None:
    stories = of_deals(plan(calendar))
    assert set(stories) == set(STANDS)
    for name, acts in stories.items():
        first, *rest = acts
        assert isinstance(first, Opened)
        assert not any(isinstance(act, Opened) for act in rest)
        moves = [act.stage for act in acts if isinstance(act, Opened | Moved)]
        assert moves[-1] == STANDS[name].stage
        assert all(old != new for old, new in itertools.pairwise(moves))


def test_corrections_lead_to_todays_amount_and_closing_day(calendar: Calendar) -> None:
    for name, acts in of_deals(plan(calendar)).items():
        stand, amount, closes = STANDS[name], None, None
        for act in acts:
            if isinstance(act, Opened):
                amount, closes = act.amount, act.closes
            elif isinstance(act, Edited):
                amount, closes = act.amount or amount, act.closes or closes
        assert amount == stand.amount
        expected = None if stand.closes is None else calendar.today + timedelta(days=stand.closes)
        assert closes == expected


def test_nobody_works_at_weekends_but_today(calendar: Calendar) -> None:
    today = calendar.now.astimezone(calendar.zone).date()
    days = {act.at.astimezone(calendar.zone).date() for act in plan(calendar)}
    weekends = {day for day in days if day.weekday() >= 5 and day < today - timedelta(days=1)}
    assert not weekends


def test_tasks_are_due_after_they_were_set_and_done_after_too(calendar: Calendar) -> None:
    planned: dict[tuple[str, str], datetime] = {}
    for act in plan(calendar):
        if isinstance(act, Planned):
            assert act.due > act.at
            planned[act.deal, act.subject] = act.at
        elif isinstance(act, Completed):
            assert act.at > planned[act.deal, act.subject]


def test_the_same_moment_tells_the_same_story(now: datetime) -> None:
    assert plan(Calendar(now, UTC)) == plan(Calendar(now, UTC))


def test_the_company_is_as_large_as_a_demo_should_be() -> None:
    assert 110 <= len(STANDS) <= 130
    assert len(deals.SALES) >= 20
    assert len(company.CUSTOMERS) == 60
    assert len(company.PEOPLE) == 6
    currencies = Counter(stand.currency for stand in STANDS.values())
    assert set(currencies) == {"EUR", "USD"}
    assert currencies["EUR"] > 2 * currencies["USD"]


def test_names_meet() -> None:
    customers, people = {customer.name for customer in company.CUSTOMERS}, {one.key for one in company.PEOPLE}
    for stand in STANDS.values():
        assert stand.customer in customers
        assert stand.owner in people
        assert bool(stand.lost) == (stand.stage in (deals.LOST, deals.ENDED))
    assert set(talk.COMPLAINTS) <= set(STANDS)
    assert {*talk.GONE, *talk.ABOUT_CUSTOMERS} <= customers


def test_addresses_and_telephones_belong_to_nobody() -> None:
    assert all(person.email.endswith("@example.com") for person in company.PEOPLE)
    assert all(customer.mailbox.endswith(".example") for customer in company.CUSTOMERS)
    assert company.telephone("GB", 7) == "+44 20 7946 0007"


def test_what_is_said_between_two_moments_is_said_between_them() -> None:
    calendar, dice = Calendar(MOMENTS[1], UTC), random.Random(1)
    start, end = MOMENTS[1] - timedelta(minutes=4), MOMENTS[1]
    assert all(start < calendar.between(start, end, dice) < end for _ in range(100))


def test_people_talk() -> None:
    acts = plan(Calendar(MOMENTS[1], UTC))
    assert sum(isinstance(act, Said) for act in acts) > 150
    assert {act.saying.type for act in acts if isinstance(act, Said)} == {"call", "email", "event", "note"}
