"""How people come in, what admins do with accounts, and how they go."""

from __future__ import annotations

import re
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from crmweb import changes, clock, invitations
from crmweb.errors import FieldError, NotFoundError
from crmweb.extensions import db
from crmweb.models import AppState, Change, ChangeSet, PasswordLink, User
from crmweb.queries.sign_in import digest
from tests.support.cast import PASSWORD
from tests.support.factories import make_person
from tests.support.outside import Browser, Terminal, apart
from tests.support.people import csrf_token, sign_in

NEW = "a lighthouse keeper"


@pytest.fixture
def admin(client: Browser, ann: User) -> Browser:
    """Ann's browser."""
    return sign_in(client, ann)


def stored(user: User) -> User:
    return db.session.get_one(User, user.id, populate_existing=True)


def by_email(email: str) -> User:
    return db.session.scalars(select(User).where(User.email_key == email)).one()


def link_in(text: str) -> str:
    found = re.search(r'value="(http://localhost/password/[^"]+)"', text)
    assert found, text
    return found[1]


def choose_password(browser: Browser, link: str, password: str = NEW) -> Any:
    token = csrf_token(browser.get(link))
    return browser.post(link, data={"csrf_token": token, "password": password})


def password_signs_in(app: Flask, email: str, password: str) -> bool:
    browser = app.test_client()
    token = csrf_token(browser.get("/login"))
    form = {"email": email, "password": password, "csrf_token": token}
    return browser.post("/login", data=form).status_code == 303


# The page -----------------------------------------------------------------------------------------------------


def test_the_page_shows_everybody_with_role_and_state(admin: Browser, cast: Any) -> None:
    make_person("Zoe Left", is_active=False)
    invited = make_person("Ida New")
    make_person("Olaf Old")
    invitations.invite(invited.id)
    page = admin.get("/people").text
    for words in ("Ann Berg", "marek@example.org", "Manager", "Deactivated", "Invited", "Needs a link"):
        assert words in page
    assert page.index("Ida New") < page.index("Marek Nowak") < page.index("Zoe Left")


def test_only_admins_see_where_people_are_led(client: Browser, ann: User, marek: User) -> None:
    assert 'href="/people"' in sign_in(client, ann).get("/account").text
    assert 'href="/people"' not in sign_in(client, marek).get("/account").text


# Coming in ----------------------------------------------------------------------------------------------------


def test_an_added_person_chooses_a_password_by_the_link_and_is_signed_in(
    app: Flask, admin: Browser, ann: User
) -> None:
    answer = admin.post(
        "/people/new", data={"name": "Zoe Adler", "email": "Zoe@Example.org", "role": "manager"}
    )
    assert answer.status_code == 201
    zoe = by_email("zoe@example.org")
    assert (zoe.name, zoe.role, zoe.email, zoe.is_active, zoe.password_hash) == (
        "Zoe Adler", "manager", "Zoe@Example.org", True, None,
    )  # fmt: skip
    theirs = app.test_client()
    assert "For Zoe Adler." in theirs.get(link_in(answer.text)).text
    done = choose_password(theirs, link_in(answer.text))
    assert (done.status_code, done.location) == (303, "/")
    assert "Zoe Adler" in theirs.get("/account").text
    assert password_signs_in(app, "zoe@example.org", NEW)
    assert db.session.scalars(select(ChangeSet.by_user_id).order_by(ChangeSet.at.desc())).first() == ann.id


def test_a_link_is_shown_once_and_kept_as_a_hash_alone(admin: Browser, priya: User) -> None:
    link = link_in(admin.post(f"/people/{priya.id}/link").text)
    token = link.rpartition("/")[2]
    assert len(token) >= 43
    assert db.session.scalars(select(PasswordLink.token_hash)).all() == [digest(token)]
    assert token not in admin.get(f"/people/{priya.id}").text


def test_a_link_works_once(app: Flask, admin: Browser, priya: User) -> None:
    link = link_in(admin.post(f"/people/{priya.id}/link").text)
    assert choose_password(app.test_client(), link).status_code == 303
    again = app.test_client().get(link)
    assert again.status_code == 404
    assert "This link was used, replaced, or is older than 7 days." in again.text


def test_two_uses_of_a_link_at_the_same_moment_are_one_use(app: Flask, priya: User) -> None:
    token = invitations.invite(priya.id)
    results: list[str] = []

    def use(password: str) -> None:
        with app.app_context():
            try:
                invitations.accept(token, password, "", "")
            except NotFoundError:
                results.append("refused")
            else:
                results.append(password)

    together(use, "a lighthouse keeper", "two lighthouse keepers")
    assert sorted(map(bool, results)) == [True, True]
    assert results.count("refused") == 1
    winner = next(result for result in results if result != "refused")
    assert password_signs_in(app, priya.email, winner)


