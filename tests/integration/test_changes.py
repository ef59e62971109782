"""The one door: what `changes.commit` saves, what it refuses, what it writes beside; nothing gets past it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, clock
from crmweb.errors import ConflictError, FieldError, PermissionDeniedError, UnsavedChangesError
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    AppState,
    Change,
    ChangeSet,
    Deal,
    Entity,
    Notification,
    Pipeline,
    Stage,
    Throttle,
    User,
)
from tests.support.factories import make_deal, make_entity, make_note, make_pipeline, save

Stages = dict[str, Stage]
Db = scoped_session[Session]


def count(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def newest_set() -> ChangeSet:
    return db.session.scalars(select(ChangeSet).order_by(ChangeSet.id.desc()).limit(1)).one()


def changes_of(record_id: UUID) -> list[tuple[str, Any, Any]]:
    found = (
        select(Change).where(Change.record_id == record_id).order_by(Change.change_set_id, Change.sequence)
    )
    return [(change.field, change.old, change.new) for change in db.session.scalars(found)]


# What it gives and takes -----------------------------------------------------------------------------------------


def test_work_gets_the_session_and_its_result_is_returned(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])

    def rename(session: Session) -> str:
        loaded = session.get_one(Deal, deal.id)
        loaded.name = "Crane fleet"
        return loaded.name

    assert changes.commit(rename) == "Crane fleet"
    assert db.session.scalar(select(Deal.name)) == "Crane fleet"


def test_what_work_raises_comes_out_and_nothing_is_saved(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    sets = count(ChangeSet)

    def fail(session: Session) -> None:
        session.get_one(Deal, deal.id).name = "Crane fleet"
        session.flush()
        raise LookupError("something else broke")

    with pytest.raises(LookupError):
        changes.commit(fail)
    assert db.session.scalar(select(Deal.name)) == "Forklift fleet"
    assert count(ChangeSet) == sets


def test_without_work_the_pending_objects_are_saved(session: Db) -> None:
    session.add(Entity(name="Northwind"))
    assert changes.commit() is None
    assert session.scalar(select(Entity.name)) == "Northwind"


def test_a_flush_before_loses_nothing(session: Db, ann: User) -> None:
    """A flush begins the change; the commit names its author, its cause and its key."""
    session.add(Entity(name="Northwind"))
    session.flush()
    changes.commit(by=ann, cause="import", key="upload-7")
    session.rollback()
    assert session.scalar(select(Entity.name)) == "Northwind"
    made = newest_set()
    assert (made.by_user_id, made.cause, made.idempotency_key) == (ann.id, "import", "upload-7")


def test_a_flush_of_bookkeeping_loses_nothing(session: Db) -> None:
    session.scalar(select(func.count()).select_from(Entity))  # a read transaction is open
    session.add(AppState(key="setup_code", value="1234"))
    session.flush()
    changes.commit(cause="bookkeeping")
    session.rollback()
    assert session.get(AppState, "setup_code", populate_existing=True) is not None


def test_a_commit_inside_work_is_refused(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])

    def nested(session: Session) -> None:
        session.get_one(Deal, deal.id).name = "Crane fleet"
        session.flush()
        changes.commit(lambda inner: None)

    with pytest.raises(UnsavedChangesError, match="inside"):
        changes.commit(nested)
    assert db.session.scalar(select(Deal.name)) == "Forklift fleet"


# Unsaved changes -------------------------------------------------------------------------------------------------


def test_work_is_refused_while_the_session_holds_unsaved_changes(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    deal.name = "Crane fleet"
    with pytest.raises(UnsavedChangesError, match="Crane fleet"):
        changes.commit(lambda session: None)
    assert deal.name == "Crane fleet", "the change is still there to be saved"
    changes.commit()
    assert db.session.scalar(select(Deal.name)) == "Crane fleet"


def test_work_is_refused_while_changes_are_flushed_but_not_saved(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    deal.name = "Crane fleet"
    db.session.flush()
    with pytest.raises(UnsavedChangesError, match="Crane fleet"):
        changes.commit(lambda session: None)


def test_work_is_refused_while_anything_at_all_is_unsaved(ann: User) -> None:
    db.session.add(Notification(user_id=ann.id, kind="note", subject="Hello"))
    with pytest.raises(UnsavedChangesError):
        changes.commit(lambda session: None)


def test_a_bare_commit_of_changes_is_refused(session: Db) -> None:
    session.add(Entity(name="Northwind"))
    with pytest.raises(UnsavedChangesError, match=r"changes\.commit"):
        session.commit()
    session.rollback()
    assert count(Entity) == 0


def test_a_bare_commit_of_flushed_changes_is_refused(session: Db) -> None:
    session.add(Entity(name="Northwind"))
    session.flush()
    with pytest.raises(UnsavedChangesError, match=r"changes\.commit"):
        session.commit()
    session.rollback()
    assert count(Entity) == 0


def test_a_bare_commit_of_bookkeeping_is_refused(session: Db) -> None:
    session.add(AppState(key="setup_code", value="1234"))
    with pytest.raises(UnsavedChangesError, match=r"changes\.commit"):
        session.commit()


def test_a_bare_commit_after_reading_is_nothing_bad(session: Db) -> None:
    session.scalar(select(func.count()).select_from(Deal))
    session.commit()


# Change sets -----------------------------------------------------------------------------------------------------


def test_a_change_set_says_who_when_and_why(priya: User, noon: Any) -> None:
    save(Entity(name="Northwind"), by=priya)
    made = newest_set()
    assert (made.by_user_id, made.by_label, made.cause, made.at) == (priya.id, None, "person", noon)


def test_an_author_without_an_account_is_kept_as_a_label() -> None:
    save(Entity(name="Northwind"))
    assert (newest_set().by_user_id, newest_set().by_label) == (None, "System")


def test_bookkeeping_leaves_no_change_set(session: Db, ann: User) -> None:
    sets = count(ChangeSet)
    changes.commit(lambda writing: writing.add(AppState(key="setup_code", value="1234")), cause="bookkeeping")
    assert session.get(AppState, "setup_code") is not None
    ann_id = ann.id
    changes.commit(
        lambda writing: setattr(writing.get(User, ann_id), "password_hash", "new"), cause="bookkeeping"
    )
    assert count(ChangeSet) == sets


def test_bookkeeping_cannot_hide_a_tracked_change(priya: User) -> None:
    person = priya.id
    with pytest.raises(UnsavedChangesError, match="bookkeeping"):
        changes.commit(lambda session: setattr(session.get(User, person), "name", "Eve"), cause="bookkeeping")
    assert db.session.scalar(select(User.name).where(User.id == person)) == "Priya Nair"


def test_a_change_of_untracked_fields_alone_leaves_no_change_set(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    sets = count(ChangeSet)
    deal.position = 17
    changes.commit()
    assert count(ChangeSet) == sets


def test_saving_the_same_values_again_leaves_no_change_set(stages: Stages) -> None:
    deal = make_deal(stages["Lead"], amount=100)
    sets, version = count(ChangeSet), deal.version
    deal.name, deal.amount = "Forklift fleet", Decimal("100.000")
    changes.commit()
    assert (count(ChangeSet), deal.version) == (sets, version)


def test_many_records_of_one_act_share_a_change_set(session: Db) -> None:
    session.add_all([Entity(name="Northwind"), Entity(name="Contoso")])
    changes.commit()
    assert session.scalar(select(func.count(func.distinct(Change.change_set_id)))) == 1


def test_a_key_too_long_for_its_column_is_refused_in_words(session: Db) -> None:
    session.add(Entity(name="Northwind"))
    with pytest.raises(FieldError, match="64"):
        changes.commit(key="k" * 65)


# Concurrent writers meet here ------------------------------------------------------------------------------------


def test_a_stale_object_is_a_conflict_in_words(stages: Stages, app: Flask) -> None:
    deal = make_deal(stages["Lead"])
    deal.name = "Crane fleet"
    with app.app_context():
        changes.commit(lambda session: setattr(session.get(Deal, deal.id), "name", "Truck fleet"))
    with pytest.raises(ConflictError, match="Somebody else"):
        changes.commit()
    assert db.session.scalar(select(Deal.name)) == "Truck fleet"


def test_a_name_that_somebody_else_took_meanwhile_is_refused_in_words(session: Db) -> None:
    make_pipeline("Partners")
    session.add(Pipeline(name="PARTNERS"))
    with pytest.raises(FieldError, match="already") as refused:
        changes.commit()
    assert refused.value.field == "name"
    make_entity()
    session.add(User(name="Eve", email="eve@example.org"))
    changes.commit()
    with pytest.raises(FieldError, match="already") as refused:
        changes.commit(lambda writing: writing.add(User(name="Evelyn", email="Eve@Example.org")))
    assert refused.value.field == "email"


def test_a_link_to_what_is_not_there_is_refused_in_words(session: Db) -> None:
    session.add(Activity(type="note", subject="Hello", related_to_type="Deal", related_to_id=UUID(int=7)))
    with pytest.raises(ConflictError, match="not there"):
        changes.commit()
    assert count(Activity) == 0


# What is never removed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deal", "stage", "pipeline", "entity", "note"])
def test_records_are_never_removed_as_rows(kind: str, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    record = {
        "deal": deal, "stage": stages["Proposal"], "pipeline": stages["Lead"].pipeline, "entity": deal.entity,
        "note": make_note(deal),
    }[kind]  # fmt: skip
    db.session.delete(record)
    with pytest.raises(PermissionDeniedError, match="never removed"):
        changes.commit()
    assert type(record).__name__ in {
        type(found).__name__ for found in db.session.scalars(select(type(record)))
    }


def test_a_core_write_beside_the_door_needs_the_door(session: Db) -> None:
    """Rows written without objects are saved by the door like any other."""
    changes.commit(
        lambda writing: writing.execute(
            insert(Throttle).values(key="10.0.0.1", failures=1, since=clock.now(), locked_until=None)
        ),
        cause="bookkeeping",
    )
    assert count(Throttle) == 1
