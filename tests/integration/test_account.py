"""One's own account: what needs the password, what does not, and where one is signed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from crmweb import clock
from crmweb.extensions import db
from crmweb.models import Change, Session, User
from tests.support.cast import PASSWORD
from tests.support.outside import Browser
from tests.support.people import csrf_token, sign_in

NEW = "a lighthouse keeper"


@pytest.fixture
def mine(client: Browser, priya: User) -> Browser:
    """Priya's browser."""
    return sign_in(client, priya)


def stored(user: User) -> User:
    return db.session.get_one(User, user.id, populate_existing=True)


def cookie(browser: Browser) -> str | None:
    found = browser.get_cookie("crmweb")
    return found.value if found else None


# Profile ------------------------------------------------------------------------------------------------------


def test_name_time_zone_and_way_of_writing_are_ones_own_to_choose(mine: Browser, priya: User) -> None:
    form = {"name": "Priya N.", "timezone": "Asia/Kolkata", "locale": "en_IN"}
    assert mine.post("/account", data=form).status_code == 303
    user = stored(priya)
    assert (user.name, user.timezone, user.locale) == ("Priya N.", "Asia/Kolkata", "en_IN")
    page = mine.get("/account").text
    assert "Saved." in page
    assert '<option selected value="Asia/Kolkata">' in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", " ", "Name is missing."),
        ("name", "x" * 201, "Name has 201 characters; at most 200 fit."),
        ("timezone", "Mars/Olympus", "“Mars/Olympus” is no time zone. Write one like Europe/Berlin."),
        ("locale", "tlh", "Choose one of these."),
        ("locale", "../../etc", "Choose one of these."),
    ],
)
def test_what_cannot_be_taken_is_told_beside_its_field(
    mine: Browser, priya: User, field: str, value: str, words: str
) -> None:
    form = {"name": "Priya N.", "timezone": "Asia/Kolkata", "locale": "en_IN", field: value}
    answer = mine.post("/account", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert f'id="{field}-error"' in answer.text
    assert stored(priya).name == "Priya Nair"


def test_nobody_gives_themselves_another_role(mine: Browser, priya: User) -> None:
    form = {
        "name": "Priya",
        "timezone": "UTC",
        "locale": "en",
        "role": "admin",
        "is_active": "",
        "email": "x@y.z",
    }
    mine.post("/account", data=form)
    user = stored(priya)
    assert (user.name, user.role, user.is_active, user.email) == ("Priya", "rep", True, "priya@example.org")


@pytest.mark.parametrize("theme", ["light", "dark", ""])
def test_the_theme_is_chosen_from_any_page_and_leads_back_to_it(
    mine: Browser, priya: User, theme: str
) -> None:
    sent = {"Referer": "http://localhost/account/email?x=1"}
    answer = mine.post("/theme", data={"theme": theme}, headers=sent)
    assert (answer.status_code, answer.location) == (303, "/account/email?x=1")
    assert stored(priya).theme == theme
    assert (f'data-theme="{theme}"' in mine.get("/account").text) == bool(theme)


def test_a_theme_that_there_is_not_is_refused(mine: Browser) -> None:
    assert mine.post("/theme", data={"theme": "neon"}).status_code == 422


def test_a_referrer_of_another_site_leads_nowhere(mine: Browser) -> None:
    sent = {"Referer": "http://localhost.evil.example/account"}
    assert mine.post("/theme", data={"theme": "dark"}, headers=sent).location == "/"


# E-mail and password ------------------------------------------------------------------------------------------


def test_another_email_needs_the_password(mine: Browser, priya: User) -> None:
    form = {"email": "priya@new.example", "current_password": "not mine"}
    refused = mine.post("/account/email", data=form)
    assert refused.status_code == 422
    assert "This is not your present password. 4 tries left." in refused.text
    assert stored(priya).email == "priya@example.org"
    assert mine.post("/account/email", data={**form, "current_password": PASSWORD}).status_code == 303
    assert stored(priya).email == "priya@new.example"


@pytest.mark.parametrize(
    ("email", "words"),
    [
        ("", "E-mail is missing."),
        ("no address", "is not an e-mail address"),
        ("ANN@example.org", "has an account already"),
    ],
)
def test_an_email_that_cannot_be_taken_is_told(mine: Browser, priya: User, email: str, words: str) -> None:
    answer = mine.post("/account/email", data={"email": email, "current_password": PASSWORD})
    assert answer.status_code == 422
    assert words in answer.text
    assert stored(priya).email == "priya@example.org"


def test_a_new_password_signs_out_everywhere_else_and_renews_this_sign_in(
    app: Flask, mine: Browser, priya: User
) -> None:
    other, before = sign_in(app.test_client(), priya), cookie(mine)
    answer = mine.post("/account/password", data={"current_password": PASSWORD, "password": NEW})
    assert (answer.status_code, answer.location) == (303, "/account")
    assert cookie(mine) != before
    assert "The new password is set." in mine.get("/account").text
    assert other.get("/account").status_code == 303
    thief = app.test_client()
    thief.set_cookie("crmweb", before or "")
    assert thief.get("/account").status_code == 303
    for password, status in ((PASSWORD, 422), (NEW, 303)):
        stranger = app.test_client()
        form = {"email": priya.email, "password": password, "csrf_token": csrf_token(stranger.get("/login"))}
        assert stranger.post("/login", data=form).status_code == status


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"current_password": ""}, "Your present password is missing."),
        ({"current_password": "not mine"}, "This is not your present password. 4 tries left."),
        ({"password": ""}, "Choose a password."),
        ({"password": "short"}, "At least 8 characters; 5 so far."),
        ({"password": "priya@example.org"}, "first that others would try"),
    ],
)
def test_a_password_that_cannot_be_taken_is_told_and_nobody_is_signed_out(
    app: Flask, mine: Browser, priya: User, fields: dict[str, str], words: str
) -> None:
    other, kept = sign_in(app.test_client(), priya), priya.password_hash
    answer = mine.post("/account/password", data={"current_password": PASSWORD, "password": NEW, **fields})
    assert answer.status_code == 422
    assert words in answer.text
    assert NEW not in answer.text
    assert stored(priya).password_hash == kept
    assert other.get("/account").status_code == 200


