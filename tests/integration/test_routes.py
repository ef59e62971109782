"""Every route there is × everybody who may knock. A new route is tried here without a line being added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from crmweb.models import User
from crmweb.web.access import ROLES
from tests.support.cast import Cast
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Route, contents, records_of_priya, routes, unknown

HTMX = {"HX-Request": "true"}
OPEN_TO_OTHER_REPS = {"deals.note", "deals.task", "entities.note", "entities.task"}
"""What a rep may do with a deal that is another's: speak about it."""


@pytest.fixture
def records(cast: Cast) -> dict[str, Any]:
    return records_of_priya(cast)


def call(client: Browser, route: Route, values: dict[str, Any], **request: Any) -> TestResponse:
    return client.open(route.url(values), method=route.method, **request)


@contextmanager
def nothing_changes(route: Route) -> Iterator[None]:
    before = contents()
    yield
    after = contents()
    changed = [table for table in before if before[table] != after[table]]
    assert not changed, f"{route.name} changed {changed}"


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    undeclared = [route.name for route in routes(app) if route.access not in ROLES]
    assert not undeclared, f'Put @access("…") directly below the route of {undeclared}'


def test_only_what_must_be_is_public(app: Flask) -> None:
    public = {route.rule.endpoint for route in routes(app) if route.access == "public"}
    assert public == {"assets", "auth.login", "auth.password", "auth.setup", "health.show"}


def test_a_signed_out_browser_is_asked_to_sign_in(
    app: Flask, client: Browser, records: dict[str, Any]
) -> None:
    for route in routes(app):
        if route.access == "public":
            continue
        with nothing_changes(route):
            page = call(client, route, records)
            part = call(client, route, records, headers=HTMX)
        assert page.status_code == 303, route.name
        assert page.location.startswith("/login"), route.name
        assert part.status_code == 401, route.name
        assert part.headers["HX-Redirect"].startswith("/login"), route.name


@pytest.mark.parametrize("who", ["priya", "tom", "marek"])
def test_a_role_that_a_route_is_not_for_is_refused(
    app: Flask, client: Browser, cast: Cast, records: dict[str, Any], who: str
) -> None:
    person: User = getattr(cast, who)
    sign_in(client, person)
    for route in routes(app):
        if route.access == "public" or person.role in ROLES[route.access or ""]:
            continue
        with nothing_changes(route):
            assert call(client, route, records).status_code == 403, route.name
            assert call(client, route, unknown(records)).status_code == 403, route.name


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
    for route in routes(app):
        if route.method == "GET":
            continue
        with nothing_changes(route):
            assert call(client, route, records, headers=sent).status_code == 400, route.name
            assert call(client, route, unknown(records), headers=sent).status_code == 400, route.name


def test_what_is_not_there_is_a_404_whatever_one_wants_with_it(
    app: Flask, client: Browser, ann: User, records: dict[str, Any]
) -> None:
    sign_in(client, ann)
    for route in routes(app):
        if not route.rule.arguments:
            continue
        with nothing_changes(route):
            for headers in ({}, HTMX):
                answer = call(client, route, unknown(records), headers=headers)
                assert answer.status_code == 404, f"{route.name} {headers}"


@pytest.mark.parametrize("who", ["ann", "marek", "priya", "tom"])
def test_a_page_answers_everybody_whom_it_is_for_and_changes_nothing(
    app: Flask, client: Browser, cast: Cast, records: dict[str, Any], who: str
) -> None:
    person: User = getattr(cast, who)
    sign_in(client, person)
    for route in routes(app, "GET"):
        if route.access != "public" and person.role not in ROLES[route.access or ""]:
            continue
        for headers in ({}, HTMX):
            with nothing_changes(route):
                status = call(client, route, records, headers=headers).status_code
            expected = {404} if route.rule.endpoint in ("auth.setup", "assets") else {200, 204, 303, 304}
            # Priya's deal and note: everybody reads them, but their forms are hers and the managers'.
            is_hers = bool(route.rule.arguments & {"deal_id", "activity_id"})
            allowed = expected | ({403} if who == "tom" and is_hers else set())
            assert status in allowed, f"{route.name} answers {person.name} {headers}: {status}"


@pytest.mark.parametrize("who", ["ann", "priya"])
def test_an_empty_form_is_answered_and_changes_nothing_when_it_is_refused(
    app: Flask, client: Browser, cast: Cast, who: str
) -> None:
    person: User = getattr(cast, who)
    for route in routes(app, "POST"):
        if route.access != "public" and person.role not in ROLES[route.access or ""]:
            continue
        for headers in ({}, HTMX):
            records = records_of_priya(cast)
            sign_in(client, person)
            before = contents()
            answer = call(client, route, records, headers=headers)
            assert answer.status_code < 500, route.name
            if answer.status_code >= 400:
                assert contents() == before, route.name


def test_a_rep_changes_nothing_of_another_reps_deals(app: Flask, client: Browser, cast: Cast) -> None:
    records = records_of_priya(cast)
    sign_in(client, cast.tom)
    form = {
        **{name: str(value) for name, value in records.items()},
        "name": "Mine now",
        "subject": "Mine now",
    }
    for route in routes(app, "POST"):
        if route.access != "everyone" or not route.rule.arguments & {
            "deal_id",
            "activity_id",
            "notification_id",
        }:
            continue
        if route.rule.endpoint in OPEN_TO_OTHER_REPS:
            continue
        for headers in ({}, HTMX):
            with nothing_changes(route):
                status = call(client, route, records, data=form, headers=headers).status_code
            assert status in (403, 404), f"{route.name} {headers}: {status}"


def test_the_wrong_method_is_told_so(app: Flask, client: Browser, ann: User, records: dict[str, Any]) -> None:
    sign_in(client, ann)
    for route in routes(app):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - (route.rule.methods or set()):
            if any(other.rule.rule == route.rule.rule and other.method == method for other in routes(app)):
                continue
            with nothing_changes(route):
                answer = client.open(route.url(records), method=method)
            assert answer.status_code == 405, f"{method} {route.rule.rule}"
            assert route.method in answer.headers["Allow"]