def test_a_link_works_for_seven_days(app: Flask, admin: Browser, priya: User, noon: datetime) -> None:
    link = link_in(admin.post(f"/people/{priya.id}/link").text)
    with clock.at(noon + timedelta(days=7, seconds=-1)):
        assert app.test_client().get(link).status_code == 200
    with clock.at(noon + timedelta(days=7)):
        assert app.test_client().get(link).status_code == 404


def test_a_newer_link_replaces_the_older_one(app: Flask, admin: Browser, priya: User) -> None:
    older = link_in(admin.post(f"/people/{priya.id}/link").text)
    newer = link_in(admin.post(f"/people/{priya.id}/link").text)
    assert app.test_client().get(older).status_code == 404
    assert app.test_client().get(newer).status_code == 200


def test_looking_at_a_link_or_choosing_badly_does_not_use_it_up(
    app: Flask, admin: Browser, priya: User
) -> None:
    link, browser = link_in(admin.post(f"/people/{priya.id}/link").text), app.test_client()
    refused = choose_password(browser, link, "short")
    assert refused.status_code == 422
    assert "At least 8 characters; 5 so far." in refused.text
    assert choose_password(browser, link).status_code == 303


def test_a_password_by_link_signs_out_wherever_the_old_one_signed_in(
    app: Flask, admin: Browser, priya: User
) -> None:
    old = sign_in(app.test_client(), priya)
    choose_password(app.test_client(), link_in(admin.post(f"/people/{priya.id}/link").text))
    assert old.get("/account").status_code == 303
    assert not password_signs_in(app, priya.email, PASSWORD)


def test_whoever_opens_another_persons_link_becomes_that_person_there(admin: Browser, priya: User) -> None:
    link = link_in(admin.post(f"/people/{priya.id}/link").text)
    page = admin.get(link).text
    assert "For Priya Nair." in page
    assert "Ann Berg" not in page
    admin.post(link, data={"password": NEW})
    assert "Priya Nair" in admin.get("/account").text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Name is missing."),
        ("name", "   ", "Name is missing."),
        ("name", "x" * 201, "Name has 201 characters; at most 200 fit."),
        ("name", "null\x00byte", "contains a character that cannot be stored"),
        ("email", "", "E-mail is missing."),
        ("email", "no address", "is not an e-mail address"),
        ("email", "ann@example.org", "ann@example.org has an account already."),
        ("email", "ANN@EXAMPLE.ORG", "ANN@EXAMPLE.ORG has an account already."),
        ("email", "x" * 250 + "@example.org", "E-mail has 262 characters; at most 254 fit."),
        ("role", "owner", "Choose one of the roles."),
        ("role", "", "Choose one of the roles."),
    ],
)
def test_what_cannot_be_taken_is_told_beside_its_field_and_nobody_is_added(
    admin: Browser, field: str, value: str, words: str
) -> None:
    form = {"name": "Zoe Adler", "email": "zoe@example.org", "role": "rep", field: value}
    before = db.session.scalar(select(func.count()).select_from(User))
    answer = admin.post("/people/new", data=form)
    assert answer.status_code == 422
    assert words in answer.text
    assert f'id="{field}-error"' in answer.text
    assert db.session.scalar(select(func.count()).select_from(User)) == before


def test_fields_that_the_form_does_not_have_are_not_taken(admin: Browser) -> None:
    extra = {
        column.name: "1" for column in User.__table__.columns if column.name not in ("name", "email", "role")
    }
    admin.post(
        "/people/new",
        data={"name": "Zoe", "email": "zoe@example.org", "role": "rep", **extra, "theme": "dark"},
    )
    zoe = by_email("zoe@example.org")
    assert (zoe.password_hash, zoe.is_active, zoe.theme, zoe.timezone) == (None, True, "", "UTC")


# Changing and going -------------------------------------------------------------------------------------------


def test_a_role_is_changed_at_once_and_the_history_tells_by_whom(
    app: Flask, admin: Browser, ann: User, priya: User
) -> None:
    theirs = sign_in(app.test_client(), priya)
    assert theirs.get("/people").status_code == 403
    assert admin.post(f"/people/{priya.id}", data={"name": priya.name, "role": "admin"}).status_code == 303
    assert theirs.get("/people").status_code == 200
    change = db.session.scalars(
        select(Change).where(Change.record_id == priya.id, Change.field == "role")
    ).one()
    assert (change.old, change.new) == ("rep", "admin")
    assert db.session.get_one(ChangeSet, change.change_set_id).by_user_id == ann.id


