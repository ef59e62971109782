"""A deal's next step and its sleep: added, changed, ticked off, by whom it may be, with and without scripts."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from crmweb import clock
from crmweb.extensions import db
from crmweb.forms.activities import due_on
from crmweb.models import Activity, Deal, Stage, User
from tests.support.deals import fresh
from tests.support.factories import make_deal, make_rule, save
from tests.support.forms import form_at, read
from tests.support.outside import Browser
from tests.support.people import sign_in

HTMX = {"HX-Request": "true"}
TODAY = date(2026, 3, 2)
Stages = dict[str, Stage]


@pytest.fixture
def deal(stages: Stages, priya: User, noon: datetime) -> Deal:
    """Priya's deal on a Monday."""
    return make_deal(stages["Lead"], "Night couriers", owner=priya, by=priya)


@pytest.fixture
def page(client: Browser, priya: User) -> Browser:
    return sign_in(client, priya)


def make_task(deal: Deal, by: User | None = None, **fields: Any) -> Activity:
    plain = {"type": "task", "subject": "Call", "deal": deal, "due_at": due_on(TODAY)}
    return save(Activity(**{**plain, **fields}), by=by)


def tasks(deal: Deal) -> list[tuple[str, date | None, str | None, bool]]:
    """Subject, day, doer and tick of the deal's tasks."""
    db.session.expire_all()
    rows = select(Activity, User.name).outerjoin(User, User.id == Activity.assigned_to_id)
    found = db.session.execute(rows.where(Activity.deal_id == deal.id, Activity.type == "task")).all()
    return [
        (task.subject, task.due_at and clock.day_of(task.due_at), name, task.is_completed)
        for task, name in found
    ]


def url(deal: Deal, what: str = "next-step") -> str:
    return f"/deals/{deal.id}/{what}"


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ("today", TODAY),
        ("tomorrow", TODAY + timedelta(days=1)),
        ("in_3_days", TODAY + timedelta(days=3)),
        ("next_week", date(2026, 3, 9)),
        ("on", date(2026, 4, 1)),
        ("", None),
    ],
)
def test_a_next_step_is_added_in_the_words_in_which_people_say_when(
    page: Browser, deal: Deal, when: str, day: date | None
) -> None:
    form = form_at(page, url(deal))
    assert form.fields["when"] == "tomorrow"
    answer = form.send(page, subject="Send the offer", when=when, due_on="2026-04-01", act="save")
    assert answer.status_code == 303
    assert answer.location.endswith(f"#deal-{deal.id}")
    assert tasks(deal) == [("Send the offer", day, "Priya Nair", False)]
    assert fresh(deal).next_due_at == due_on(day)


def test_what_is_missing_is_said_beside_its_field_and_what_was_typed_stays(page: Browser, deal: Deal) -> None:
    form = form_at(page, url(deal))
    answer = form.send(page, subject=" ", when="on", due_on="", act="save")
    assert answer.status_code == 422
    errors = read(answer).errors
    assert errors == {"subject": "What is to do? Write it in a few words.", "due_on": "Choose the day."}
    answer = form.send(page, subject="Call", when="on", due_on="next Friday", act="save")
    assert "next Friday" in answer.text
    assert "is not a day" in read(answer).errors["due_on"]
    assert form.send(page, subject="Call", when="soon").status_code == 422
    assert tasks(deal) == []


def test_it_is_changed_and_nobody_elses_change_is_lost(page: Browser, deal: Deal, priya: User) -> None:
    make_task(deal, by=priya)
    form = form_at(page, url(deal))
    assert (form.fields["subject"], form.fields["when"], form.fields["due_on"]) == (
        "Call",
        "on",
        "2026-03-02",
    )
    form_at(page, url(deal)).send(page, subject="Call Olga", act="save")
    refused = form.send(page, subject="Write to Olga", act="save")
    assert refused.status_code == 409
    assert "Call Olga" in refused.text
    assert form.send(page, when="next_week", act="save").status_code == 303
    assert tasks(deal) == [("Call Olga", date(2026, 3, 9), None, False)]


def test_it_is_ticked_off_and_the_page_asks_what_comes_next(page: Browser, deal: Deal, priya: User) -> None:
    make_task(deal, by=priya)
    answer = form_at(page, url(deal)).send(page, act="done", subject="")
    assert answer.status_code == 303
    assert answer.location.endswith("/next-step")
    shown = page.get(answer.location).text
    assert "Done: Call." in shown
    assert "Add next step" in shown
    assert tasks(deal) == [("Call", TODAY, None, True)]


