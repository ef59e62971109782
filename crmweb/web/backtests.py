"""What a rule would have done in the last days: the page that adds it up, a piece at a time.

Nothing of it is kept here: what was counted so far goes to the browser and comes back signed, with the form that it is
about. So a test goes on wherever it is asked to, and no process has to wait for it.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import current_app, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from crmweb import clock, config
from crmweb.errors import CRMError
from crmweb.extensions import db
from crmweb.forms.fields import start_in_first_wrong
from crmweb.forms.rules import RuleForm
from crmweb.models import WorkflowRule
from crmweb.queries import rules, trials
from crmweb.web import rule_forms, rule_words
from crmweb.web.access import access, me
from crmweb.web.htmx import is_htmx
from crmweb.web.rules import Answer, bp
from crmweb.workflow import backtest

DAYS = (30, 90, 365)
SHOWN = 100
"""Most lines of the list."""
PATIENCE = 0.8
"""Seconds after which an answer goes out, finished or not."""
OWN = ("csrf_token", "days", "so_far", "do")
"""Fields of the page's own form; all others are the rule's."""


@dataclass
class Tally:
    """What was counted so far. `newest`: [at, record, change set], newest first; `money`: currency → sum as text."""

    since: str
    size: int
    looked: int = 0
    times: int = 0
    records: int = 0
    days: dict[str, int] = field(default_factory=dict)
    money: dict[str, str] = field(default_factory=dict)
    newest: list[list[str]] = field(default_factory=list)
    after: str | None = None
    is_done: bool = False

    def add(self, page: backtest.Page, known: dict[UUID, trials.Touched], zone: Any) -> None:
        """Count a page of records."""
        days = Counter(self.days)
        for firing in page.firings:
            days[firing.at.astimezone(zone).date().isoformat()] += 1
            self.newest.append([firing.at.isoformat(), str(firing.record), str(firing.change_set or "")])
        self.days, self.newest = dict(days), sorted(self.newest, reverse=True)[:SHOWN]
        for record in {firing.record for firing in page.firings}:
            self.records += 1
            if (one := known.get(record)) and one.amount is not None:
                self.money[one.currency] = str(Decimal(self.money.get(one.currency, "0")) + one.amount)
        self.looked, self.times = self.looked + page.looked, self.times + len(page.firings)
        self.after, self.is_done = str(page.after) if page.after else None, page.after is None


@dataclass(frozen=True)
class Bar:
    """A week or a month of the chart, beginning on `day`."""

    day: date
    times: int


@bp.post("/rules/test")
@access("managers")
def test_new() -> Answer:
    """Test a rule that is not saved yet on the last days."""
    return _tested(None)


@bp.post("/rules/<uuid:rule_id>/test")
@access("managers")
def test_stored(rule_id: UUID) -> Answer:
    """Test a stored rule as the form has it."""
    return _tested(rules.load(db.session(), rule_id))


def _tested(rule: rules.RuleRow | None) -> Answer:
    person = me()
    form = RuleForm(request.form, locale=person.locale)
    if not form.name.data:
        form.name.data = "This rule"
    if not form.validate():
        start_in_first_wrong(form)
        return rule_forms.again(form, rule), 422
    definition = form.definition()
    draft = WorkflowRule(**definition)
    if rule is not None:
        draft.id, draft.order = rule.id, rule.order
    days = request.form.get("days", 90, int)
    days = days if days in DAYS else 90
    tally = _so_far(draft, days)
    _count(tally, draft)
    context = _context(form, rule, tally, days)
    return render_template("rules/_backtest.html" if is_htmx() else "rules/backtest.html", **context)


def _so_far(draft: WorkflowRule, days: int) -> Tally:
    signed = request.form.get("so_far", "")
    try:
        if signed:
            return Tally(**_serializer().loads(signed))
    except (BadSignature, TypeError):
        raise CRMError("This test cannot go on from here. Start it again from the rule.") from None
    since = clock.now() - timedelta(days=days)
    return Tally(since.isoformat(), backtest.size(db.session(), draft, since))


def _count(tally: Tally, draft: WorkflowRule) -> None:
    """Go on until PATIENCE is at its end, at least by one page."""
    session, began = db.session(), time.monotonic()
    zone, since = ZoneInfo(config.settings.timezone), datetime.fromisoformat(tally.since)
    while not tally.is_done:
        page = backtest.page(session, draft, since, UUID(tally.after) if tally.after else None)
        known = trials.touched(session, draft.entity_type, {firing.record for firing in page.firings})
        tally.add(page, known, zone)
        if time.monotonic() - began > PATIENCE:
            break


def _context(form: RuleForm, rule: rules.RuleRow | None, tally: Tally, days: int) -> dict[str, Any]:
    session, definition = db.session(), form.definition()
    records = trials.touched(session, definition["entity_type"], {UUID(row[1]) for row in tally.newest})
    who = trials.authors(session, {UUID(row[2]) for row in tally.newest if row[2]})
    return {
        "rule": rule,
        "sentence": rule_words.sentence(session, definition, me().locale),
        "tally": tally,
        "money": [(currency, Decimal(amount)) for currency, amount in sorted(tally.money.items())],
        "bars": _bars(tally, days),
        "rows": [
            (
                datetime.fromisoformat(at),
                records.get(UUID(record)),
                who.get(UUID(change_set), "") if change_set else "Time",
            )
            for at, record, change_set in tally.newest
        ],
        "so_far": "" if tally.is_done else _serializer().dumps(asdict(tally)),
        "days": days,
        "choices": DAYS,
        "kind": {"Deal": "deal", "Entity": "contact", "Activity": "activity"}[definition["entity_type"]],
        "given": [(name, value) for name, value in request.form.items(multi=True) if name not in OWN],
        "test_url": url_for("rules.test_stored", rule_id=rule.id) if rule else url_for("rules.test_new"),
        "draft_url": url_for("rules.redraft", rule_id=rule.id) if rule else url_for("rules.draft"),
        "save_url": url_for("rules.show", rule_id=rule.id) if rule else url_for("rules.new"),
    }


def _bars(tally: Tally, days: int) -> list[Bar]:
    """The weeks back from today, of a year the months (53 bars would be too narrow to read), the newest first."""

    def begin(day: date) -> date:
        return day.replace(day=1) if days > 90 else day - timedelta(days=day.weekday())

    today, times = clock.today(), Counter[date]()
    for day, number in tally.days.items():
        times[begin(date.fromisoformat(day))] += number
    beginnings = dict.fromkeys(begin(today - timedelta(days=back)) for back in range(days + 1))
    return [Bar(day, times[day]) for day in beginnings]


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"backtest of {me().id}")
