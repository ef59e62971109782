"""Which rules looked at what, and what they saw: the log behind “Why?”. Rules are told as they were then."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from crmweb import clock
from crmweb.errors import NotFoundError
from crmweb.models import Activity, ChangeSet, Deal, Entity, RuleLook, RuleRun, RuleVersion, User
from crmweb.queries import runs

ORDER = {"acted": 0, "failed": 1, "cut": 2, "": 3}
MOST_RECORDS = 50
"""Records of a change set at most, each with its rules."""
MOST_READ = 4000
"""Looks that are read at most to find those of one rule that did not act."""
IDLE_DAYS = 90


@dataclass(frozen=True, slots=True)
class Looked:
    """A rule's look at a record. `line` is the log's, `definition` the rule's as it was; `is_gone`: not kept.

    `outcome`: acted, failed, cut, or empty when it did not act; `told` says in words what it did, or why not.
    """

    rule_id: UUID
    rule_name: str
    definition: dict[str, Any]
    line: list[Any]
    record_id: UUID
    round: int
    at: datetime
    outcome: str
    told: str
    is_gone: bool = False


def of_change(session: Session, change_set_id: UUID, records: Collection[UUID]) -> list[Looked]:
    """Who looked at the records in a change set, or at any of it when none is named: those that acted first.

    A rule that looked in several rounds is told once: with what it did, else as it saw the record last.

    NotFoundError when there is no such change set.
    """
    if session.scalar(select(ChangeSet.id).where(ChangeSet.id == change_set_id)) is None:
        raise NotFoundError("This change is not there any more.")
    query = select(RuleLook).where(RuleLook.change_set_id == change_set_id).limit(MOST_RECORDS)
    if records:
        query = query.where(RuleLook.record_id.in_(list(records)))
    looks = [(look, line) for look in session.scalars(query.order_by(RuleLook.round)) for line in look.looks]
    known = _versions(session, {(UUID(line[0]), line[1]) for _, line in looks})
    done = {
        (run.rule_id, run.record_id, run.round): run
        for run in session.scalars(select(RuleRun).where(RuleRun.change_set_id == change_set_id))
    }
    found = [
        _looked(look, line, known, done.get((UUID(line[0]), look.record_id, look.round)))
        for look, line in looks
    ]
    told: dict[tuple[UUID, UUID], Looked] = {}
    for one in sorted(found, key=lambda one: (ORDER[one.outcome], -one.round)):
        told.setdefault((one.rule_id, one.record_id), one)
    return sorted(told.values(), key=lambda one: (ORDER[one.outcome], one.round))


def counts(entries: Any) -> list[Any]:
    """SQL: how many rules looked at a timeline's entry, or at its deal, in its change set; `acted` and `failed`.

    Those of the round in which most looked are counted, since later rounds ask the same ones again.
    """
    each = func.max(func.json_array_length(RuleLook.looks)).label("looks")
    most = select(each).where(*_own(RuleLook, entries)).group_by(RuleLook.record_id, RuleLook.trigger)
    lookers = select(func.sum(most.correlate(entries).subquery().c.looks))
    return [
        lookers.label("looked"),
        *(
            select(func.count()).where(*_own(RuleRun, entries), RuleRun.outcome == outcome).label(outcome)
            for outcome in ("acted", "failed")
        ),
    ]


def _own(log: type[RuleLook | RuleRun], entries: Any) -> tuple[ColumnElement[bool], ...]:
    return log.change_set_id == entries.c.made_by, or_(
        entries.c.deal_id.is_(None), log.record_id == entries.c.deal_id, log.record_id == entries.c.id
    )


def _looked(look: RuleLook, line: list[Any], known: Any, run: RuleRun | None) -> Looked:
    rule_id = UUID(line[0])
    name, definition = known.get((rule_id, line[1]), ("A rule that is gone", None))
    told = "had nothing left to do" if line[2] else ""
    if run is not None:
        told = runs.told(name, run.outcome, run.effects, run.error)
    return Looked(
        rule_id,
        name,
        definition or {},
        line,
        look.record_id,
        look.round,
        look.at,
        run.outcome if run else "",
        told,
        definition is None,
    )


def _versions(session: Session, wanted: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], Any]:
    """(rule, version) → its name and definition then."""
    query = select(RuleVersion.rule_id, RuleVersion.version, RuleVersion.definition).where(
        RuleVersion.rule_id.in_({rule_id for rule_id, _ in wanted})
    )
    return {
        (row.rule_id, row.version): (row.definition.get("name") or "", row.definition)
        for row in session.execute(query)
        if (row.rule_id, row.version) in wanted
    }


@dataclass(frozen=True, slots=True)
class Idle:
    """A look after which the rule did not act: at which record, when, after whose change."""

    change_set_id: UUID
    at: datetime
    line: list[Any]
    definition: dict[str, Any]
    after: str | None
    deal_id: UUID | None
    entity_id: UUID | None
    record_name: str | None


def idle(session: Session, rule_id: UUID, entity_type: str, most: int) -> tuple[list[Idle], datetime | None]:
    """The newest looks of a rule that ended without its acting, of the last IDLE_DAYS; at most `most`.

    On a busy system only the MOST_READ newest looks are read; when these are too few, it answers since when.
    """
    newest = (
        select(RuleLook.change_set_id, RuleLook.record_id, RuleLook.at, cast(RuleLook.looks, String).label("looks"))
        .where(RuleLook.record_type == entity_type, RuleLook.at >= clock.now() - timedelta(days=IDLE_DAYS))
        .order_by(RuleLook.at.desc())
        .limit(MOST_READ)
    )  # fmt: skip
    read = session.execute(newest).all()
    lines, found = _in_vain(read, rule_id), list[tuple[Any, list[Any]]]()
    while len(found) < most and (some := list(islice(lines, most))):
        ran = _ran(session, rule_id, {row.change_set_id for row, _ in some})
        found += [(row, line) for row, line in some if (row.change_set_id, row.record_id) not in ran]
    is_cut_short = len(read) == MOST_READ and len(found) < most
    return _idle(session, rule_id, found[:most]), read[-1].at if is_cut_short else None


def _in_vain(read: Sequence[Any], rule_id: UUID) -> Iterator[tuple[Any, list[Any]]]:
    """The rule's lines that say that it did not act. Only looks that hold its id are decoded, and only while asked."""
    own = str(rule_id)
    for row in read:
        if f'["{own}", ' in row.looks:
            yield from ((row, line) for line in json.loads(row.looks) if line[0] == own and not line[2])


