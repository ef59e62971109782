"""One installation to measure: its own SQLite file, an admin who is signed in, and the requests that are asked."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import flask_migrate
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from bench.cost import Cost, measured
from crmweb import changes, config, seeds, ticks, worker
from crmweb.extensions import db
from crmweb.models import Deal, Pipeline, Stage, User, WorkflowRule
from tests.support.outside import application_for_tests
from tests.support.people import sign_in

FROM, TO = "Lead", "Qualified"


class Installation:
    """`deals` generated deals and `rules` active rules that look at every change of a deal and never act."""

    def __init__(self, folder: Path, deals: int, rules: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = config.read(
            {},
            database_url=f"sqlite:///{folder / 'crmweb.db'}",
            instance=str(folder),
            secret_key="for the bench",
        )
        self._app = application_for_tests(self._settings)
        self._ways = itertools.cycle([(FROM, TO), (TO, FROM)])
        with self._app.app_context():
            flask_migrate.upgrade()
            self._fill(deals, rules)
            self._look_around()
            admin = db.session.scalars(select(User).where(User.role == "admin")).one()
            self._browser = sign_in(self._app.test_client(), admin)

    def _fill(self, deals: int, rules: int) -> None:
        """Make what is missing since the last time."""
        if db.session.scalar(select(User.id).limit(1)) is None:
            people = [("Ann", "admin"), ("Priya", "rep"), ("Tom", "rep")]
            db.session.add_all(
                User(name=n, email=f"{n}@example.org".lower(), role=role) for n, role in people
            )
            changes.commit()
        missing = deals - (db.session.scalar(select(func.count()).select_from(Deal)) or 0)
        if missing > 0:
            print(f"Making {missing:,} deals …", flush=True)
            seeds.generate(missing)
        names = set(db.session.scalars(select(WorkflowRule.name)))
        wanted = [_idle_rule(number) for number in range(rules)] or [_timely_rule()]
        db.session.add_all(rule for rule in wanted if rule.name not in names)
        changes.commit()

    def _look_around(self) -> None:
        pipeline = db.session.scalars(select(Pipeline)).one()
        self._board = f"/pipelines/{pipeline.id}"
        stages = db.session.scalars(select(Stage).where(Stage.pipeline_id == pipeline.id))
        self._stages: dict[str, UUID] = {stage.name: stage.id for stage in stages}
        top = select(Deal.id).where(Deal.stage_id == self._stages[FROM]).order_by(Deal.position, Deal.id)
        self._deal = db.session.scalars(top.limit(1)).one()

    def round(self) -> Iterator[tuple[str, Cost]]:
        """Each kind of request once."""
        config.use(self._settings)
        with self._app.app_context():
            yield "The board", self._ask("GET", self._board)
            yield "The board, filtered", self._ask("GET", f"{self._board}?q=telematics")
            yield "A move (drop)", self._move()
            yield "The deal's page", self._ask("GET", f"/deals/{self._deal}")
            yield "A rule's form", self._ask("GET", "/rules/new")
            yield "Time, nothing due", self._tick()

    def close(self) -> None:
        """Let go of the database."""
        with self._app.app_context():
            db.engine.dispose()

    def _move(self) -> Cost:
        old, new = next(self._ways)
        form = {
            "stage_id": self._stages[new], "from_stage_id": self._stages[old], "idempotency_key": secrets.token_hex(8),
            "shown": [f"{self._stages[name]}:25" for name in (old, new)],
        }  # fmt: skip
        return self._ask("POST", f"/deals/{self._deal}/stage", data=form, headers={"HX-Request": "true"})

    def _tick(self) -> Cost:
        """What the worker does each minute for a rule of time."""
        with measured() as cost:
            ticks.tick(worker.PIECE)
        return cost

    def _ask(self, method: str, path: str, **more: Any) -> Cost:
        with measured() as cost:
            answer: TestResponse = self._browser.open(path, method=method, **more)
        cost.bytes, cost.cards = len(answer.data), answer.data.count(b"data-deal-id=")
        if answer.status_code != 200:
            raise SystemExit(f"{method} {path} answered {answer.status}:\n{answer.text[:500]}")
        return cost


def _timely_rule() -> WorkflowRule:
    """It would take days until it meets somebody."""
    return WorkflowRule(
        name="Stuck", entity_type="Deal", trigger_event="days_in_stage", trigger_config={"days": 30},
        actions=[{"type": "create_activity", "config": {"subject": "Call"}}],
    )  # fmt: skip


def _idle_rule(number: int) -> WorkflowRule:
    return WorkflowRule(
        name=f"Idle {number + 1}", entity_type="Deal", trigger_event="update",
        conditions=[{"field": "amount", "operator": "greater_than", "value": 10**9 + number}],
        actions=[{"type": "create_activity", "config": {"subject": "Never"}}],
    )  # fmt: skip
