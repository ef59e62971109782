"""What every answer carries, and what people are told when something does not work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from crmweb import changes, config, create_app
from crmweb.errors import ConflictError, NotFoundError, UnsavedChangesError
from crmweb.extensions import db
from crmweb.models import User
from crmweb.web.access import access
from tests.support.cast import PASSWORD
from tests.support.outside import Browser, application_for_tests
from tests.support.people import csrf_token, sign_in

HTMX = {"HX-Request": "true"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture
def broken(app: Flask, settings: config.Settings, tmp_path: Path) -> Iterator[Browser]:
    """A browser of an application on the same database, some of whose pages break."""
    other = application_for_tests(settings)
    other.config["PROPAGATE_EXCEPTIONS"] = False

    @other.get("/broken")
    @access("public")
    def page() -> str:
        raise ZeroDivisionError("secret of the source")

    @other.get("/conflict")
    @access("public")
    def conflict() -> str:
        raise ConflictError("<b>Marek</b> was faster.")

    @other.get("/gone")
    @access("public")
    def gone() -> str:
        raise NotFoundError("This deal is not there any more.")

    @other.get("/bug")
    @access("public")
    def bug() -> str:
        raise UnsavedChangesError("secret of the source")

    with other.app_context():
        yield other.test_client()
        db.engine.dispose()


# Headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/login", "/account", "/no-such-page", "/healthz", "/people"])
@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
@pytest.mark.parametrize("who", ["signed out", "priya"])
def test_every_answer_says_what_browsers_must_not_do(
    client: Browser, priya: User, path: str, headers: dict[str, str], who: str
) -> None:
    if who == "priya":
        sign_in(client, priya)
    answer = client.get(path, headers=headers)
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-ID"]) >= 8
    if path != "/healthz":
        assert "HX-Request" in answer.headers["Vary"]


def test_a_file_says_what_matters_for_files_alone_and_may_be_kept(client: Browser) -> None:
    with client.application.test_request_context():
        url = client.application.jinja_env.globals["asset_url"]("app.css")  # type: ignore[operator]
    answer = client.get(url)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert {name.lower() for name, _ in answer.headers} == {
        "content-type", "content-length", "cache-control", "vary",
        "x-content-type-options", "cross-origin-resource-policy",
    }  # fmt: skip


def test_a_file_that_is_not_there_is_answered_by_a_guarded_page(client: Browser) -> None:
    answer = client.get("/assets/app.000000000000.css")
    assert answer.status_code == 404
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_a_broken_page_is_guarded_too(broken: Browser) -> None:
    answer = broken.get("/broken")
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS


def test_every_answer_has_an_id_of_its_own(client: Browser) -> None:
    ids = {client.get("/healthz").headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3


def test_a_proxys_request_id_is_taken_only_from_a_proxy_that_is_known(
    client: Browser, settings: config.Settings
) -> None:
    sent = {"X-Request-ID": "abcdef-123456"}
    assert client.get("/healthz", headers=sent).headers["X-Request-ID"] != "abcdef-123456"
    config.use(replace(settings, proxies=1))
    assert client.get("/healthz", headers=sent).headers["X-Request-ID"] == "abcdef-123456"
    forged = {"X-Request-ID": "a b<script>c d"}
    assert "<" not in client.get("/healthz", headers=forged).headers["X-Request-ID"]


# Errors in words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/no-such-page", 404, "Nothing is here"),
        ("/gone", 404, "This deal is not there any more."),
        ("/conflict", 409, "&lt;b&gt;Marek&lt;/b&gt; was faster."),
        ("/broken", 500, "Something broke"),
        ("/bug", 500, "Something broke"),
    ],
)
def test_an_error_is_a_page_for_browsers_and_a_refusal_beside_the_page_for_htmx(
    broken: Browser, path: str, status: int, words: str
) -> None:
    page, part = broken.get(path), broken.get(path, headers=HTMX)
    assert page.status_code == part.status_code == status
    assert words in page.text
    assert words in part.text
    assert page.text.startswith("<!doctype html>")
    assert part.text.startswith('<hx-partial hx-target="#alerts"')
    assert "secret" not in page.text + part.text
    assert "Traceback" not in page.text + part.text


def test_a_broken_page_names_the_request_under_which_the_log_has_the_reason(
    broken: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = broken.get("/broken")
    number = answer.headers["X-Request-ID"]
    assert number in answer.text
    assert number in caplog.text
    assert "ZeroDivisionError: secret of the source" in caplog.text


def test_a_form_of_a_page_that_is_too_old_is_told_what_to_do(client: Browser, ann: User) -> None:
    sign_in(client, ann)
    client.token = None
    answer = client.post("/theme", data={"theme": "dark", "csrf_token": "from yesterday"})
    assert answer.status_code == 400
    assert "Go back, load it again and send it once more; nothing was changed." in answer.text
    assert "CSRF" not in answer.text.replace("X-CSRFToken", "")


def test_a_body_that_is_too_large_is_refused(client: Browser, ann: User, settings: config.Settings) -> None:
    sign_in(client, ann)
    answer = client.post("/account", data={"name": "x" * (settings.max_body + 1)})
    assert answer.status_code == 413
    assert "larger than this server takes" in answer.text
    assert db.session.get_one(User, ann.id, populate_existing=True).name == "Ann Berg"


def test_more_fields_than_any_form_has_are_refused(client: Browser, ann: User) -> None:
    sign_in(client, ann)
    many = {f"field{number}": "x" for number in range(1001)}
    assert client.post("/account", data=many, content_type="multipart/form-data").status_code == 413


# CSRF ---------------------------------------------------------------------------------------------------------


def test_a_token_belongs_to_one_sign_in(app: Flask, client: Browser, ann: User, marek: User) -> None:
    mine, another = sign_in(client, ann), sign_in(app.test_client(), marek)
    mine.token, stolen = None, another.token
    another.get("/account")
    assert mine.post("/theme", data={"theme": "dark", "csrf_token": stolen}).status_code == 400
    form_cookie = another.get_cookie("crmweb_form")
    assert form_cookie is not None
    mine.set_cookie("crmweb_form", form_cookie.value)
    assert mine.post("/theme", data={"theme": "dark", "csrf_token": stolen}).status_code == 400


def test_a_token_from_before_signing_in_is_worthless_after_it(client: Browser, ann: User) -> None:
    before = csrf_token(client.get("/login"))
    client.post("/login", data={"email": ann.email, "password": PASSWORD, "csrf_token": before})
    assert client.post("/theme", data={"theme": "dark", "csrf_token": before}).status_code == 400
    after = csrf_token(client.get("/account"))
    assert client.post("/theme", data={"theme": "dark", "csrf_token": after}).status_code == 303


@pytest.mark.parametrize("name", ["csrf_token", "X-CSRFToken"])
def test_a_token_is_taken_from_the_form_or_from_the_header(client: Browser, ann: User, name: str) -> None:
    token = sign_in(client, ann).token
    client.token = None
    form = {"theme": "dark"}
    sent = (
        {"data": {**form, name: token}} if name == "csrf_token" else {"data": form, "headers": {name: token}}
    )
    assert client.post("/theme", **sent).status_code == 303


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://crm.example.com"},
    ],
    ids=str,
)
def test_the_sites_own_forms_are_taken(client: Browser, ann: User, sent: dict[str, str]) -> None:
    assert sign_in(client, ann).post("/theme", data={"theme": "dark"}, headers=sent).status_code == 303


def test_the_base_url_is_ones_own_site_behind_a_proxy_that_hides_the_host(
    client: Browser, ann: User, settings: config.Settings
) -> None:
    sign_in(client, ann)
    sent = {"Origin": "http://crm.example.com:8080"}
    assert client.post("/theme", data={"theme": "dark"}, headers=sent).status_code == 400
    config.use(replace(settings, base_url="http://crm.example.com:8080"))
    assert client.post("/theme", data={"theme": "dark"}, headers=sent).status_code == 303


def test_a_token_has_no_time_limit(app: Flask) -> None:
    assert app.config["WTF_CSRF_TIME_LIMIT"] is None


# Hosts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [{"base_url": "https://crm.example.com"}, {"trusted_hosts": "crm.example.com, other.example.com"}],
)
def test_only_the_sites_own_names_are_answered(settings: config.Settings, given: dict[str, str]) -> None:
    other = application_for_tests(replace(settings, **given))
    with other.app_context():
        client = other.test_client()
        assert client.get("/login", base_url="http://evil.example").status_code == 400
        assert client.get("/login", base_url="http://crm.example.com.evil.example").status_code == 400
        assert client.get("/healthz", base_url="http://crm.example.com").status_code == 200
        assert client.get("/healthz", base_url="http://127.0.0.1:8000").status_code == 200
        db.engine.dispose()


def test_a_link_is_built_from_the_base_url_whatever_the_request_says(
    client: Browser, ann: User, settings: config.Settings
) -> None:
    sign_in(client, ann)
    config.use(replace(settings, base_url="http://crm.example.com/"))
    forged = {"X-Forwarded-Host": "evil.example"}
    answer = client.post(f"/people/{ann.id}/link", headers=forged)
    assert 'value="http://crm.example.com/password/' in answer.text
    assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    "base_url", ["crm.example.com", "ftp://crm.example.com", "https://", "https://crm.example.com/crm"]
)
def test_a_base_url_that_is_no_address_is_refused_at_the_start(base_url: str) -> None:
    with pytest.raises(ValueError, match="CRMWEB_BASE_URL"):
        config.read({}, base_url=base_url)


@pytest.mark.parametrize("key", ["", "short"])
def test_production_does_not_start_with_a_weak_key(settings: config.Settings, key: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match="SECRET_KEY"):
        create_app(replace(settings, environment="production", secret_key=key))


# Health -------------------------------------------------------------------------------------------------------


def test_health_is_told_to_anybody_without_a_cookie(client: Browser) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "Set-Cookie" not in answer.headers


def test_health_is_bad_when_the_database_does_not_answer(client: Browser) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server is gone"))

    event.listen(db.engine, "before_cursor_execute", refuse)
    try:
        answer = client.get("/healthz")
    finally:
        event.remove(db.engine, "before_cursor_execute", refuse)
    assert answer.status_code == 503
    assert "The database does not answer." in answer.text
    assert "gone" not in answer.text


# The log ------------------------------------------------------------------------------------------------------


def test_the_log_tells_who_came_in_and_who_did_not_in_one_line_each(
    client: Browser, ann: User, caplog: pytest.LogCaptureFixture
) -> None:
    def come(email: str, password: str) -> None:
        form = {"email": email, "password": password, "csrf_token": csrf_token(client.get("/login"))}
        client.post("/login", data=form)

    with caplog.at_level(logging.INFO, "crmweb.security"):
        come("nobody@example.org\r\nsigned in: admin", "a secret typed wrong")
        come(ann.email, PASSWORD)
    lines = [record.getMessage() for record in caplog.records if record.name == "crmweb.security"]
    assert lines == [
        "not signed in: 'nobody@example.org\\r\\nsigned in: admin' from 127.0.0.1",
        f"signed in: {ann.id} from 127.0.0.1",
    ]
    assert PASSWORD not in caplog.text
    assert "a secret typed wrong" not in caplog.text


def test_the_log_tells_who_was_denied_what(
    client: Browser, priya: User, caplog: pytest.LogCaptureFixture
) -> None:
    sign_in(client, priya)
    with caplog.at_level(logging.INFO, "crmweb.security"):
        client.get("/people")
    assert f"denied: GET /people to {priya.id}" in caplog.text


# Names are text -----------------------------------------------------------------------------------------------

POLYGLOT = "\"'><img src=x onerror=alert(1)>{{7*7}}${7*7}<script>alert(1)</script>"


class Markup(HTMLParser):
    """Collects what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag == "img" or (tag == "script" and "src" not in dict(attrs)):
            self.found.append(tag)


@pytest.mark.parametrize("path", ["/people", "/people/{id}", "/account", "/account/email", "/no-such-page"])
def test_a_name_is_text_wherever_it_is_shown(client: Browser, ann: User, path: str) -> None:
    ann.name = POLYGLOT
    changes.commit()
    page = sign_in(client, ann).get(path.format(id=ann.id))
    reader = Markup()
    reader.feed(page.text)
    assert "onerror" in page.text
    assert reader.found == []
