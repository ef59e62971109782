"""Doctor finds whatever is wrong, and nothing where all is right: each invariant is broken behind the code's back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, delete, text, update

from crmweb import changes, config, doctor
from crmweb.doctor import Finding, deals, records
from crmweb.doctor.database import integrity
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Change,
    Deal,
    Notification,
    RuleRun,
    Stage,
    StageChange,
    StageTotal,
    User,
)
from tests.support.factories import make_deal, make_note, make_rule
from tests.support.outside import Terminal, application_for_tests


@dataclass
class Scene:
    """Two deals: one was moved twice, one once; a rule left a note and told the admin."""

    stages: dict[str, Stage]
    ann: User
    deal: Deal
    other: Deal
    note: Activity


@pytest.fixture
def scene(stages: dict[str, Stage], ann: User) -> Scene:
    tell = {"type": "send_notification", "config": {"to": "admins"}}
    greet = {"type": "create_activity", "config": {"subject": "Say hello"}}
    make_rule(actions=[greet, tell])
    deal = make_deal(stages["Lead"], "Forklift fleet", by=ann, owner=ann)
    other = make_deal(stages["Lead"], "Crane hire", by=ann)
    for record, stage in ((deal, "Qualified"), (deal, "Closed Lost"), (other, "Proposal")):
        move(record, stages[stage])
    return Scene(stages, ann, deal, other, make_note(deal))


def move(deal: Deal, stage: Stage) -> None:
    reason = "Price" if stage.status == "closed_lost" else None
    changes.commit(lambda session: Deal.locked(session, deal.id).move_to(stage.id, lost_reason=reason))


def findings() -> list[Finding]:
    with db.engine.connect() as connection:
        return doctor.examine(connection)


def errors() -> set[str]:
    return {finding.name for finding in doctor.errors(findings())}


@contextmanager
def unguarded() -> Iterator[Connection]:
    """A connection on which foreign keys look away."""
    with db.engine.connect() as connection:
        dbapi: Any = connection.connection.driver_connection
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            dbapi.execute("PRAGMA foreign_keys=OFF")
        else:
            connection.execute(text("SET session_replication_role = replica"))
        try:
            yield connection
        finally:
            connection.rollback()
            dbapi.execute("PRAGMA foreign_keys=ON" if is_sqlite else "SET session_replication_role = DEFAULT")
            dbapi.commit()


def break_for_good(*statements: Any) -> None:
    """Change the database behind the code's back."""
    db.session.remove()
    with unguarded() as connection:
        for statement in statements:
            connection.execute(statement)
        connection.get_transaction().commit()  # type: ignore[union-attr]


def test_nothing_is_found_where_everything_came_through_the_one_door(scene: Scene) -> None:
    assert doctor.errors(findings()) == []


def test_nothing_is_found_in_an_empty_database(app: Flask) -> None:
    assert doctor.errors(findings()) == []


def of(record: Any, **values: Any) -> Any:
    """The statement that gives a stored record other values."""
    return update(type(record)).where(type(record).id == record.id).values(**values)


def last_step(deal: Deal, **values: Any) -> Any:
    """The statement that gives the deal's last step other values."""
    steps = update(StageChange).where(StageChange.deal_id == deal.id)
    return steps.where(StageChange.deal_version == deal.version).values(**values)


def audit_notes(deal: Deal) -> Any:
    return delete(Activity).where(Activity.kind == "audit", Activity.deal_id == deal.id)


def first_steps(**values: Any) -> Any:
    return update(StageChange).where(StageChange.from_stage_id.is_(None)).values(**values)


NOW, GONE = datetime(2026, 3, 2, tzinfo=UTC), uuid4()
BREAKAGES: dict[str, tuple[str, Callable[[Scene], Any]]] = {
    "a step that starts where the deal was not": (
        "chain", lambda s: last_step(s.deal, from_stage_id=s.stages["Negotiation"].id)),
    "a first step that comes from somewhere": ("chain", lambda s: first_steps(from_stage_id=s.stages["Lead"].id)),
    "a deal that is elsewhere than its history says": ("stage", lambda s: of(s.other, stage_id=s.stages["Lead"].id)),
    "a deal without any history of stages": (
        "stage", lambda s: delete(StageChange).where(StageChange.deal_id == s.other.id)),
    "a deal that entered its stage at another time": ("stage_entered", lambda s: of(s.deal, stage_entered_at=NOW)),
    "a version that was skipped": ("versions", lambda s: of(s.deal, version=Deal.version + 1)),
    "a version that was used twice": ("versions", lambda s: of(s.deal, version=Deal.version - 1)),
    "a step of a version that is yet to come": ("versions", lambda s: last_step(s.deal, deal_version=99)),
    "steps with a gap between their numbers": ("steps", lambda s: last_step(s.deal, step=2)),
    "a next step that is due when no task is": ("next_steps", lambda s: of(s.other, next_due_at=NOW)),
    "a move without its note": ("audit_notes", lambda s: audit_notes(s.other)),
    "a move with two notes": ("audit_notes", lambda s: of(s.note, kind="audit")),
    "a total that counts a deal too many": (
        "totals", lambda s: update(StageTotal).values(deal_count=StageTotal.deal_count + 1)),
    "a total whose sum is off": ("totals", lambda s: of(s.deal, amount=50_001)),
    "a total that is missing": ("totals", lambda s: delete(StageTotal)),
    "a deleted deal that still counts": ("totals", lambda s: of(s.deal, deleted_at=NOW)),
    "an owner whom the totals do not know": ("totals", lambda s: of(s.other, assigned_to_id=s.ann.id)),
    "a lost deal that claims to be open": (
        "status", lambda s: of(s.deal, status="open", closed_date=None, lost_reason=None)),
    "a lost deal that was never closed": ("status", lambda s: of(s.deal, closed_date=None)),
    "an open deal with a closing time": ("status", lambda s: of(s.other, closed_date=NOW)),
    "an open deal with a reason for its loss": ("status", lambda s: of(s.other, lost_reason="Price")),
    "a deal in an archived stage": ("places", lambda s: of(s.stages["Proposal"], is_archived=True)),
    "a deal with a deleted contact": ("places", lambda s: of(s.other.entity, deleted_at=NOW)),
    "a deal beyond the last position": ("places", lambda s: of(s.other, position=-(2**63) + 1)),
    "a record that nobody made": ("history", lambda s: delete(Change).where(Change.record_id == s.other.entity_id)),
    "steps of a change set that is gone": ("orphans", lambda s: last_step(s.deal, change_set_id=GONE)),
    "notes of a rule's run that is gone": ("orphans", lambda s: delete(RuleRun)),
    "a line in the inbox about a rule that is gone": (
        "orphans", lambda s: update(Notification).values(rule_id=GONE)),
}  # fmt: skip


