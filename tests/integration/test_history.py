"""The history: every tracked field before and after, as JSON primitives; all can be explained and taken back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, clock
from crmweb.errors import InvalidStageTransitionError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Change,
    ChangeSet,
    Deal,
    Pipeline,
    RuleRun,
    Stage,
    User,
)
from tests.support.deals import audit_notes, edit, fresh, history, move, totals
from tests.support.factories import make_deal, make_entity, make_note, make_person, make_rule, save

Stages = dict[str, Stage]


def rows(record_id: UUID) -> list[Change]:
    found = (
        select(Change).where(Change.record_id == record_id).order_by(Change.change_set_id, Change.sequence)
    )
    return list(db.session.scalars(found))


# What a Change holds ---------------------------------------------------------------------------------------------


def test_a_creation_is_one_change_with_the_whole_record(stages: Stages, priya: User, noon: datetime) -> None:
    deal = make_deal(
        stages["Lead"], owner=priya, amount="1234.567", expected_close_date=date(2026, 4, 30),
        custom_fields={"seats": 12, "vip": True, "plan": "gold", "rate": 0.25, "code": None},
    )  # fmt: skip
    (made,) = rows(deal.id)
    assert (made.record_type, made.field, made.old, made.rule_run_id, made.round) == (
        "Deal",
        "*",
        None,
        None,
        0,
    )
    assert made.new == {
        "name": "Forklift fleet",
        "amount": "1234.567",
        "currency": "USD",
        "entity_id": str(deal.entity_id),
        "stage_id": str(stages["Lead"].id),
        "assigned_to_id": str(priya.id),
        "expected_close_date": "2026-04-30",
        "closed_date": None,
        "status": "open",
        "lost_reason": None,
        "snoozed_until": None,
        "snooze_reason": None,
        "custom_fields": {"seats": 12, "vip": True, "plan": "gold", "rate": 0.25, "code": None},
        "stage_entered_at": "2026-03-02T12:00:00+00:00",
        "deleted_at": None,
    }


def test_an_edit_is_one_change_for_each_field_that_is_different(
    stages: Stages, priya: User, tom: User
) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    edit(deal, name="Crane fleet", amount=Decimal("70000.5"), currency="eur", assigned_to=tom)
    edit(deal, name="Crane fleet", expected_close_date=date(2026, 4, 30), custom_fields={"seats": 3})
    assert sorted(history(deal)[1:5]) == [
        ("amount", "50000.000", "70000.500"),
        ("assigned_to_id", str(priya.id), str(tom.id)),
        ("currency", "USD", "EUR"),
        ("name", "Forklift fleet", "Crane fleet"),
    ]
    assert sorted(history(deal)[5:], key=str) == [
        ("custom_fields", None, {"seats": 3}),
        ("expected_close_date", None, "2026-04-30"),
    ]


def test_a_deletion_is_one_change_with_the_record_as_it_was(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    created = rows(deal.id)[0].new
    with clock.at(noon + timedelta(hours=1)):
        edit(deal, deleted_at=clock.now())
    (gone,) = rows(deal.id)[1:]
    assert (gone.field, gone.new) == ("*", None)
    assert {**gone.old, "deleted_at": None} == created


def test_a_record_that_comes_back_is_one_change_again(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    edit(deal, deleted_at=clock.now())
    deal_id = deal.id
    changes.commit(lambda session: setattr(session.get_one(Deal, deal_id), "deleted_at", None))
    back = rows(deal.id)[-1]
    assert (back.field, back.old, back.new["name"]) == ("*", None, "Forklift fleet")
    assert totals(stages["Lead"]) == {("", "USD"): (1, 50_000)}


def test_every_value_is_a_json_primitive_on_both_databases(stages: Stages, priya: User) -> None:
    rule = make_rule(conditions=[{"field": "amount", "operator": "greater_than", "value": 5}])
    edit(make_deal(stages["Lead"], owner=priya, custom_fields={"rate": 0.1}), amount=None, custom_fields=None)
    save(Activity(type="task", subject="Call", entity=make_entity(), due_at=clock.now()))
    stages["Lead"].probability = 12.5
    changes.commit()
    rule.is_active = False
    changes.commit()
    for change in db.session.scalars(select(Change)):
        json.dumps([change.old, change.new], allow_nan=False)


@pytest.mark.parametrize("kind", ["Pipeline", "Stage", "Deal", "Entity", "Activity", "WorkflowRule", "User"])
def test_every_tracked_record_has_a_history(kind: str, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    records: dict[str, Any] = {
        "Pipeline": stages["Lead"].pipeline, "Stage": stages["Lead"], "Deal": deal, "Entity": deal.entity,
        "Activity": make_note(deal), "WorkflowRule": make_rule(), "User": make_person(),
    }  # fmt: skip
    record = records[kind]
    field = "subject" if kind == "Activity" else "name"
    was = getattr(record, field)
    setattr(record, field, "Renamed")
    changes.commit()
    made, renamed = [row for row in rows(record.id) if row.field in ("*", field)]
    assert (made.record_type, made.field, made.new[field]) == (kind, "*", was)
    assert (renamed.field, renamed.old, renamed.new) == (field, was, "Renamed")


def test_passwords_never_enter_the_history(session: Session) -> None:
    person = make_person(password_hash="$argon2id$secret")
    person.password_hash = "$argon2id$another"
    changes.commit()
    kept = json.dumps([[change.old, change.new] for change in session.scalars(select(Change))])
    assert "argon2" not in kept
    assert "password" not in kept


def test_positions_versions_and_counters_are_not_tracked(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], by=priya)
    move(deal, stages["Proposal"], by=priya)
    fields = {field for field, _, _ in history(deal)} | set(rows(deal.id)[0].new)
    assert not fields & {
        "position",
        "version",
        "updated_at",
        "next_due_at",
        "last_human_activity_at",
        "name_key",
    }


def test_changes_are_numbered_in_the_order_in_which_they_happened(stages: Stages) -> None:
    deals = [make_deal(stages["Lead"], name) for name in "ABCDEFGH"]

    def rename(session: Session) -> None:
        for deal in session.scalars(select(Deal)):
            deal.amount = 1
        session.flush()
        session.get_one(Deal, deals[0].id).name = "Last"

    changes.commit(rename)
    last = select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1).scalar_subquery()
    written = list(
        db.session.scalars(select(Change).where(Change.change_set_id == last).order_by(Change.sequence))
    )
    assert [change.sequence for change in written] == list(range(9))
    assert [change.record_id for change in written[:8]] == [deal.id for deal in deals], "in one flush by id"
    assert written[8].field == "name"


def test_a_change_back_and_forth_in_one_change_set_is_kept(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])

    def back_and_forth(session: Session) -> None:
        loaded = session.get_one(Deal, deal.id)
        loaded.name = "Crane fleet"
        session.flush()
        loaded.name = "Forklift fleet"

    changes.commit(back_and_forth)
    assert history(deal)[1:] == [
        ("name", "Forklift fleet", "Crane fleet"),
        ("name", "Crane fleet", "Forklift fleet"),
    ]


def test_a_field_that_was_not_loaded_is_kept_with_its_old_value_too(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    entity = deal.entity
    db.session.rollback()  # everything is to be read again
    entity.name = "Northwind"
    changes.commit()
    assert ("name", "Forklift fleet Ltd", "Northwind") in [(r.field, r.old, r.new) for r in rows(entity.id)]


def test_renaming_an_entity_or_an_owner_raises_the_version_of_every_column_that_shows_them(
    stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    make_deal(stages["Proposal"])
    for record in (deal.entity, priya):
        versions = dict(db.session.execute(select(Stage.name, Stage.version)).all())
        board = db.session.scalars(select(Pipeline.board_version)).one()
        db.session.rollback()
        record.name = f"{record.id}"
        changes.commit()
        after = dict(db.session.execute(select(Stage.name, Stage.version)).all())
        assert {name for name in after if after[name] != versions[name]} == {"Lead"}
        assert db.session.scalars(select(Pipeline.board_version)).one() == board + 1


def test_custom_fields_that_differ_only_in_type_are_different(stages: Stages) -> None:
    """In Python True equals 1 and 1 equals 1.0; in JSON they are three values."""
    deal = make_deal(stages["Lead"], custom_fields={"vip": True})
    for value in (1, 1.0, True):
        edit(deal, custom_fields={"vip": value})
        stored = fresh(deal).custom_fields
        assert stored is not None
        assert type(stored["vip"]) is type(value)
    assert len(history(deal)) == 4


# Rules in the history --------------------------------------------------------------------------------------------


def test_what_a_rule_did_names_its_run_and_its_round(stages: Stages, priya: User) -> None:
    make_rule(
        trigger_event="update",
        actions=[{"type": "update_field", "config": {"field_name": "lost_reason", "value": "Set by a rule"}}],
    )
    deal = make_deal(stages["Lead"], by=priya)
    edit(deal, by=priya, name="Crane fleet")
    renamed, ruled = rows(deal.id)[1:]
    run = db.session.scalars(select(RuleRun)).one()
    assert (renamed.rule_run_id, renamed.round) == (None, 0)
    assert (ruled.field, ruled.rule_run_id, ruled.round) == ("lost_reason", run.id, 1)
    assert run.change_set_id == ruled.change_set_id == renamed.change_set_id
    assert fresh(deal).version == 2, "one change set, one version"


def test_a_note_that_a_rule_made_is_signed_by_it(stages: Stages, priya: User) -> None:
    make_rule("Welcome")
    deal = make_deal(stages["Lead"], by=priya)
    (note,) = db.session.scalars(select(Activity))
    run = db.session.scalars(select(RuleRun)).one()
    assert (note.author_id, note.by_label) == (None, "Rule “Welcome”, after Priya Nair’s change")
    assert (note.rule_name, note.rule_run_id, note.deal_id) == ("Welcome", run.id, deal.id)


def test_the_longest_names_still_fit_a_rules_label(stages: Stages) -> None:
    make_rule("R" * 200)
    make_deal(stages["Lead"], by=make_person("P" * 200, email="long@example.org"))
    assert len(db.session.scalars(select(Activity.by_label)).one()) == 300


# Audit notes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"subject": "Never happened"}, {"description": None}, {"deleted_at": datetime(2026, 3, 2, tzinfo=UTC)}],
)
def test_audit_notes_are_never_edited_or_deleted_by_anyone(
    change: dict[str, Any], stages: Stages, ann: User
) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    note = audit_notes(deal)[0]
    for name, value in change.items():
        setattr(note, name, value)
    with pytest.raises(PermissionDeniedError, match="never"):
        changes.commit(by=ann)
    (kept,) = audit_notes(deal)
    assert (kept.subject, kept.deleted_at) == ("Deal moved: Lead → Proposal", None)


# When somebody last did something --------------------------------------------------------------------------------


def test_a_person_who_changes_or_notes_something_is_its_last_human_activity(
    stages: Stages, priya: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"], by=priya)
    changed_at = fresh(deal).updated_at
    assert fresh(deal).last_human_activity_at == noon
    with clock.at(noon + timedelta(hours=1)):
        make_note(deal, by=priya)
    assert fresh(deal).last_human_activity_at == noon + timedelta(hours=1)
    assert fresh(deal).updated_at == changed_at, "a note does not change the deal"
    with clock.at(noon + timedelta(hours=2)):
        edit(deal, by=priya, amount=1)
    assert fresh(deal).last_human_activity_at == noon + timedelta(hours=2)


def test_rules_and_the_system_are_no_human_activity(stages: Stages, priya: User, noon: datetime) -> None:
    make_rule(trigger_event="update")
    deal = make_deal(stages["Lead"])
    assert fresh(deal).last_human_activity_at is None
    with clock.at(noon + timedelta(hours=1)):
        move(deal, stages["Proposal"])
    assert fresh(deal).last_human_activity_at is None


# Enough to take it back ------------------------------------------------------------------------------------------


def test_a_move_and_all_that_its_rules_did_can_be_computed_back_from_its_change_set(
    stages: Stages, priya: User, tom: User
) -> None:
    make_rule(
        trigger_event="update",
        actions=[
            {"type": "update_field", "config": {"field_name": "assigned_to", "value": str(tom.id)}},
            {"type": "update_field", "config": {"field_name": "amount", "value": "99.5"}},
        ],
    )
    deal = make_deal(stages["Lead"], owner=priya, custom_fields={"seats": 3})
    columns = [column.key for column in Deal.__table__.columns]
    untracked = {"version", "updated_at", "position", "last_human_activity_at"}
    before = {name: getattr(fresh(deal), name) for name in columns if name not in untracked}
    move(deal, stages["Closed Won"], by=priya)
    last = db.session.scalars(select(ChangeSet.id).order_by(ChangeSet.id.desc()).limit(1)).one()
    after = {name: getattr(fresh(deal), name) for name in columns if name not in untracked}
    for change in reversed([row for row in rows(deal.id) if row.change_set_id == last]):
        kind = type(Deal.__table__.columns[change.field].type).__name__
        read = {"Uuid": UUID, "Thousandths": Decimal, "UtcDateTime": datetime.fromisoformat}.get(kind, str)
        assert (None if change.new is None else read(change.new)) == after[change.field]
        after[change.field] = None if change.old is None else read(change.old)
    assert after == before


# What only a move may change -------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["stage", "stage_id", "status", "closed_date"])
def test_what_a_move_decides_cannot_be_set_on_a_stored_deal(
    field: str, stages: Stages, noon: datetime
) -> None:
    """D10, D24: the stage of a stored deal changes by `move_to` alone, and the status follows it."""
    deal = make_deal(stages["Lead"])
    value = {
        "stage": stages["Proposal"], "stage_id": stages["Proposal"].id, "status": "closed_won", "closed_date": noon,
    }[field]  # fmt: skip
    with pytest.raises(InvalidStageTransitionError, match=r"move_to"):
        setattr(deal, field, value)
    db.session.expire(deal)
    with pytest.raises(InvalidStageTransitionError, match=r"move_to"):
        setattr(deal, field, value)
    setattr(deal, field, getattr(deal, field))
    changes.commit()
    assert fresh(deal).stage.name == "Lead"