def test_the_history_never_holds_a_password(admin: Browser, priya: User) -> None:
    choose_password(admin, link_in(admin.post(f"/people/{priya.id}/link").text))
    held = [str((change.old, change.new)) for change in db.session.scalars(select(Change))]
    assert held
    assert not [text for text in held if "argon2" in text]


def test_a_deactivated_person_is_signed_out_at_once_and_cannot_come_back(
    app: Flask, admin: Browser, priya: User
) -> None:
    theirs, link = sign_in(app.test_client(), priya), link_in(admin.post(f"/people/{priya.id}/link").text)
    assert admin.post(f"/people/{priya.id}/deactivation").status_code == 303
    assert theirs.get("/account").status_code == 303
    assert app.test_client().get(link).status_code == 404
    assert not password_signs_in(app, priya.email, PASSWORD)
    refused = admin.post(f"/people/{priya.id}/link")
    assert refused.status_code == 422
    assert "Priya Nair is deactivated. Reactivate them first." in refused.text


def test_a_reactivated_person_signs_in_as_before(app: Flask, admin: Browser, priya: User) -> None:
    old = sign_in(app.test_client(), priya)
    admin.post(f"/people/{priya.id}/deactivation")
    admin.post(f"/people/{priya.id}/reactivation")
    assert password_signs_in(app, priya.email, PASSWORD)
    assert old.get("/account").status_code == 303


def test_an_admin_signs_a_person_out_everywhere(app: Flask, admin: Browser, priya: User) -> None:
    theirs = sign_in(app.test_client(), priya)
    assert admin.post(f"/people/{priya.id}/sign-out").status_code == 303
    assert theirs.get("/account").status_code == 303
    assert admin.get("/account").status_code == 200
    assert password_signs_in(app, priya.email, PASSWORD)


def test_nobody_deactivates_themselves(admin: Browser, ann: User) -> None:
    answer = admin.post(f"/people/{ann.id}/deactivation")
    assert answer.status_code == 422
    assert "You cannot deactivate your own account. Another admin can." in answer.text
    assert stored(ann).is_active


def test_the_last_admin_keeps_the_role(admin: Browser, ann: User) -> None:
    make_person("Gone Admin", role="admin", is_active=False)
    answer = admin.post(f"/people/{ann.id}", data={"name": ann.name, "role": "rep"})
    assert answer.status_code == 422
    assert "Ann Berg is the only admin. Make somebody else an admin first." in answer.text
    assert stored(ann).role == "admin"


def test_the_last_admin_cannot_be_deactivated(ann: User) -> None:
    with pytest.raises(FieldError, match="only admin"):
        changes.commit(lambda session: User.locked(session, ann.id).deactivate())
    assert stored(ann).is_active


def test_one_of_two_admins_may_go(admin: Browser, ann: User) -> None:
    make_person("Bea", role="admin")
    assert admin.post(f"/people/{ann.id}", data={"name": ann.name, "role": "rep"}).status_code == 303
    assert admin.get("/people").status_code == 403


def test_of_two_admins_who_remove_each_other_at_once_one_stays(app: Flask, ann: User) -> None:
    bea = make_person("Bea", role="admin")
    refused: list[str] = []

    def demote(person_id: str) -> None:
        with app.app_context():
            try:
                changes.commit(lambda session: User.locked(session, person_id).change_role("rep"))
            except FieldError as error:
                refused.append(error.message)

    together(demote, ann.id, bea.id)
    assert len(refused) == 1
    admins = select(func.count()).where(User.role == "admin", User.is_active)
    assert db.session.scalar(admins) == 1


# The first admin ----------------------------------------------------------------------------------------------


def set_up(browser: Browser, code: str | None, **fields: str) -> Any:
    token = csrf_token(browser.get("/setup"))
    form = {"code": code or "", "name": "Ada First", "email": "ada@example.org", "password": NEW, **fields}
    return browser.post("/setup", data={"csrf_token": token, **form})


def test_an_empty_installation_leads_to_its_set_up_page(client: Browser) -> None:
    assert client.get("/").location == "/login"
    answer = client.get("/login")
    assert (answer.status_code, answer.location) == (303, "/setup")
    assert "Set up Crmweb" in client.get("/setup").text


