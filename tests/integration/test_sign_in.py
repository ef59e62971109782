"""Signing in and out: whose browser it is, for how long, and what guessing costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from crmweb import changes, clock, config, models, throttles
from crmweb.extensions import db
from crmweb.models import User
from crmweb.queries import sign_in as sign_ins
from crmweb.queries.sign_in import digest
from crmweb.sign_in import begin
from crmweb.workflow.compiled import version_of
from tests.support.cast import PASSWORD
from tests.support.factories import make_person, save
from tests.support.outside import Browser
from tests.support.people import csrf_token, sign_in
from tests.support.statements import count_statements

HTMX = {"HX-Request": "true"}
ELSEWHERE = {"REMOTE_ADDR": "198.51.100.7"}


def try_password(client: Browser, email: str, password: str = PASSWORD, **fields: Any) -> TestResponse:
    """Fill in the sign-in page and send it, as a person does."""
    environ = fields.pop("environ", {})
    token = csrf_token(client.get("/login", environ_base=environ))
    form = {"email": email, "password": password, "csrf_token": token, **fields}
    return client.post("/login", data=form, environ_base=environ)


def cookie(client: Browser, name: str = "crmweb") -> str | None:
    found = client.get_cookie(name)
    return found.value if found else None


# Signing in -------------------------------------------------------------------------------------------------


def test_email_and_password_lead_to_the_page_that_was_wanted(client: Browser, ann: User) -> None:
    answer = try_password(client, ann.email, next="/account?x=1")
    assert (answer.status_code, answer.location) == (303, "/account?x=1")
    assert "Ann Berg" in client.get("/account").text


def test_the_case_of_an_email_does_not_matter(client: Browser, ann: User) -> None:
    assert try_password(client, " ANN@Example.ORG ").status_code == 303


def test_a_wrong_password_is_told_in_words_with_the_tries_left(client: Browser, ann: User) -> None:
    answer = try_password(client, ann.email, "tall ship at dawn")
    assert answer.status_code == 422
    assert "E-mail and password do not match. 4 tries left." in answer.text
    assert "ann@example.org" in answer.text
    assert "tall ship at dawn" not in answer.text
    assert cookie(client) is None


@pytest.mark.parametrize(
    "email", ["nobody@example.org", "invited@example.org", "gone@example.org", "a\x00b@example.org"]
)
def test_unknown_invited_and_deactivated_people_get_the_same_answer(
    client: Browser, ann: User, email: str
) -> None:
    make_person("Invited")
    gone = make_person("Gone", is_active=False, password_hash=ann.password_hash)
    assert gone.email == "gone@example.org"
    answer = try_password(client, email)
    assert answer.status_code == 422
    assert "E-mail and password do not match. 4 tries left." in answer.text


@pytest.mark.parametrize(
    ("missing", "words"), [("email", "Your e-mail is missing."), ("password", "Your password is missing.")]
)
def test_an_empty_field_is_told_beside_it_and_costs_no_try(
    client: Browser, ann: User, missing: str, words: str
) -> None:
    answer = try_password(client, **{"email": ann.email, "password": PASSWORD, missing: ""})
    assert answer.status_code == 422
    assert words in answer.text
    assert db.session.scalar(select(func.count()).select_from(models.Throttle)) == 0


def test_whoever_is_signed_in_does_not_see_the_sign_in_page(client: Browser, ann: User) -> None:
    answer = sign_in(client, ann).get("/login?next=/account")
    assert (answer.status_code, answer.location) == (303, "/account")


def test_a_password_kept_at_an_old_cost_is_kept_at_todays_after_signing_in(
    client: Browser, ann: User
) -> None:
    old = ann.password_hash
    try_password(client, ann.email)
    renewed = db.session.get_one(User, ann.id, populate_existing=True).password_hash
    assert renewed != old
    client.post("/logout", data={"csrf_token": csrf_token(client.get("/account"))})
    assert try_password(client, ann.email).status_code == 303


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\tevil",
        "/%09/evil\n", "javascript:alert(1)", "evil.example", "http:evil.example", "", " /account",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(client: Browser, ann: User, wanted: str) -> None:
    assert try_password(client, ann.email, next=wanted).location == "/"


# The sign-in's row ------------------------------------------------------------------------------------------


def test_only_the_hash_of_a_token_is_stored(client: Browser, ann: User) -> None:
    try_password(client, ann.email)
    token = cookie(client)
    assert token is not None
    assert len(token) >= 43
    row = db.session.scalars(select(models.Session)).one()
    assert row.token_hash == digest(token)
    assert token not in str(row.__dict__)


def test_each_sign_in_has_a_token_of_its_own_and_one_brought_along_stays_worthless(
    app: Flask, client: Browser, ann: User
) -> None:
    client.set_cookie("crmweb", "planted by somebody else")
    try_password(client, ann.email)
    assert cookie(client) != "planted by somebody else"
    stranger = app.test_client()
    stranger.set_cookie("crmweb", "planted by somebody else")
    assert stranger.get("/account").status_code == 303


def test_a_cookie_is_worthless_after_signing_out_wherever_its_copy_is(
    app: Flask, client: Browser, ann: User
) -> None:
    sign_in(client, ann)
    copy = app.test_client()
    copy.set_cookie("crmweb", cookie(client) or "")
    assert copy.get("/account").status_code == 200
    answer = client.post("/logout")
    assert (answer.status_code, answer.location) == (303, "/login")
    assert "storage" in answer.headers["Clear-Site-Data"]
    assert cookie(client) is None
    assert copy.get("/account").status_code == 303
    assert copy.get("/account", headers=HTMX).status_code == 401


def test_a_sign_in_ends_when_it_was_not_used_for_two_weeks(
    client: Browser, ann: User, noon: datetime
) -> None:
    sign_in(client, ann)
    with clock.at(noon + timedelta(days=13, hours=23)):
        assert client.get("/account").status_code == 200
    with clock.at(noon + timedelta(days=27)):
        assert client.get("/account").status_code == 200
    with clock.at(noon + timedelta(days=41, minutes=1)):
        assert client.get("/account").status_code == 303


def test_every_sign_in_ends_after_ninety_days(client: Browser, ann: User, noon: datetime) -> None:
    sign_in(client, ann)
    for days in range(10, 90, 10):
        with clock.at(noon + timedelta(days=days)):
            assert client.get("/account").status_code == 200
    with clock.at(noon + timedelta(days=90)):
        assert client.get("/account").status_code == 303


def test_one_statement_recognises_a_browser(client: Browser, ann: User) -> None:
    sign_in(client, ann)
    with count_statements() as statements:
        client.get("/no-such-page")
    assert len(statements) == 1, str(statements)


def test_that_a_sign_in_is_used_is_written_every_five_minutes_at_most(
    client: Browser, ann: User, noon: datetime
) -> None:
    sign_in(client, ann)
    with clock.at(noon + timedelta(minutes=4, seconds=59)), count_statements() as soon:
        client.get("/no-such-page")
    with clock.at(noon + timedelta(minutes=5)), count_statements() as later:
        client.get("/no-such-page")
    assert len(soon) == 1, str(soon)
    assert len(later) == 2, str(later)
    assert db.session.scalars(select(models.Session.seen_at)).one() == noon + timedelta(minutes=5)


def test_the_rules_version_and_the_unread_count_come_along(client: Browser, ann: User, marek: User) -> None:
    news = [models.Notification(user_id=user.id, kind="note", subject="News") for user in (ann, ann, marek)]
    read = models.Notification(user_id=ann.id, kind="note", subject="Old news", read_at=clock.now())
    gone = models.Notification(user_id=ann.id, kind="note", subject="Taken back", withdrawn_at=clock.now())
    save(*news, read, gone)
    token = "a token of a test"
    changes.commit(lambda session: begin(session, ann.id, token, "", ""), cause="bookkeeping")
    known = sign_ins.of_token(db.session(), token)
    assert known is not None
    assert (known.unread, known.rules_version, known.person.email) == (2, version_of(db.session()), ann.email)


# Cookies ----------------------------------------------------------------------------------------------------


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(client: Browser, ann: User) -> None:
    flags = try_password(client, ann.email).headers["Set-Cookie"]
    assert flags.startswith("crmweb=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags.split("; "))
    assert "Secure" not in flags
    assert "Domain" not in flags


def test_behind_https_every_cookie_is_secure_and_bound_to_the_host(
    client: Browser, ann: User, settings: config.Settings
) -> None:
    config.use(replace(settings, base_url="https://localhost"))
    token = csrf_token(client.get("/login", base_url="https://localhost"))
    form = {"email": ann.email, "password": PASSWORD, "csrf_token": token}
    answer = client.post("/login", data=form, base_url="https://localhost")
    assert answer.status_code == 303
    for flags in answer.headers.getlist("Set-Cookie"):
        assert flags.startswith("__Host-crmweb")
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(flags.split("; "))
    assert client.get("/account", base_url="https://localhost").status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


# Being asked to sign in -------------------------------------------------------------------------------------


def test_a_page_asks_to_sign_in_and_is_shown_afterwards(client: Browser, ann: User) -> None:
    answer = client.get("/account?tab=1&x=%C3%A9")
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=/account?tab%3D1")
    page = client.get(answer.location)
    form = {
        "email": ann.email,
        "password": PASSWORD,
        "csrf_token": csrf_token(page),
        "next": "/account?tab=1&x=%C3%A9",
    }
    assert 'value="/account?tab=1&amp;x=%C3%A9"' in page.text
    assert client.post("/login", data=form).location == "/account?tab=1&x=%C3%A9"


def test_htmx_is_led_to_the_sign_in_page_and_back_to_the_page_it_stood_on(client: Browser, ann: User) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://localhost/account?tab=1"}
    answer = client.post("/account", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/account?tab%3D1"
    assert answer.text == ""


def test_a_form_sent_after_the_sign_in_ended_leads_back_to_its_page(client: Browser, ann: User) -> None:
    answer = client.post("/theme", headers={"Referer": "http://localhost/account"})
    assert (answer.status_code, answer.location) == (303, "/login?next=/account")


def test_an_address_of_another_site_is_no_way_back(client: Browser, ann: User) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://evil.example//evil.example/x"}
    assert client.get("/account", headers=headers).headers["HX-Redirect"] == "/login"


# Guessing ---------------------------------------------------------------------------------------------------


def test_five_wrong_passwords_close_an_account_to_that_address_alone_for_a_quarter_of_an_hour(
    app: Flask, client: Browser, ann: User, noon: datetime
) -> None:
    words = [try_password(client, ann.email, "wrong one").text for _ in range(5)]
    assert [
        "4 tries left" in words[0],
        "1 try left." in words[3],
        "Try again in 15 minutes." in words[4],
    ] == [True] * 3
    refused = try_password(client, ann.email)
    assert refused.status_code == 429
    assert "Too many tries. Try again in 15 minutes." in refused.text
    assert refused.headers["Retry-After"] == "900"
    assert try_password(app.test_client(), ann.email, environ=ELSEWHERE).status_code == 303
    with clock.at(noon + timedelta(minutes=14, seconds=1)):
        assert "Try again in 1 minute." in try_password(client, ann.email).text
    with clock.at(noon + timedelta(minutes=15)):
        assert try_password(client, ann.email).status_code == 303


def test_unknown_accounts_are_closed_as_known_ones_are(client: Browser, ann: User) -> None:
    answers = [try_password(client, "nobody@example.org").status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]


def test_the_right_password_gives_the_tries_back(app: Flask, client: Browser, ann: User) -> None:
    for _ in range(4):
        try_password(client, ann.email, "wrong one")
    assert try_password(client, ann.email).status_code == 303
    assert "4 tries left." in try_password(app.test_client(), ann.email, "wrong one").text


def test_wrong_passwords_are_forgotten_after_a_quarter_of_an_hour(
    client: Browser, ann: User, noon: datetime
) -> None:
    for _ in range(4):
        try_password(client, ann.email, "wrong one")
    with clock.at(noon + timedelta(minutes=15)):
        assert "4 tries left." in try_password(client, ann.email, "wrong one").text


def test_many_addresses_together_close_an_account_too(noon: datetime) -> None:
    tries = [
        count("ann@example.org", f"198.51.100.{number}") for number in range(throttles.TRIES_ANYWHERE + 1)
    ]
    assert [attempt.is_refused for attempt in tries] == [False] * throttles.TRIES_ANYWHERE + [True]


def test_an_address_that_tries_many_accounts_is_closed(noon: datetime) -> None:
    tries = [
        count(f"person{number}@example.org", "198.51.100.7")
        for number in range(throttles.TRIES_OF_AN_ADDRESS + 1)
    ]
    assert [attempt.is_refused for attempt in tries] == [False] * throttles.TRIES_OF_AN_ADDRESS + [True]


def test_neighbours_in_an_ipv6_network_count_as_one_address(noon: datetime) -> None:
    tries = [count("ann@example.org", f"2001:db8::{number:x}").is_refused for number in range(6)]
    assert tries == [False] * 5 + [True]
    assert not count("ann@example.org", "2001:db8:0:1::1").is_refused


def test_ones_own_right_password_does_not_open_an_address_for_guessing(noon: datetime) -> None:
    for number in range(throttles.TRIES_OF_AN_ADDRESS - 1):
        count(f"person{number}@example.org", "198.51.100.7")
    count("mine@example.org", "198.51.100.7")
    changes.commit(
        lambda session: throttles.give_back(session, "mine@example.org", "198.51.100.7"), cause="bookkeeping"
    )
    assert not count("other@example.org", "198.51.100.7").is_refused
    assert count("another@example.org", "198.51.100.7").is_refused


def test_a_forged_address_of_a_proxy_that_there_is_not_counts_for_nothing(client: Browser, ann: User) -> None:
    for number in range(5):
        page = client.get("/login")
        client.post(
            "/login",
            data={"email": ann.email, "password": "wrong one", "csrf_token": csrf_token(page)},
            headers={"X-Forwarded-For": f"203.0.113.{number}"},
        )
    assert try_password(client, ann.email).status_code == 429


def test_what_was_typed_as_an_email_is_not_kept(client: Browser, ann: User) -> None:
    try_password(client, "my secret password typed into the wrong field")
    keys = db.session.scalars(select(models.Throttle.key)).all()
    assert keys
    assert not [key for key in keys if "secret" in key]


def count(account: str, address: str) -> throttles.Attempt:
    attempt = changes.commit(lambda session: throttles.count(session, account, address), cause="bookkeeping")
    assert attempt is not None
    return attempt
