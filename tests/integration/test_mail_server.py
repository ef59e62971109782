"""What leaves for the mail server: encrypted where that was asked for, after a login, and told of without secrets."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import update

from crmweb import changes, config, deliver
from crmweb.extensions import db
from crmweb.models import Delivery, Stage, User, WorkflowRule
from tests.integration.test_mail import after, only
from tests.support.factories import make_deal, make_rule
from tests.support.mailbox import CERTIFICATE, Mailbox, open_mailbox
from tests.support.people import sign_in

Stages = dict[str, Stage]
USER, PASSWORD = LOGIN = ("crm@example.com", "p/w: 100% #1?")
ENCRYPTED = pytest.mark.parametrize("tls", ["smtps", "starttls"])


@pytest.fixture
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine trusts the mail server's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@contextmanager
def mail_server(tls: str = "", login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """Inside, a mail server answers, and the settings name it."""
    with open_mailbox(tls, login) as server:
        use(server.url)
        yield server


def use(url: str, mail_from: str = "Crmweb <crm@example.com>") -> None:
    config.use(replace(config.settings, smtp_url=url, mail_from=mail_from))


def tell(
    stages: Stages, owner: User, message: str = "{deal.name} is yours", name: str = "Fleet"
) -> WorkflowRule:
    """Let a rule tell the owner of a new deal."""
    rule = make_rule("Tell", actions=[{"type": "send_notification", "config": {"message": message}}])
    make_deal(stages["Lead"], name, owner=owner)
    return rule


def verbs(lines: list[str]) -> set[str]:
    return {line.split()[0].upper() for line in lines}


# Encrypted, after a login ------------------------------------------------------------------------------------------


@ENCRYPTED
@pytest.mark.usefixtures("_trusted")
def test_mail_arrives_encrypted_after_a_login_whose_signs_were_escaped(
    noon: datetime, stages: Stages, priya: User, tls: str
) -> None:
    with mail_server(tls, LOGIN) as server:
        tell(stages, priya)
        after(noon, minutes=1)
    assert (only().error, [recipient for recipient, _ in server.letters]) == (None, [priya.email])
    assert verbs(server.overheard) == ({"EHLO", "STARTTLS"} if tls == "starttls" else set())


@ENCRYPTED
def test_a_certificate_that_nobody_vouches_for_is_refused_and_tried_again(
    noon: datetime, stages: Stages, priya: User, tls: str
) -> None:
    with mail_server(tls, LOGIN) as server:
        tell(stages, priya)
        assert after(noon, minutes=1) == 1
    assert only().error == "The mail server’s certificate is not trusted: self-signed certificate"
    assert only().due_at == noon + timedelta(minutes=2)
    assert server.letters == []
    assert verbs(server.overheard) <= {"EHLO", "STARTTLS"}


@ENCRYPTED
@pytest.mark.usefixtures("_trusted")
def test_a_certificate_of_another_host_is_refused(
    noon: datetime, stages: Stages, priya: User, tls: str
) -> None:
    with mail_server(tls, LOGIN) as server:
        use(server.url.replace("127.0.0.1", "localhost"))
        tell(stages, priya)
        after(noon, minutes=1)
    assert "certificate is not trusted: Hostname mismatch" in (only().error or "")
    assert server.letters == []


def test_a_server_that_offers_no_encryption_although_it_was_asked_for_gets_nothing(
    noon: datetime, stages: Stages, priya: User
) -> None:
    with mail_server() as server:
        use(server.url.replace("//", "//me:secret@") + "?tls=1")
        tell(stages, priya)
        after(noon, minutes=1)
    assert only().error == "STARTTLS extension not supported by server."
    assert verbs(server.overheard) == {"EHLO"}


def test_a_port_that_speaks_no_tls_is_told(noon: datetime, stages: Stages, priya: User) -> None:
    with mail_server() as server:
        use(server.url.replace("smtp:", "smtps:"))
        tell(stages, priya)
        after(noon, minutes=1)
    assert only().error == "No TLS with the mail server at this port (WRONG_VERSION_NUMBER)"


@pytest.mark.usefixtures("_trusted")
def test_a_login_that_goes_wrong_in_a_way_of_its_own_is_told_too(
    noon: datetime, stages: Stages, priya: User
) -> None:
    with mail_server("smtps", LOGIN) as server:
        server.asks = "CRAM-MD5"
        tell(stages, priya)
        assert after(noon, minutes=1) == 1
    assert "padding" in (only().error or "")


# What is told of it ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_trusted")
def test_a_refused_login_is_told_to_managers_and_nobody_reads_the_password(
    app: Flask, noon: datetime, stages: Stages, priya: User, marek: User, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    alone, both = (b64encode(secret.encode()).decode() for secret in (PASSWORD, f"\0{USER}\0{PASSWORD}"))
    with mail_server("smtps", LOGIN) as server:
        server.login = (USER, "another since")
        server.refuses_login = f"535 Wrong: {{said}} {PASSWORD} {alone}"
        rule = tell(stages, priya)
        for _ in range(len(deliver.BACK_OFF) + 1):
            after(only().due_at)
    assert only().failed_at
    assert only().error == "The login was refused: 535 Wrong: PLAIN … … …"
    managers, reps = (
        "".join(
            sign_in(app.test_client(), who).get(page).text for page in (f"/rules/{rule.id}", "/rules/log")
        )
        for who in (marek, priya)
    )
    assert managers.count("The login was refused: 535 Wrong") == 2
    assert reps.count("given up") == 2
    assert "Wrong" not in reps
    assert "is given up after try 6" in caplog.text
    for secret in (PASSWORD, alone, both, quote(PASSWORD, safe="")):
        assert secret not in managers + caplog.text


def test_what_a_mail_server_says_is_text_on_the_page_and_one_line_in_the_log(
    app: Flask, noon: datetime, stages: Stages, priya: User, marek: User, caplog: pytest.LogCaptureFixture
) -> None:
    with mail_server() as server:
        server.refuses = "550-<script>alert(1)</script>\r\n550 \x1b[2Jgone\x0b\x85"
        rule = tell(stages, priya)
        after(noon, minutes=1)
    assert only().error == "550 <script>alert(1)</script> [2Jgone"
    page = sign_in(app.test_client(), marek).get(f"/rules/{rule.id}").text
    assert "550 &lt;script&gt;alert(1)&lt;/script&gt; [2Jgone" in page
    assert caplog.messages[-1].endswith("550 <script>alert(1)</script> [2Jgone")


@pytest.mark.parametrize("field", ["person_id", "user_id", "id"])
def test_nobody_stops_the_e_mails_of_somebody_else(app: Flask, priya: User, marek: User, field: str) -> None:
    use("smtp://mail.example.com")
    forged = {"name": "Priya", "timezone": "UTC", "locale": "en", field: str(marek.id)}
    browser = sign_in(app.test_client(), priya)
    assert browser.post(f"/account?{field}={marek.id}", data=forged).status_code == 303
    db.session.rollback()
    assert [db.session.get_one(User, person.id).gets_mail for person in (priya, marek)] == [False, True]


# What others write -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "=?utf-8?q?Fleet=0D=0ABcc:_everybody@example.com=0D=0A=0D=0AHello?=",
        "=?utf-8?b?QQ0KQmNjOiBi?= =?utf-8?b?QQ0KQmNjOiBi?= é",
        "Zoë’s fleet " * 16,
        "日本語" * 60,
        "x" * 190,
        "Bcc: everybody@example.com",
    ],
    ids=["encoded word", "encoded words", "words", "signs", "one long word", "header"],
)
def test_a_subject_arrives_as_it_was_written_and_adds_no_header(
    noon: datetime, stages: Stages, priya: User, name: str
) -> None:
    with mail_server() as server:
        tell(stages, priya, "{deal.name}", name)
        after(noon, minutes=1)
    [(recipient, letter)] = server.letters
    assert (recipient, letter["Subject"], letter["Bcc"]) == (priya.email, name.strip(), None)
    assert letter.get_content().replace("\r\n", "\n").startswith(f"{name.strip()}\n\nRule “Tell”")


@pytest.mark.parametrize("address", ["o'neill+crm@example.com", '"a, b"@example.com', "ann@[192.0.2.1]"])
def test_an_odd_address_is_sent_to_as_it_stands(
    noon: datetime, stages: Stages, priya: User, address: str
) -> None:
    with mail_server() as server:
        tell(stages, priya)
        readdress(address)
        after(noon, minutes=1)
    assert [(recipient, letter["To"]) for recipient, letter in server.letters] == [(address, address)]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("ann@example.com,eve@example.com", "is not one address"),
        ("<eve@example.com>ann@example.com", "is not one address"),
        ("x@=?utf-8?q?a=0D=0ABcc:b@c?=", "cannot be written as an e-mail"),
        ("zoë@example.com", "SMTPUTF8"),
    ],
)
def test_an_address_that_could_mean_somebody_else_is_given_up(
    noon: datetime, stages: Stages, priya: User, address: str, words: str
) -> None:
    with mail_server() as server:
        tell(stages, priya)
        readdress(address)
        after(noon, minutes=1)
    assert (only().failed_at is not None, server.letters) == (True, [])
    assert words in (only().error or "")


def readdress(address: str) -> None:
    """Let the person have had another address when the e-mail was written."""
    changes.commit(
        lambda session: session.execute(update(Delivery).values(address=address)), cause="bookkeeping"
    )
