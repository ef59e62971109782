"""What comes into an inbox goes out by e-mail too: held, sent once, tried again, stopped by an undo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from crmweb import changes, clock, config, deliver, worker
from crmweb.extensions import db
from crmweb.models import ChangeSet, Deal, Delivery, Notification, Stage, User, WorkflowRule
from crmweb.undo import undo
from tests.integration.test_worker import apart
from tests.support.factories import make_deal, make_rule
from tests.support.mailbox import Mailbox, open_mailbox
from tests.support.people import sign_in
from tests.support.words import text

Stages = dict[str, Stage]


@pytest.fixture
def mailbox(app: Flask) -> Iterator[Mailbox]:
    """A mail server that the settings name."""
    with open_mailbox() as server:
        mail_from = "Crmweb <crm@example.com>"
        config.use(replace(config.settings, smtp_url=server.url, mail_from=mail_from))
        yield server


@pytest.fixture
def telling(app: Flask) -> WorkflowRule:
    """A rule that tells owners of their new deals."""
    send = {"type": "send_notification", "config": {"message": "{deal.name} is yours"}}
    return make_rule("Tell", actions=[send])


def after(noon: datetime, **time: float) -> int:
    """Let the worker look at the outbox when so much time has passed; answers how many e-mails it tried."""
    with clock.at(noon + timedelta(**time)):
        return deliver.send_due(100)


def only() -> Delivery:
    db.session.rollback()
    return db.session.scalars(select(Delivery)).one()


def newest() -> object:
    db.session.rollback()
    return db.session.scalar(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1))


def test_a_notification_is_mailed_after_half_a_minute(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User, marek: User
) -> None:
    config.use(replace(config.settings, base_url="https://crm.example.com"))
    deal = make_deal(stages["Lead"], "Zoë’s fleet", owner=priya, by=marek)
    assert after(noon, seconds=29) == 0
    assert after(noon, seconds=31) == 1
    assert after(noon, hours=31) == 0
    [(recipient, letter)] = mailbox.letters
    assert recipient == priya.email
    assert (letter["To"], letter["From"]) == (priya.email, "Crmweb <crm@example.com>")
    assert letter["Subject"] == "Zoë’s fleet is yours"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"] == f"<{only().id}@example.com>"
    assert letter["Date"].datetime == noon + timedelta(seconds=31)
    body = letter.get_content().replace("\r\n", "\n")
    assert body.startswith("Zoë’s fleet is yours\n\nRule “Tell”, after Marek Nowak’s change")
    assert f"https://crm.example.com/deals/{deal.id}\n" in body
    assert only().sent_at == noon + timedelta(seconds=31)


def test_without_a_mail_server_nothing_is_made_or_sent(
    noon: datetime, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    assert db.session.scalar(select(func.count()).select_from(Notification)) == 1
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 0
    assert after(noon, hours=1) == 0


def test_without_an_address_of_the_site_there_is_no_link(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    after(noon, seconds=31)
    assert "/deals/" not in mailbox.letters[0][1].get_content()


def test_who_wants_no_mail_gets_none(
    app: Flask, noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    browser = sign_in(app.test_client(), priya)
    assert re.search(r'<input checked [^>]*name="gets_mail"', browser.get("/account").text)
    answer = browser.post("/account", data={"name": "Priya Nair", "timezone": "UTC", "locale": "en"})
    assert answer.status_code == 303
    make_deal(stages["Lead"], owner=priya)
    assert after(noon, seconds=31) == 0
    assert "checked" not in re.findall(r'<input [^>]*name="gets_mail"', browser.get("/account").text)[0]
    config.use(replace(config.settings, smtp_url=""))
    assert "gets_mail" not in browser.get("/account").text


def test_saving_the_account_without_a_mail_server_keeps_what_was_chosen(app: Flask, priya: User) -> None:
    browser = sign_in(app.test_client(), priya)
    assert (
        browser.post("/account", data={"name": "Priya", "timezone": "UTC", "locale": "en"}).status_code == 303
    )
    db.session.rollback()
    assert db.session.get_one(User, priya.id).gets_mail


def test_an_undo_stops_what_was_not_sent_and_undone_itself_it_is_sent(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya, by=priya)
    by = changes.Actor.of(priya)
    undone = undo(newest(), by)  # type: ignore[arg-type]
    assert after(noon, minutes=1) == 0
    with clock.at(noon + timedelta(minutes=2)):
        undo(undone.change_set_id, by)
    assert after(noon, minutes=2, seconds=29) == 0
    assert after(noon, minutes=2, seconds=31) == 1
    assert len(mailbox.letters) == 1


def test_a_server_that_cannot_be_reached_is_tried_less_and_less_and_then_no_more(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    with open_mailbox() as gone:
        pass
    config.use(replace(config.settings, smtp_url=gone.url))
    make_deal(stages["Lead"], owner=priya)
    waits, at = [], noon
    while only().failed_at is None:
        at = only().due_at
        waits.append(at - noon - sum(waits, timedelta()))
        assert after(at, seconds=-1) == 0
        assert after(at) == 1
        assert only().error == "Connection refused"
    assert waits == [timedelta(seconds=30), *deliver.BACK_OFF]
    config.use(replace(config.settings, smtp_url=mailbox.url))
    assert after(at, days=1) == 0
    assert mailbox.letters == []


def test_while_the_server_is_away_one_e_mail_tries_it_and_all_arrive_when_it_is_back(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    for name in ("One", "Two", "Three"):
        make_deal(stages["Lead"], name, owner=priya)
    with open_mailbox() as gone:
        pass
    config.use(replace(config.settings, smtp_url=gone.url))
    assert after(noon, minutes=1) == 1
    config.use(replace(config.settings, smtp_url=mailbox.url))
    assert after(noon, minutes=2) == 3
    assert sorted(letter["Subject"] for _, letter in mailbox.letters) == [
        "One is yours",
        "Three is yours",
        "Two is yours",
    ]


@pytest.mark.parametrize(
    ("answer", "is_final"), [("550 No such person", True), ("451 Come back later", False)], ids=["550", "451"]
)
def test_an_address_that_is_refused_for_good_is_not_tried_again(
    noon: datetime,
    mailbox: Mailbox,
    telling: WorkflowRule,
    stages: Stages,
    priya: User,
    answer: str,
    is_final: bool,
) -> None:
    mailbox.refuses = answer
    make_deal(stages["Lead"], owner=priya)
    assert after(noon, minutes=1) == 1
    assert (only().error, only().failed_at is not None) == (answer, is_final)
    mailbox.refuses = ""
    assert after(noon, minutes=3) == (0 if is_final else 1)


def test_whoever_left_meanwhile_gets_none(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    changes.commit(lambda session: User.locked(session, priya.id).deactivate())
    assert after(noon, minutes=1) == 0


def test_two_workers_send_each_once(
    app: Flask, noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    for number in range(12):
        make_deal(stages["Lead"], f"Deal {number:02}", owner=priya)

    def work() -> None:
        with app.app_context():
            after(noon, minutes=1)

    apart(work, work, work)
    assert sorted(letter["Subject"] for _, letter in mailbox.letters) == [
        f"Deal {number:02} is yours" for number in range(12)
    ]


def test_a_worker_that_died_while_sending_leaves_it_to_another_one(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    with clock.at(noon + timedelta(minutes=1)):
        changes.commit(deliver._claim, cause="bookkeeping")
    assert after(noon, minutes=10) == 0
    assert after(noon, minutes=12) == 1
    assert len(mailbox.letters) == 1


def test_a_name_with_line_breaks_adds_no_header(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Lead"], "Fleet", owner=priya)
    evil = "Fleet\r\nBcc: everybody@example.com\r\n\r\nHello"

    def rename(session: Session) -> None:
        Deal.locked(session, deal.id).name = evil

    make_rule(
        "Renamed",
        order=2,
        trigger_event="update",
        actions=[{"type": "send_notification", "config": {"message": "{deal.name}"}}],
    )
    changes.commit(rename)
    assert after(noon, minutes=1) == 2
    assert {letter["Bcc"] for _, letter in mailbox.letters} == {None}
    assert {recipient for recipient, _ in mailbox.letters} == {priya.email}


def test_an_address_that_no_server_could_read_is_given_up(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    changes.commit(
        lambda session: session.execute(update(Delivery).values(address="a@b\r\nBcc: c@d")),
        cause="bookkeeping",
    )
    assert after(noon, minutes=1) == 1
    assert only().failed_at is not None
    assert mailbox.letters == []


def test_the_log_of_e_mails_is_forgotten(
    noon: datetime, mailbox: Mailbox, telling: WorkflowRule, stages: Stages, priya: User
) -> None:
    make_deal(stages["Lead"], owner=priya)
    with clock.at(noon + timedelta(days=31)):
        done = worker.once()
    assert (done["E-mails tried"], done["E-mails forgotten"]) == (1, 1)


def test_the_rules_page_tells_how_far_its_e_mails_came(
    app: Flask,
    noon: datetime,
    mailbox: Mailbox,
    telling: WorkflowRule,
    stages: Stages,
    priya: User,
    marek: User,
) -> None:
    browser = sign_in(app.test_client(), marek)
    make_deal(stages["Lead"], owner=priya)

    def told() -> str:
        return text(browser.get(f"/rules/{telling.id}"))

    assert "E-mail to Priya Nair waits until 12:00" in told()
    with clock.at(noon + timedelta(minutes=1)):
        assert "E-mail to Priya Nair waits for its turn" in told()
    mailbox.refuses = "451 Come back later"
    after(noon, minutes=1)
    assert "E-mail to Priya Nair is tried again 12:02, 1 try so far: 451 Come back later" in told()
    mailbox.refuses = "550 No such person"
    after(noon, minutes=5)
    assert "E-mail to Priya Nair given up 12:05 after 2 tries: 550 No such person" in told()
    mailbox.refuses = ""
    with clock.at(noon + timedelta(minutes=6)):
        make_deal(stages["Lead"], owner=priya)
    after(noon, minutes=7)
    assert "E-mail to Priya Nair sent" in told()
