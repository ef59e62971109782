"""My tasks: by when they are due in the company's calendar, whose they are, ticked off and opened again."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from crmweb import clock
from crmweb.extensions import db
from crmweb.forms.activities import due_on
from crmweb.models import Activity, Deal, Stage, User
from crmweb.queries import tasks
from tests.support.deals import edit, fresh
from tests.support.factories import make_deal, make_entity, make_rule, save
from tests.support.forms import read
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import count_statements

HTMX = {"HX-Request": "true"}
MONDAY = date(2026, 3, 2)
Stages = dict[str, Stage]


@pytest.fixture
def deal(stages: Stages, priya: User, noon: datetime) -> Deal:
    return make_deal(stages["Lead"], "Night couriers", owner=priya, by=priya)


def add(deal: Deal | None, subject: str, days: int | None, owner: User | None, **fields: Any) -> Activity:
    """A task for `owner`, due so many days after this Monday."""
    due = None if days is None else due_on(MONDAY + timedelta(days=days))
    on = {"deal": deal} if deal else {"entity": make_entity(f"{subject} & Co")}
    return save(Activity(type="task", subject=subject, due_at=due, assigned_to=owner, **on, **fields))


def shown(page: str) -> dict[str, list[str]]:
    """The subjects under each heading, as the page has them."""
    parts = re.split(r'<h2 id="tasks-\w+"[^>]*>', page)[1:]
    found = {}
    for part in parts:
        words = re.match(r"[\w ]+", part)
        assert words
        found[words[0].strip()] = re.findall(r'<li class="task".*?<p>(.*?)</p>', part, re.DOTALL)
    return found


def test_they_stand_under_the_days_by_which_people_plan(
    client: Browser, deal: Deal, priya: User, tom: User
) -> None:
    add(deal, "Yesterday", -1, priya)
    add(deal, "Long ago", -40, priya)
    add(deal, "Today", 0, priya)
    add(deal, "Tomorrow", 1, priya)
    add(deal, "Sunday", 6, priya)
    add(deal, "Next Monday", 7, priya)
    add(None, "Some day", None, priya)
    add(deal, "Not hers", 0, tom)
    add(deal, "Nobody's", 0, None)
    add(deal, "Done", 0, priya, completed_at=clock.now())
    page = sign_in(client, priya).get("/tasks?who=all").text
    assert shown(page) == {
        "Overdue": ["Long ago", "Yesterday"], "Today": ["Today"], "This week": ["Tomorrow", "Sunday"],
        "Later": ["Next Monday"], "No day": ["Some day"],
    }  # fmt: skip
    assert "2 overdue" in page
    assert "Everybody" not in page, "a rep sees one's own"
    assert f'href="/deals/{deal.id}">Night couriers</a>' in page
    assert "Some day &amp; Co" in page


def test_on_a_sunday_the_week_is_over(client: Browser, deal: Deal, priya: User) -> None:
    with clock.at(datetime.fromisoformat("2026-03-08T12:00:00+00:00")):
        add(deal, "Sunday", 6, priya)
        add(deal, "Monday", 7, priya)
        assert shown(sign_in(client, priya).get("/tasks").text) == {"Today": ["Sunday"], "Later": ["Monday"]}


def test_a_manager_sees_ones_own_or_everybodys(client: Browser, deal: Deal, priya: User, marek: User) -> None:
    add(deal, "Hers", 0, priya)
    add(deal, "His", 0, marek)
    add(deal, "Nobody&#39;s", 0, None)
    page = sign_in(client, marek)
    assert shown(page.get("/tasks").text) == {"Today": ["His"]}
    everybody = page.get("/tasks?who=all").text
    assert len(shown(everybody)["Today"]) == 3
    assert "Priya Nair" in everybody
    assert "for nobody yet" in everybody


def test_what_is_on_a_deleted_deal_is_not_to_be_done(client: Browser, deal: Deal, priya: User) -> None:
    add(deal, "Call", 0, priya)
    edit(deal, deleted_at=clock.now())
    assert "Nothing is to do for you." in sign_in(client, priya).get("/tasks").text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_task_is_ticked_off_and_opened_again(
    client: Browser, deal: Deal, priya: User, headers: dict[str, str]
) -> None:
    task = add(deal, "Call", -1, priya)
    other = add(deal, "Write", 3, priya)
    form = read(sign_in(client, priya).get("/tasks")).form(f"/tasks/{task.id}/completion")
    answer = form.send(client, headers=headers)
    assert answer.status_code == (200 if headers else 303)
    page = answer.text if headers else client.get(answer.location).text
    assert "Done: Call." in page
    assert shown(page) == {"This week": ["Write"]}
    assert fresh(deal).next_due_at == other.due_at
    assert fresh(deal).last_human_activity_at == clock.now()
    again = client.post(f"/tasks/{task.id}/completion", data={"done": "0"}, headers=headers)
    assert again.status_code == (200 if headers else 303)
    assert fresh(deal).next_due_at == due_on(MONDAY - timedelta(days=1))


def test_another_reps_task_is_not_mine_to_tick_off(
    client: Browser, deal: Deal, priya: User, tom: User
) -> None:
    task = add(deal, "Call", 0, priya)
    assert sign_in(client, tom).post(f"/tasks/{task.id}/completion").status_code == 403
    assert fresh(deal).next_due_at is not None


def test_a_rule_that_stops_a_tick_is_named(client: Browser, deal: Deal, priya: User) -> None:
    task = add(deal, "Call", 0, priya)
    unset = {"type": "update_field", "config": {"field_name": "subject", "value": "{activity.description}"}}
    make_rule("Keep it", entity_type="Activity", trigger_event="update", actions=[unset], on_failure="undo")
    answer = sign_in(client, priya).post(f"/tasks/{task.id}/completion", headers=HTMX)
    assert answer.status_code == 422
    assert "Keep it" in answer.text
    assert "Keep it" in client.get(client.post(f"/tasks/{task.id}/completion").location).text


def test_a_long_part_has_pages_and_loses_nothing(client: Browser, deal: Deal, priya: User) -> None:
    rows = [Activity(type="task", subject=f"T{n:03}", due_at=due_on(MONDAY - timedelta(days=1 + n % 3)),
                     deal=deal, assigned_to=priya) for n in range(tasks.PAGE + 30)]  # fmt: skip
    undated = [
        Activity(type="task", subject=f"U{n:03}", deal=deal, assigned_to=priya) for n in range(tasks.PAGE + 5)
    ]
    save(*rows, *undated)
    first = sign_in(client, priya).get("/tasks").text
    assert f"{len(rows)} overdue" in first
    for key, words, count in (("overdue", "Overdue", len(rows)), ("no_day", "No day", len(undated))):
        link = re.search(rf'href="(/tasks\?[^"]*when={key}[^"]*)"', first)
        assert link
        rest = client.get(link[1].replace("&amp;", "&")).text
        found = shown(first)[words] + shown(rest)[words]
        assert (len(found), len(set(found))) == (count, count)
        assert "All tasks" in rest


def test_the_page_asks_the_same_few_things_however_many_tasks(
    client: Browser, deal: Deal, priya: User, database: str
) -> None:
    counts = []
    for number in (1, 60):
        save(*[Activity(type="task", subject=f"T{n}", deal=deal, assigned_to=priya) for n in range(number)])
        with count_statements() as statements:
            sign_in(client, priya).get("/tasks")
        counts.append(len(statements))
    assert counts[0] == counts[1]
    asked: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    tasks.load(db.session(), priya.id)
    event.remove(db.engine, "before_cursor_execute", note)
    connection = db.session.connection()
    if database == "postgresql":
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    explain = "EXPLAIN QUERY PLAN" if database == "sqlite" else "EXPLAIN"
    plan = "\n".join(
        str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {asked[-1][0]}", asked[-1][1])
    )
    assert re.search("ix_activities_(to_do|due)", plan), plan
    assert not re.search(r"(SCAN|Seq Scan on) (deals|activities|entities)\b", plan), plan
