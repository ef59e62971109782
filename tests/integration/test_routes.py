"""Every route there is × everybody who may knock. A new route is tried here without a line being added."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from crmweb.extensions import db
from crmweb.models import User
from crmweb.web.access import ROLES
from tests.integration.conftest import TABLES
from tests.support import databases
from tests.support.cast import Cast, make_cast
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Contents, Route, records_of_priya, routes, unknown

HTMX = {"HX-Request": "true"}
OPEN_TO_OTHER_REPS = {"deals.next_step", "deals.note", "deals.task", "entities.note", "entities.task"}
"""What a rep may do with a deal that is another's: speak about it."""
NEEDS_A_QUERY = {"board.more"}
"""Pages that answer 422 without a query string: more cards, but after which?"""


@pytest.fixture
def records(cast: Cast) -> dict[str, Any]:
    return records_of_priya(cast)


def call(client: Browser, route: Route, values: dict[str, Any], **request: Any) -> TestResponse:
    return client.open(route.url(values), method=route.method, **request)


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    undeclared = [route.name for route in routes(app) if route.access not in ROLES]
    assert not undeclared, f'Put @access("…") directly below the route of {undeclared}'


def test_only_what_must_be_is_public(app: Flask) -> None:
    public = {route.rule.endpoint for route in routes(app) if route.access == "public"}
    assert public == {"assets", "auth.login", "auth.password", "auth.setup", "health.show"}


def test_a_signed_out_browser_is_asked_to_sign_in(
    app: Flask, client: Browser, records: dict[str, Any]
) -> None:
    database = Contents()
    for route in routes(app):
        if route.access == "public":
            continue
        page = call(client, route, records)
        part = call(client, route, records, headers=HTMX)
        assert page.status_code == 303, route.name
        assert page.location.startswith("/login"), route.name
        assert part.status_code == 401, route.name
        assert part.headers["HX-Redirect"].startswith("/login"), route.name
        database.check(route.name)


@pytest.mark.parametrize("who", ["priya", "marek"])
def test_a_role_that_a_route_is_not_for_is_refused(
    app: Flask, client: Browser, cast: Cast, records: dict[str, Any], who: str
) -> None:
    person: User = getattr(cast, who)
    sign_in(client, person)
    database = Contents()
    for route in routes(app):
        if not is_for(route, person):
            assert call(client, route, records).status_code == 403, route.name
            assert call(client, route, unknown(records)).status_code == 403, route.name
            database.check(route.name)


@pytest.mark.parametrize(
    "sent",
    [
        {"X-CSRFToken": ""},
        {"X-CSRFToken": "a.made.up-one"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused(
    app: Flask, client: Browser, ann: User, records: dict[str, Any], sent: dict[str, str]
) -> None:
    sign_in(client, ann)
    database = Contents()
    for route in routes(app):
        if route.method != "GET":
            assert call(client, route, records, headers=sent).status_code == 400, route.name
    database.check("One of them")


def test_what_is_not_there_is_a_404_whatever_one_wants_with_it(
    app: Flask, client: Browser, ann: User, records: dict[str, Any]
) -> None:
    sign_in(client, ann)
    database = Contents()
    for route in routes(app):
        if route.rule.arguments:
            for headers in ({}, HTMX):
                answer = call(client, route, unknown(records), headers=headers)
                assert answer.status_code == 404, f"{route.name} {headers}"
            database.check(route.name)


@pytest.mark.parametrize("who", ["ann", "marek", "priya", "tom"])
def test_a_page_answers_everybody_whom_it_is_for_and_changes_nothing(
    app: Flask, client: Browser, cast: Cast, records: dict[str, Any], who: str
) -> None:
    person: User = getattr(cast, who)
    sign_in(client, person)
    database = Contents()
    for route in routes(app, "GET"):
        if not is_for(route, person):
            continue
        expected = {404} if route.rule.endpoint in ("auth.setup", "assets") else {200, 204, 303, 304}
        if route.rule.endpoint in NEEDS_A_QUERY:
            expected = {422}
        if who == "tom" and route.rule.arguments & {"deal_id", "activity_id"}:
            expected |= {
                403
            }  # everybody reads Priya's deal and note, but their forms are hers and the managers'
        for headers in ({}, HTMX):
            status = call(client, route, records, headers=headers).status_code
            assert status in expected, f"{route.name} answers {person.name} {headers}: {status}"
        database.check(route.name)


@pytest.mark.parametrize("who", ["ann", "priya"])
def test_an_empty_form_is_answered_and_changes_nothing_when_it_is_refused(
    app: Flask, client: Browser, cast: Cast, who: str
) -> None:
    tried = [
        (route, headers)
        for route in routes(app, "POST")
        if is_for(route, getattr(cast, who))
        for headers in ({}, HTMX)
    ]
    is_used = True
    for route, headers in tried:
        if is_used:  # all afresh, else each look at the database would take longer than the one before
            databases.empty(db.engine, TABLES)
            cast = make_cast()
            records = records_of_priya(cast)
            sign_in(client, getattr(cast, who))
            database = Contents()
        answer = call(client, route, records, headers=headers)
        assert answer.status_code < 500, route.name
        is_used = answer.status_code < 400
        if not is_used:
            database.check(route.name)


def test_a_rep_changes_nothing_of_another_reps_deals(
    app: Flask, client: Browser, tom: User, records: dict[str, Any]
) -> None:
    sign_in(client, tom)
    form = {**{name: str(value) for name, value in records.items()}, "name": "Mine", "subject": "Mine"}
    database = Contents()
    for route in routes(app, "POST"):
        is_hers = bool(route.rule.arguments & {"deal_id", "activity_id", "notification_id"})
        if is_hers and is_for(route, tom) and route.rule.endpoint not in OPEN_TO_OTHER_REPS:
            for headers in ({}, HTMX):
                status = call(client, route, records, data=form, headers=headers).status_code
                assert status in (403, 404), f"{route.name} {headers}: {status}"
            database.check(route.name)


def test_the_wrong_method_is_told_so(app: Flask, client: Browser, ann: User, records: dict[str, Any]) -> None:
    sign_in(client, ann)
    allowed: dict[str, set[str]] = {}
    for route in routes(app):
        allowed.setdefault(route.url(records), set()).add(route.method)
    database = Contents()
    for url, methods in allowed.items():
        for method in {"GET", "POST", "DELETE"} - methods:
            answer = client.open(url, method=method)
            assert answer.status_code == 405, f"{method} {url}"
            assert methods <= set(answer.headers["Allow"].split(", "))
    database.check("One of them")


def is_for(route: Route, person: User) -> bool:
    """Whether the person's role may call it."""
    return route.access == "public" or person.role in ROLES[route.access or ""]