def _ran(session: Session, rule_id: UUID, change_sets: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """Change sets, and records, for which the rule has a run all the same: it acted in another round, or was cut.

    Its own are picked out here: asked for the rule as well, SQLite goes through all that it ever did.
    """
    query = select(RuleRun.rule_id, RuleRun.change_set_id, RuleRun.record_id)
    runs_ = session.execute(query.where(RuleRun.change_set_id.in_(change_sets)))
    return {(run.change_set_id, run.record_id) for run in runs_ if run.rule_id == rule_id}


def _idle(session: Session, rule_id: UUID, found: Sequence[tuple[Any, list[Any]]]) -> list[Idle]:
    """The looks with what else is told of them. Two statements."""
    own, deal, entity = aliased(Activity), aliased(Deal), aliased(Entity)
    query = (
        select(
            RuleLook.change_set_id, RuleLook.record_id, deal.id.label("deal"), entity.id.label("entity"),
            func.coalesce(User.name, ChangeSet.by_label).label("after"),
            func.coalesce(deal.name, entity.name).label("record_name"),
        )
        .outerjoin(ChangeSet, ChangeSet.id == RuleLook.change_set_id)
        .outerjoin(User, User.id == ChangeSet.by_user_id)
        .outerjoin(own, own.id == RuleLook.record_id)
        .outerjoin(deal, (deal.id == func.coalesce(own.deal_id, RuleLook.record_id)) & deal.deleted_at.is_(None))
        .outerjoin(
            entity, (entity.id == func.coalesce(own.entity_id, RuleLook.record_id)) & entity.deleted_at.is_(None)
        )
        .where(RuleLook.change_set_id.in_({row.change_set_id for row, _ in found}))
        .where(RuleLook.record_id.in_({row.record_id for row, _ in found}))
    )  # fmt: skip
    about = {(row.change_set_id, row.record_id): row for row in session.execute(query)}
    known = _versions(session, {(rule_id, line[1]) for _, line in found})
    told = []
    for look, line in found:
        row = about[look.change_set_id, look.record_id]
        definition = known.get((rule_id, line[1]), ("", {}))[1]
        told.append(
            Idle(
                look.change_set_id, look.at, line, definition, row.after, row.deal,
                None if row.deal else row.entity, row.record_name,
            )
        )  # fmt: skip
    return told