def test_each_invariant_is_found_broken(scene: Scene) -> None:
    missed = []
    for breakage, (name, statement) in BREAKAGES.items():
        with unguarded() as connection:
            connection.execute(statement(scene))
            if name not in {finding.name for finding in doctor.errors(doctor.examine(connection))}:
                missed.append(breakage)
    assert not missed
    assert errors() == set(), "the breakages were rolled back"


def test_no_check_of_the_data_is_left_untried() -> None:
    checks = {check.__name__ for check in (*deals.CHECKS, *records.CHECKS)}
    assert {name for name, _ in BREAKAGES.values()} == checks


def test_an_undo_may_give_a_deal_its_old_time_back(scene: Scene) -> None:
    break_for_good(last_step(scene.deal, cause="undo"), of(scene.deal, stage_entered_at=NOW))
    assert errors() == set()


def test_it_finds_rows_that_refer_to_nothing_where_the_database_let_them_in(
    scene: Scene, database: str
) -> None:
    break_for_good(of(scene.other, assigned_to_id=GONE))
    assert errors() == ({"references", "totals"} if database == "sqlite" else {"totals"})


def test_a_finding_names_the_records_and_counts_the_rest(stages: dict[str, Stage]) -> None:
    made = [make_deal(stages["Lead"], f"Deal {number}") for number in range(7)]
    break_for_good(update(Deal).values(lost_reason="Price"))
    [finding] = doctor.errors(findings())
    assert str(finding).startswith(
        "Status, closing time or lost reason of 7 deals do not follow their stage: "
    )
    assert str(finding).endswith(" and 2 more.")
    assert set(finding.ids) <= {str(deal.id) for deal in made}
    assert len(finding.ids) == 5


def test_people_without_an_active_admin_are_worth_a_warning(tom: User, ann: User) -> None:
    break_for_good(of(ann, is_active=False))
    assert "admins" in {finding.name for finding in findings() if finding.is_warning}
    assert errors() == set()


def test_the_command_prints_what_is_wrong_and_exits_with_1(scene: Scene, runner: Terminal) -> None:
    assert "Everything is in order" in runner.run("doctor")
    break_for_good(of(scene.other, lost_reason="Price"))
    result = runner.invoke(args=["doctor"])
    assert result.exit_code == 1
    assert str(scene.other.id) in result.output
    assert "1 of " in result.output


@pytest.fixture
def elsewhere(blank: config.Settings) -> Iterator[Flask]:
    """Another installation, whose database has no tables yet."""
    elsewhere = application_for_tests(blank)
    yield elsewhere
    with elsewhere.app_context():
        db.engine.dispose()


def test_a_database_without_tables_is_told_how_to_get_them(elsewhere: Flask) -> None:
    result = elsewhere.test_cli_runner().invoke(args=["doctor"])
    assert result.exit_code == 1
    assert "flask --app crmweb db upgrade" in result.output


def test_tables_of_a_newer_release_end_the_examination(elsewhere: Flask) -> None:
    terminal = elsewhere.test_cli_runner()
    terminal.invoke(args=["db", "upgrade"])
    with elsewhere.app_context(), db.engine.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'f00d'"))
        connection.get_transaction().commit()
        assert [finding.name for finding in doctor.examine(connection)] == ["release"]
    assert "newer release (f00d)" in terminal.invoke(args=["doctor"]).output


def test_a_damaged_file_is_found(database: str, app: Flask, scene: Scene) -> None:
    if database == "postgresql":  # PostgreSQL checks its own pages
        with db.engine.connect() as connection:
            assert list(integrity(connection)) == []
        return
    with db.engine.connect() as connection:
        damage(connection)
        assert [finding.name for finding in integrity(connection)] == ["integrity"]
        connection.execute(text("REINDEX"))
        assert list(integrity(connection)) == []
        connection.invalidate()  # it goes on believing in the damaged schema, and would damage what comes next


def damage(connection: Connection) -> None:
    """Take an entry from a table but not from its index, as a lost write would."""
    connection.execute(text("PRAGMA writable_schema=ON"))
    other = "replace(sql, '(name_key, id)', '(name, id)')"
    connection.execute(text(f"UPDATE sqlite_master SET sql = {other} WHERE name = 'ix_entities_name'"))
    connection.execute(text("PRAGMA writable_schema=RESET"))
