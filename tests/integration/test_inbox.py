"""The inbox: by day, unread and read, one's own alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.models import Deal, Notification, RuleMute, Stage, User, WorkflowRule
from crmweb.queries import notifications
from crmweb.queries import sign_in as sign_in_queries
from crmweb.workflow.world import count_failure
from tests.conftest import NOON
from tests.support.factories import make_deal, make_entity, make_person, make_rule, save
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.statements import plans
from tests.support.words import text

Stages = dict[str, Stage]


@pytest.fixture
def priyas(app: Flask, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(app.test_client(), priya)


def tell(person: User, subject: str = "News", **fields: Any) -> Notification:
    return save(Notification(**{"user_id": person.id, "kind": "rule", "subject": subject, **fields}))


def unread_of(browser: Browser) -> str:
    """What the bell says."""
    found = re.search(r'aria-label="Inbox, ([^"]*)"', browser.get("/notifications").text)
    assert found
    return found[1]


def subjects(browser: Browser, url: str = "/notifications") -> list[str]:
    page = browser.get(url).text
    return [text(notice) for notice in re.findall(r'<li class="notice.*?</li>', page, flags=re.DOTALL)]


def test_an_empty_inbox_says_what_will_come(priyas: Browser) -> None:
    assert "Nothing new. You will hear about" in text(priyas.get("/notifications"))
    assert unread_of(priyas) == "nothing unread"
    assert "Mark all read" not in priyas.get("/notifications").text


def test_a_rules_message_arrives_with_its_deal_and_whose_change_it_was(
    session: Session, priyas: Browser, priya: User, marek: User, stages: Stages
) -> None:
    send = {"type": "send_notification", "config": {"message": "{deal.name} is yours: {deal.amount}"}}
    make_rule("Tell", actions=[send])
    deal = make_deal(stages["Lead"], "Fleet", owner=priya, by=marek)
    assert subjects(priyas)[0].startswith(
        "Unread Fleet is yours: 50,000 Fleet. Rule “Tell”, after Marek Nowak’s change Open the deal Mark read"
    )
    assert f'href="/deals/{deal.id}"' in priyas.get("/notifications").text
    assert unread_of(priyas) == "1 unread"


def test_notices_stand_by_day_in_the_persons_zone_newest_first(
    session: Session, app: Flask, priya: User
) -> None:
    changes.commit(lambda s: setattr(s.get_one(User, priya.id), "timezone", "Pacific/Auckland"))
    for hours, subject in ((0, "Now"), (2, "Before midnight there"), (30, "The day before")):
        with clock.at(NOON - timedelta(hours=hours)):
            tell(priya, subject)
    with clock.at(NOON):
        page = sign_in(app.test_client(), priya).get("/notifications").text
    days = re.findall(r"<h2>(.*?)</h2>|<p><?a?[^>]*>?(Now|Before midnight there|The day before)", page)
    assert [day or subject for day, subject in days] == [
        "Today",
        "Now",
        "Yesterday",
        "Before midnight there",
        "Sun 1 Mar",
        "The day before",
    ]


def test_the_bell_counts_up_to_99_because_every_request_counts(
    session: Session, priyas: Browser, priya: User, database: str
) -> None:
    save(*[Notification(user_id=priya.id, kind="rule", subject=f"News {n}") for n in range(102)])
    assert unread_of(priyas) == "more than 99 unread"
    asked = plans(lambda: session.scalar(select(sign_in_queries._unread).where(User.id == priya.id)))
    assert database == "postgresql" or "ix_notifications_unread" in asked, asked
    assert len(subjects(priyas)) == notifications.SHOWN


def test_one_is_marked_read_by_its_button(session: Session, priyas: Browser, priya: User) -> None:
    first, _ = tell(priya, "First"), tell(priya, "Second")
    answer = priyas.post(f"/notifications/{first.id}/reading", data={"show": ""})
    assert (answer.status_code, answer.location) == (303, f"/notifications#notice-{first.id}")
    assert unread_of(priyas) == "1 unread"
    assert [line.startswith("Unread") for line in subjects(priyas)] == [True, False]
    assert [line.split()[1] for line in subjects(priyas, "/notifications?show=unread")] == ["Second"]


def test_opening_what_it_is_about_marks_it_read(priyas: Browser, priya: User, stages: Stages) -> None:
    deal, entity, rule = make_deal(stages["Lead"]), make_entity("Acme"), make_rule("Tell")
    for notice, place in (
        (tell(priya, deal_id=deal.id), f"/deals/{deal.id}"),
        (tell(priya, entity_id=entity.id), f"/entities/{entity.id}"),
        (tell(priya, kind="warning", rule_id=rule.id), f"/rules/{rule.id}"),
        (tell(priya), "/notifications"),
    ):
        answer = priyas.post(f"/notifications/{notice.id}/reading", data={"open": "1"})
        assert (answer.status_code, answer.location) == (303, place)
        if place != "/notifications":
            assert priyas.get(place).status_code == 200
    assert unread_of(priyas) == "nothing unread"


def test_all_are_marked_read_at_once_but_nobody_elses(
    session: Session, priyas: Browser, priya: User, marek: User
) -> None:
    for _ in range(3):
        tell(priya)
    tell(marek)
    assert (
        priyas.post("/notifications/reading", data={"show": "unread"}).location
        == "/notifications?show=unread"
    )
    assert unread_of(priyas) == "nothing unread"
    assert "Everything is read." in text(priyas.get("/notifications?show=unread"))
    assert notifications.unread(session, marek.id) == 1


def test_what_was_read_keeps_the_moment_when_it_was_first_read(
    session: Session, priyas: Browser, priya: User
) -> None:
    notice = tell(priya)
    for _ in range(2):
        priyas.post(f"/notifications/{notice.id}/reading")
        session.rollback()
        first = session.scalar(select(Notification.read_at).where(Notification.id == notice.id))
    priyas.post("/notifications/reading")
    session.rollback()
    assert session.scalar(select(Notification.read_at).where(Notification.id == notice.id)) == first


def test_anothers_notice_is_not_there(session: Session, priyas: Browser, marek: User) -> None:
    theirs = tell(marek, "For Marek alone")
    assert "For Marek alone" not in priyas.get("/notifications").text
    assert priyas.post(f"/notifications/{theirs.id}/reading").status_code == 404
    assert priyas.post(f"/notifications/{theirs.id}/reading", data={"open": "1"}).status_code == 404
    assert notifications.unread(session, marek.id) == 1


def test_what_was_taken_back_is_gone(session: Session, priyas: Browser, priya: User) -> None:
    withdrawn = tell(priya, "Never mind", withdrawn_at=clock.now())
    assert subjects(priyas) == []
    assert unread_of(priyas) == "nothing unread"
    assert priyas.post(f"/notifications/{withdrawn.id}/reading").status_code == 404


def test_a_deleted_deal_is_named_no_more_and_leads_nowhere(
    priyas: Browser, priya: User, stages: Stages
) -> None:
    deal = make_deal(stages["Lead"], "Fleet", owner=priya)
    tell(priya, "It moved", deal_id=deal.id)
    changes.commit(lambda s: setattr(s.get_one(Deal, deal.id), "deleted_at", clock.now()))
    page = priyas.get("/notifications").text
    assert "It moved" in page
    assert f"/deals/{deal.id}" not in page


def test_older_notices_are_a_page_away(priyas: Browser, priya: User) -> None:
    with clock.at(NOON):
        save(*(Notification(user_id=priya.id, kind="note", subject=f"N{number}") for number in range(120)))
    url, seen = "/notifications", []
    for _ in range(4):
        page = priyas.get(url).text
        seen += re.findall(r"<p>(N\d+)</p>", page)
        older = re.search(r'<p class="rest"><a href="([^"]+)"', page)
        if not older:
            break
        url = older[1].replace("&amp;", "&")
    assert sorted(seen) == sorted(f"N{number}" for number in range(120))
    assert len(seen) == len(set(seen))


def test_a_strange_address_is_the_plain_inbox(priyas: Browser, priya: User) -> None:
    tell(priya)
    for query in ("?show=everything", "?before=yesterday", "?before=", "?show=unread&show=all"):
        assert len(subjects(priyas, f"/notifications{query}")) == 1


def test_what_a_subject_holds_is_text_and_nothing_else(priyas: Browser, priya: User) -> None:
    tell(priya, "<script>alert(1)</script>", detail="<b>bold</b>")
    page = priyas.get("/notifications").text
    assert "<script>alert" not in page
    assert "&lt;b&gt;bold" in page


# Muting ------------------------------------------------------------------------------------------------------------


def news_of(session: Session, person: User) -> int:
    session.rollback()
    return notifications.unread(session, person.id)


@pytest.fixture
def telling(app: Flask) -> WorkflowRule:
    """A rule that tells owners of their new deals."""
    send = {"type": "send_notification", "config": {"message": "{deal.name} is yours"}}
    return make_rule("Tell", actions=[send])


def test_a_rule_that_was_muted_is_not_heard_any_more_and_can_be_heard_again(
    session: Session, priyas: Browser, priya: User, stages: Stages, telling: WorkflowRule
) -> None:
    make_deal(stages["Lead"], "First", owner=priya)
    assert "Mute this rule: Tell" in priyas.get("/notifications").text
    for _ in range(2):
        answer = priyas.post(f"/notifications/rules/{telling.id}/muting", data={"at": "muted"})
        assert (answer.status_code, answer.location) == (303, "/notifications#muted")
    page = text(priyas.get("/notifications"))
    assert "You hear no more of Tell." in page
    assert "Rules that you have muted Tell Hear it again" in page
    make_deal(stages["Lead"], "Second", owner=priya)
    assert news_of(session, priya) == 1
    priyas.post(f"/notifications/rules/{telling.id}/hearing")
    assert "Rules that you have muted" not in priyas.get("/notifications").text
    make_deal(stages["Lead"], "Third", owner=priya)
    assert news_of(session, priya) == 2


def test_rules_tell_those_who_are_there_now_and_in_the_role_that_they_have_now(
    session: Session, app: Flask, priya: User, marek: User, stages: Stages
) -> None:
    """Who there is to be told is kept with the rules; whatever changes it must be heard of at once."""
    make_rule("Tell", actions=[{"type": "send_notification", "config": {"to": "managers"}}])
    heard = []

    def happen(work: Callable[[Session], object] | None = None) -> None:
        changes.commit(work)
        make_deal(stages["Lead"])
        heard.append([news_of(session, person) for person in (priya, marek)])

    happen()
    happen(lambda session: User.locked(session, priya.id).change_role("manager"))
    happen(lambda session: User.locked(session, marek.id).deactivate())
    happen(lambda session: User.locked(session, marek.id).reactivate())
    happen(lambda session: User.locked(session, priya.id).change_role("rep"))
    newcomer = make_person("Newcomer", role="manager")
    happen()
    assert heard == [[0, 1], [1, 2], [2, 2], [3, 3], [3, 4], [3, 5]]
    assert news_of(session, newcomer) == 1


def test_muting_is_ones_own_and_the_rules_log_tells_of_it(
    session: Session,
    priyas: Browser,
    priya: User,
    marek: User,
    ann: User,
    stages: Stages,
    telling: WorkflowRule,
) -> None:
    priyas.post(f"/notifications/rules/{telling.id}/muting")
    make_deal(stages["Lead"], "Hers", owner=priya)
    make_deal(stages["Lead"], "His", owner=marek)
    assert [news_of(session, person) for person in (priya, marek, ann)] == [0, 1, 0]
    log = text(priyas.get(f"/rules/{telling.id}"))
    assert "Notified nobody: “Hers is yours” (muted by Priya Nair)" in log
    assert "Notified Marek Nowak: “His is yours”" in log


def test_nobody_mutes_for_somebody_else_whatever_the_request_says(
    session: Session, priyas: Browser, priya: User, marek: User, telling: WorkflowRule
) -> None:
    forged = {"user_id": marek.id, "person_id": marek.id, "at": "muted\r\nX-Evil: 1"}
    answer = priyas.post(f"/notifications/rules/{telling.id}/muting?user_id={marek.id}", data=forged)
    assert (answer.status_code, answer.location) == (303, "/notifications#muted%0D%0AX-Evil:%201")
    assert "X-Evil" not in answer.headers
    mutes = select(RuleMute.user_id)
    assert session.scalars(mutes).all() == [priya.id]
    changes.commit(lambda session: session.add(RuleMute(user_id=marek.id, rule_id=telling.id)))
    priyas.post(f"/notifications/rules/{telling.id}/hearing", data=forged)
    session.rollback()
    assert session.scalars(mutes).all() == [marek.id]


def test_a_rule_that_is_not_there_cannot_be_muted(session: Session, priyas: Browser) -> None:
    for act in ("muting", "hearing"):
        assert priyas.post(f"/notifications/rules/{uuid4()}/{act}").status_code == 404
    assert session.scalars(select(RuleMute.user_id)).all() == []


def test_that_a_rule_was_paused_is_heard_even_by_an_admin_who_muted_it(
    session: Session, app: Flask, ann: User, telling: WorkflowRule
) -> None:
    sign_in(app.test_client(), ann).post(f"/notifications/rules/{telling.id}/muting")
    telling_id = telling.id
    for _ in range(5):
        changes.commit(lambda session: count_failure(session, telling_id, "the stage is gone"))
    assert news_of(session, ann) == 1