def test_the_consoles_code_makes_the_first_admin_exactly_once(app: Flask, client: Browser) -> None:
    code = invitations.setup_code()
    assert db.session.scalars(select(AppState.value).where(AppState.key == "setup_code")).one() != code
    answer = set_up(client, f" {code} ".lower())
    assert (answer.status_code, answer.location) == (303, "/")
    ada = by_email("ada@example.org")
    assert (ada.role, ada.name) == ("admin", "Ada First")
    assert client.get("/people").status_code == 200
    stranger = app.test_client()
    assert stranger.get("/setup").status_code == 404
    token = csrf_token(stranger.get("/login"))
    form = {"code": code, "name": "Eve", "email": "eve@example.org", "password": NEW, "csrf_token": token}
    assert stranger.post("/setup", data=form).status_code == 404
    assert db.session.scalar(select(func.count()).select_from(User)) == 1
    assert invitations.setup_code() is None


def test_a_wrong_code_lets_nobody_in_and_is_slowed_down(client: Browser) -> None:
    code = invitations.setup_code()
    answers = [set_up(client, "WRONG") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]
    assert "This is not the code. 4 tries left." in answers[0].text
    assert set_up(client, code).status_code == 429
    assert db.session.scalar(select(func.count()).select_from(User)) == 0


def test_without_a_printed_code_no_code_is_right(client: Browser) -> None:
    assert set_up(client, "").status_code == 422
    assert set_up(client, "None").status_code == 422


def test_a_restart_makes_a_new_code(client: Browser) -> None:
    older, newer = invitations.setup_code(), invitations.setup_code()
    assert older != newer
    assert set_up(client, older).status_code == 422
    assert set_up(client, newer).status_code == 303


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Your name is missing."),
        ("email", "no address", "is not an e-mail address"),
        ("password", "short", "At least 8 characters"),
        ("password", "Ada First", "first that others would try"),
    ],
)
def test_a_mistake_at_set_up_is_told_and_the_code_stays_good(
    client: Browser, field: str, value: str, words: str
) -> None:
    code = invitations.setup_code()
    answer = set_up(client, code, **{field: value})
    assert answer.status_code == 422
    assert words in answer.text
    assert set_up(client, code).status_code == 303


def test_of_two_who_have_the_code_one_becomes_the_admin(app: Flask) -> None:
    code = invitations.setup_code()
    made: list[str] = []

    def come(name: str) -> None:
        with app.app_context():
            try:
                invitations.first_admin(
                    code or "", name=name, email=f"{name}@example.org", password=NEW, address="", device=""
                )
            except NotFoundError:
                pass
            else:
                made.append(name)

    together(come, "ada", "eve")
    assert len(made) == 1
    assert db.session.scalars(select(User.name)).all() == made


# The command line ---------------------------------------------------------------------------------------------


def test_a_person_is_made_at_the_command_line(app: Flask, runner: Terminal) -> None:
    said = runner.run("user", "create", "ada@example.org", "--name", "Ada", "--role", "admin", say=f"{NEW}\n")
    assert said == "Ada can sign in as admin with ada@example.org.\n"
    assert password_signs_in(app, "ada@example.org", NEW)


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (
            ("ann@example.org", "--name", "Ann", "--role", "rep"),
            NEW,
            "ann@example.org has an account already.",
        ),
        (("ada", "--name", "Ada", "--role", "rep"), NEW, "“ada” is not an e-mail address."),
        (("ada@example.org", "--name", " ", "--role", "rep"), NEW, "Name is missing."),
        (("ada@example.org", "--name", "Ada", "--role", "rep"), "", "At least 8 characters; 0 so far."),
        (("ada@example.org", "--name", "Ada", "--role", "boss"), NEW, "'boss' is not one of"),
        (("ada@example.org", "--role", "rep"), NEW, "Missing option '--name'"),
    ],
)
def test_the_command_says_what_is_wrong_and_makes_nobody(
    runner: Terminal, cast: Any, arguments: tuple[str, ...], password: str, words: str
) -> None:
    result = runner.invoke(args=("user", "create", *arguments), input=password)
    assert result.exit_code in (1, 2)
    assert words in result.output
    assert "Traceback" not in result.output
    assert db.session.scalar(select(func.count()).select_from(User)) == 4


def test_the_set_up_code_can_be_asked_for_at_the_command_line(runner: Terminal, client: Browser) -> None:
    assert set_up(client, runner.run("user", "setup-code").strip()).status_code == 303
    result = runner.invoke(args=("user", "setup-code"))
    assert result.exit_code == 1
    assert "Crmweb is set up already." in result.output


def together(act: Any, *each: Any) -> None:
    """Call `act` with each argument at the same time, outside the test's context."""
    start = threading.Barrier(len(each))

    def run(argument: Any) -> None:
        start.wait()
        apart(act, argument)

    db.session.remove()
    threads = [threading.Thread(target=run, args=(argument,)) for argument in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
