"""Every route of the application with a real address, and what the database holds: for tests of the whole url_map."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from crmweb import changes, invitations, sign_in
from crmweb.extensions import db
from crmweb.models import Base, Change, Notification, Session
from tests.support.cast import Cast
from tests.support.factories import (
    make_deal,
    make_entity,
    make_note,
    make_person,
    make_pipeline,
    make_rule,
    save,
)

BOOKKEEPING = frozenset({"sessions", "throttles"})
"""Tables in which a request leaves traces that are nobody's data."""


@dataclass(frozen=True)
class Route:
    """One way to call one view."""

    rule: Rule
    method: str
    view: Any

    @property
    def access(self) -> str | None:
        return getattr(self.view, "access", None)

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule.rule}"

    def url(self, values: dict[str, Any]) -> str:
        """Its address with the ids of `values`. KeyError for a part of the address that they do not name."""
        return self.rule.build({name: values[name] for name in self.rule.arguments}, append_unknown=False)[1]


def routes(app: Flask, *methods: str) -> Iterator[Route]:
    """The application's routes, by address; only those of `methods` when given."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if not methods or method in methods:
                yield Route(rule, method, app.view_functions[rule.endpoint])


def records_of_priya(cast: Cast) -> dict[str, Any]:
    """One record of each kind, Priya's where somebody can own it, by the name that addresses give its id.

    Each call makes others, so that what one request does to its records is not in the way of the next.
    """
    stages = make_pipeline(f"Pipeline {uuid4()}")
    deal = make_deal(stages["Lead"], "Night couriers", owner=cast.priya, by=cast.priya)
    person = make_person(f"Robin {uuid4().hex}")
    news = save(Notification(user_id=cast.priya.id, kind="note", subject="News"))
    changes.commit(
        lambda session: sign_in.begin(session, cast.priya.id, secrets.token_hex(), "", ""),
        cause="bookkeeping",
    )
    return {
        "pipeline_id": stages["Lead"].pipeline_id,
        "stage_id": stages["Lead"].id,
        "deal_id": deal.id,
        "entity_id": make_entity(f"Entity {uuid4()}").id,
        "activity_id": make_note(deal, by=cast.priya).id,
        "rule_id": make_rule(f"Rule {uuid4()}").id,
        "notification_id": news.id,
        "person_id": person.id,
        "sign_in_id": db.session.scalar(select(Session.id).where(Session.user_id == cast.priya.id).limit(1)),
        "token": invitations.invite(person.id),
        "change_set_id": db.session.scalar(
            select(Change.change_set_id).where(Change.record_id == deal.id).limit(1)
        ),
        "name": "app.css",
    }


def unknown(values: dict[str, Any]) -> dict[str, Any]:
    """The same names with ids of nothing."""
    return {name: uuid4() if isinstance(value, UUID) else "nothing" for name, value in values.items()}


class Contents:
    """What the database holds; `check` fails when that has changed since the last look."""

    def __init__(self) -> None:
        self.seen = self.look()

    def look(self) -> dict[str, Any]:
        """The rows of each table, but for those that are nobody's data."""
        with db.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table.name}")))
                for table in Base.metadata.sorted_tables
                if table.name not in BOOKKEEPING
            }

    def check(self, why: str) -> None:
        """AssertionError, with `why`, when something changed."""
        now = self.look()
        changed = {name: set(now[name]) ^ set(rows) for name, rows in self.seen.items() if now[name] != rows}
        assert not changed, f"{why} changed {changed}"