def test_over_the_board_the_answer_draws_the_column_and_asks_on(
    page: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    form = form_at(page, url(deal))
    added = form.send(page, headers=HTMX, subject="Send the offer", when="tomorrow", act="save")
    assert added.status_code == 200
    assert f'hx-target="#stage-{stages["Lead"].id}"' in added.text
    assert "Send the offer</span>, tomorrow" in added.text
    assert re.search(r'hx-target="#move-dialog" hx-swap="innerHTML"></hx-partial>', added.text), "it closes"
    done = form_at(page, url(deal)).send(page, headers=HTMX, act="done")
    assert "Done: Send the offer." in done.text
    assert "What is next?" in done.text
    assert "Add next step" in done.text


def test_an_open_panel_shows_the_step_too(page: Browser, deal: Deal, priya: User) -> None:
    make_task(deal, by=priya, assigned_to=priya)
    panel = page.get(f"/deals/{deal.id}", headers=HTMX).text
    assert "<b>Call</b>" in panel
    assert "Done or change" in panel
    answer = form_at(page, url(deal)).send(page, headers=HTMX, act="done", view=f"deal={deal.id}")
    assert f"data-open-deal='{deal.id}'" in answer.text
    assert "No next step." in answer.text


def test_a_rules_task_can_be_ticked_off_by_whom_it_is_for_but_not_changed(
    page: Browser, deal: Deal, priya: User, tom: User
) -> None:
    task = make_task(deal, assigned_to=priya)
    shown = page.get(url(deal)).text
    assert 'value="done"' in shown
    assert 'name="subject"' not in shown
    sent = {"task_id": str(task.id), "subject": "Mine", "act": "save"}
    assert page.post(url(deal), data=sent).status_code == 403
    sign_in(page, tom)
    assert page.post(url(deal), data={"task_id": str(task.id), "act": "done"}).status_code == 403
    assert "Only whoever is to do it" in page.get(url(deal)).text
    assert tasks(deal) == [("Call", TODAY, "Priya Nair", False)]


def test_a_task_of_another_deal_or_of_none_is_not_there(
    page: Browser, deal: Deal, stages: Stages, priya: User
) -> None:
    other = make_task(make_deal(stages["Lead"], "Another", owner=priya), by=priya)
    for data in ({"task_id": str(other.id), "act": "done"}, {"act": "done"}):
        assert page.post(url(deal), data=data).status_code == 404
    assert not other.is_completed


def test_a_rule_that_stops_the_tick_is_named(page: Browser, deal: Deal, priya: User) -> None:
    make_task(deal, by=priya)
    unset = {"type": "update_field", "config": {"field_name": "subject", "value": "{activity.description}"}}
    make_rule(
        "Keep the words", entity_type="Activity", trigger_event="update", actions=[unset], on_failure="undo"
    )
    answer = form_at(page, url(deal)).send(page, act="done")
    assert answer.status_code == 422
    assert "Keep the words" in answer.text
    assert tasks(deal)[0][-1] is False


# Sleep ---------------------------------------------------------------------------------------------------------------


def test_a_deal_sleeps_until_a_day_because_of_something_and_is_woken(page: Browser, deal: Deal) -> None:
    before = fresh(deal).last_human_activity_at
    with clock.at(datetime(2026, 3, 2, 15, tzinfo=UTC)):
        answer = form_at(page, url(deal, "snooze")).send(
            page, snoozed_until="2026-03-20", snooze_reason="On leave", act="snooze"
        )
    assert answer.status_code == 303
    assert (fresh(deal).snoozed_until, fresh(deal).snooze_reason) == (date(2026, 3, 20), "On leave")
    assert fresh(deal).last_human_activity_at == before
    shown = page.get(f"/deals/{deal.id}").text
    assert "Sleeps until" in shown
    assert "On leave" in shown
    assert "Sleeps until 20 Mar" in page.get(answer.location.partition("#")[0]).text
    form_at(page, url(deal, "snooze")).send(page, act="wake", snoozed_until="", snooze_reason="")
    assert (fresh(deal).snoozed_until, fresh(deal).snooze_reason) == (None, None)


@pytest.mark.parametrize(
    ("until", "reason", "field"),
    [("2026-03-02", "On leave", "snoozed_until"), ("", "On leave", "snoozed_until"),
     ("2026-03-20", " ", "snooze_reason"), ("2026-03-20", "x" * 301, "snooze_reason")],
)  # fmt: skip
def test_a_sleep_needs_a_day_to_come_and_a_reason(
    page: Browser, deal: Deal, until: str, reason: str, field: str
) -> None:
    for headers in ({}, HTMX):
        answer = form_at(page, url(deal, "snooze")).send(
            page, headers=headers, snoozed_until=until, snooze_reason=reason, act="snooze"
        )
        assert answer.status_code == 422
        assert list(read(answer).errors) == [field]
    assert fresh(deal).snoozed_until is None


def test_a_closed_deal_cannot_sleep(page: Browser, stages: Stages, priya: User, noon: datetime) -> None:
    won = make_deal(stages["Closed Won"], owner=priya)
    form = form_at(page, url(won, "snooze"))
    answer = form.send(page, snoozed_until="2026-03-20", snooze_reason="On leave")
    assert "Only an open deal can sleep" in read(answer).errors["snoozed_until"]
    assert fresh(won).snoozed_until is None


def test_another_reps_deal_is_not_mine_to_snooze(page: Browser, deal: Deal, tom: User) -> None:
    sign_in(page, tom)
    assert page.get(url(deal, "snooze")).status_code == 403
    assert page.post(url(deal, "snooze"), data={"act": "wake"}).status_code == 403


def test_the_stage_bar_shows_how_much_of_the_quiet_time_is_used(
    page: Browser, deal: Deal, stages: Stages, noon: datetime
) -> None:
    stages["Lead"].rot_days = 10
    save(stages["Lead"])
    with clock.at(noon + timedelta(days=4)):
        shown = page.get(f"/deals/{deal.id}").text
    assert "quiet 4 of 10" in shown
    assert '<rect width="40.0%"' in shown