def test_guessing_the_present_password_is_slowed_down(mine: Browser, noon: datetime) -> None:
    guess = {"current_password": "not mine", "password": NEW}
    answers = [mine.post("/account/password", data=guess).status_code for _ in range(6)]
    assert answers == [422] * 5 + [429]
    with clock.at(noon + timedelta(minutes=15)):
        right = {"current_password": PASSWORD, "password": NEW}
        assert mine.post("/account/password", data=right).status_code == 303


def test_the_history_tells_a_new_name_and_email_but_no_password(mine: Browser, priya: User) -> None:
    mine.post("/account", data={"name": "Priya N.", "timezone": "UTC", "locale": "en"})
    mine.post("/account/email", data={"email": "priya@new.example", "current_password": PASSWORD})
    mine.post("/account/password", data={"current_password": PASSWORD, "password": NEW})
    changes = db.session.scalars(select(Change).where(Change.record_id == priya.id, Change.field != "*"))
    assert {(change.field, change.new) for change in changes} == {
        ("name", "Priya N."),
        ("email", "priya@new.example"),
    }


# Where one is signed in ---------------------------------------------------------------------------------------


def test_the_places_where_one_is_signed_in_are_listed(app: Flask, client: Browser, priya: User) -> None:
    form: dict[str, Any] = {"email": priya.email, "password": PASSWORD}
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    form["csrf_token"] = csrf_token(client.get("/login"))
    client.post("/login", data=form, headers=agent, environ_base={"REMOTE_ADDR": "198.51.100.7"})
    page = client.get("/account").text
    for words in ("Firefox on Linux", "198.51.100.7", "This one"):
        assert words in page


def test_another_sign_in_is_ended_from_here(app: Flask, mine: Browser, priya: User) -> None:
    here = db.session.scalars(select(Session.id)).one()
    other = sign_in(app.test_client(), priya)
    there = db.session.scalars(select(Session.id).where(Session.id != here)).one()
    assert mine.post(f"/account/sign-ins/{there}/end").status_code == 303
    assert other.get("/account").status_code == 303
    assert mine.get("/account").status_code == 200


def test_another_persons_sign_in_is_not_there(app: Flask, mine: Browser, tom: User) -> None:
    theirs = sign_in(app.test_client(), tom)
    there = db.session.scalars(select(Session.id).where(Session.user_id == tom.id)).one()
    assert mine.post(f"/account/sign-ins/{there}/end").status_code == 404
    assert theirs.get("/account").status_code == 200


def test_all_other_sign_ins_are_ended_at_once(app: Flask, mine: Browser, priya: User, tom: User) -> None:
    others = [sign_in(app.test_client(), priya) for _ in range(2)]
    tom_s = sign_in(app.test_client(), tom)
    assert mine.post("/account/sign-ins/end").status_code == 303
    assert [other.get("/account").status_code for other in others] == [303, 303]
    assert tom_s.get("/account").status_code == 200
    assert mine.get("/account").status_code == 200


def test_a_sign_in_that_has_run_out_is_not_listed(
    mine: Browser, priya: User, app: Flask, noon: datetime
) -> None:
    with clock.at(noon - timedelta(days=15)):
        sign_in(app.test_client(), priya)
    assert mine.get("/account").text.count("last used") == 1
