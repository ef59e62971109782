"""Traps of the documents' own implementation that concern records: D1 to D15, D46, D47. Each test names its own.

Not to be tested, because it cannot exist here: D13 (addresses without an entity: phone and e-mail are fields of the
entity itself), D14 (several primary contact points: there is one of each).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, clock, config
from crmweb.errors import CRMError, FieldError, InvalidStageTransitionError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Entity, Pipeline, Stage, User
from tests.support.deals import edit, fresh, move
from tests.support.factories import make_deal, make_entity, make_note, save
from tests.support.outside import Terminal

Stages = dict[str, Stage]
Db = scoped_session[Session]


def test_an_inactive_pipeline_takes_no_deals_and_no_moves(stages: Stages, pipeline: Pipeline) -> None:
    """D1: `is_active` was never read anywhere."""
    deal = make_deal(stages["Lead"])
    pipeline.is_active = False
    changes.commit()
    with pytest.raises(InvalidStageTransitionError, match="The pipeline Sales Pipeline is archived"):
        move(deal, stages["Proposal"])
    with pytest.raises(InvalidStageTransitionError, match="The pipeline Sales Pipeline is archived"):
        make_deal(stages["Lead"])


@pytest.mark.parametrize("twin", [{"name": " PROPOSAL", "order": 99}, {"name": "Another", "order": 3}])
def test_two_stages_of_a_pipeline_share_neither_name_nor_order(
    twin: dict[str, object], pipeline: Pipeline
) -> None:
    """D2: duplicates were accepted."""
    db.session.add(Stage(pipeline=pipeline, **twin))
    with pytest.raises(CRMError):
        changes.commit()
    assert save(Stage(pipeline=save(Pipeline(name="Other")), name="Proposal", order=3)).order == 3


def test_a_stage_is_never_removed_from_under_its_deals(stages: Stages) -> None:
    """D3: deleting a stage that had deals succeeded, and they could not be shown any more."""
    deal = make_deal(stages["Lead"])
    for record in (stages["Lead"], stages["Proposal"]):
        db.session.delete(record)
        with pytest.raises(PermissionDeniedError, match="never removed"):
            changes.commit()
    assert fresh(deal).stage.name == "Lead"


def test_a_column_of_the_board_is_read_by_an_index(stages: Stages, session: Db) -> None:
    """D4: the only index was on the stage's order, so a board scanned all deals."""
    column = select(Deal.id).where(Deal.stage_id == stages["Lead"].id, Deal.deleted_at.is_(None))
    query = column.order_by(Deal.position, Deal.id).limit(25).compile(session.get_bind())
    if session.get_bind().dialect.name == "sqlite":
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {query}", (stages["Lead"].id.hex, 25, 0)
        )
    else:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = session.connection().exec_driver_sql(f"EXPLAIN {query}", query.params)
    told = " ".join(str(row) for row in plan)
    assert "ix_deals_board" in told
    assert "TEMP B-TREE" not in told
    assert "Sort" not in told


@pytest.mark.parametrize("name", ["", "  ", None])
def test_a_deal_without_a_name_is_refused(name: str | None, stages: Stages) -> None:
    """D5: an empty name was accepted."""
    with pytest.raises(FieldError, match="Name is missing"):
        make_deal(stages["Lead"], name)
    deal = make_deal(stages["Lead"])
    with pytest.raises(FieldError, match="Name is missing"):
        edit(deal, name=name)


def test_money_is_exact_and_finite(stages: Stages) -> None:
    """D6: money was a float, and `inf` was accepted."""
    with pytest.raises(FieldError):
        make_deal(stages["Lead"], amount=float("inf"))
    cents = [make_deal(stages["Lead"], amount=0.1) for _ in range(3)]
    assert str(sum(fresh(deal).amount or 0 for deal in cents)) == "0.300"


def test_a_currency_is_one_that_exists(stages: Stages) -> None:
    """D7: any text was accepted, "banana" too."""
    with pytest.raises(FieldError, match="banana"):
        make_deal(stages["Lead"], currency="banana")
    assert make_deal(stages["Lead"], currency="eur").currency == "EUR"


def test_the_default_currency_is_read_from_its_setting(stages: Stages) -> None:
    """D8: the setting was never read."""
    config.use(config.read({"CRMWEB_DEFAULT_CURRENCY": "CHF"}))
    assert make_deal(stages["Lead"]).currency == "CHF"


@pytest.mark.parametrize(("stage", "status"), [("Closed Won", "closed_won"), ("Closed Lost", "closed_lost")])
def test_a_deal_created_in_a_closed_stage_is_closed(
    stage: str, status: str, stages: Stages, noon: datetime
) -> None:
    """D9: the status was synced on updates only; a deal made in a won stage stayed open, without a closed date."""
    deal = make_deal(stages[stage])
    assert (fresh(deal).status, fresh(deal).closed_date) == (status, noon)
    by_id = save(Deal(name="By id", entity=deal.entity, stage_id=stages[stage].id))
    assert (fresh(by_id).status, fresh(by_id).closed_date) == (status, noon)


def test_a_status_is_never_set_by_hand(stages: Stages) -> None:
    """D10: the status was a writable field that was silently overwritten."""
    entity = make_entity()
    with pytest.raises(FieldError, match="follows the stage"):
        Deal(name="Forklift", entity=entity, stage=stages["Lead"], status="closed_won")
    deal = make_deal(stages["Lead"])
    with pytest.raises(InvalidStageTransitionError, match="move_to"):
        deal.status = "closed_won"
    unsaved = Deal(name="Forklift", entity=entity, stage=stages["Lead"])
    unsaved.status = "closed_won"
    assert fresh(save(unsaved)).status == "open"
    moved_on = Deal(name="Forklift", entity=entity, stage=stages["Lead"])
    moved_on.stage = stages["Closed Lost"]
    assert fresh(save(moved_on)).status == "closed_lost"


def test_the_closed_date_is_that_of_the_last_closing_and_goes_with_it(stages: Stages, noon: datetime) -> None:
    """D11: it was set once and never cleared: a reopened deal kept it, a second closing kept the first date."""
    deal = make_deal(stages["Closed Won"])
    with clock.at(noon + timedelta(days=1)):
        move(deal, stages["Lead"])
    assert fresh(deal).closed_date is None
    with clock.at(noon + timedelta(days=2)):
        move(deal, stages["Closed Lost"])
    assert fresh(deal).closed_date == noon + timedelta(days=2)
    with clock.at(noon + timedelta(days=3)):
        move(deal, stages["Closed Won"])
    assert fresh(deal).closed_date == noon + timedelta(days=3)


def test_two_customers_may_have_the_same_name() -> None:
    """D12: names of entities were unique."""
    first, second = make_entity("John Smith"), make_entity("John Smith")
    assert first.id != second.id


@pytest.mark.parametrize("link", ["deal_id", "entity_id"])
def test_an_activity_cannot_belong_to_what_is_not_there(link: str, stages: Stages) -> None:
    """D15: links were not checked; an e-mail could be logged on a made-up id."""
    db.session.add(Activity(type="email", subject="Hello", **{link: uuid4()}))
    with pytest.raises(CRMError, match="not there"):
        changes.commit()


def test_activities_vanish_with_their_deal(stages: Stages) -> None:
    """D15: notes survived the deal's deletion."""
    deal = make_deal(stages["Lead"])
    make_note(deal)
    changes.commit(
        lambda session: session.execute(text("DELETE FROM deals WHERE name = 'Forklift fleet'")),
        cause="bookkeeping",
    )
    assert db.session.scalars(select(Activity)).all() == []


def test_a_task_is_completed_when_it_says_when(stages: Stages, noon: datetime) -> None:
    """D15: a task had a status and a flag, which could disagree; here the flag is derived."""
    task = make_note(make_deal(stages["Lead"]), type="task")
    assert task.is_completed is False
    with pytest.raises(AttributeError):
        task.is_completed = True  # type: ignore[misc]
    task.completed_at = noon
    changes.commit()
    assert task.is_completed is True


def test_a_custom_field_that_nobody_knows_any_more_keeps_its_record_saveable(stages: Stages) -> None:
    """D46: numbers could not be saved, and a field whose definition was removed made its record unsaveable."""
    deal = make_deal(stages["Lead"], custom_fields={"seats": 12, "rate": 0.5})
    edit(deal, name="Crane fleet")
    assert fresh(deal).custom_fields == {"seats": 12, "rate": 0.5}


def test_the_default_pipeline_is_there_after_the_seed(runner: Terminal) -> None:
    """D47: loading the fixtures was an empty function, and the data named fields that no longer existed."""
    runner.run("seed")
    found = db.session.scalars(select(Stage).order_by(Stage.order)).all()
    assert {stage.pipeline.name for stage in found} == {"Sales Pipeline"}
    assert [(stage.name, stage.probability, stage.status) for stage in found] == [
        ("Lead", 10, "open"),
        ("Qualified", 25, "open"),
        ("Proposal", 50, "open"),
        ("Negotiation", 75, "open"),
        ("Closed Won", 100, "closed_won"),
        ("Closed Lost", 0, "closed_lost"),
    ]


def test_records_that_are_only_hidden_stay_whole(stages: Stages, ann: User) -> None:
    """D3, D15: what was deleted can come back with everything that belonged to it."""
    deal = make_deal(stages["Lead"])
    note = make_note(deal)
    edit(deal, deleted_at=clock.now(), deleted_by_id=ann.id)
    assert db.session.get(Activity, note.id) is note
    assert db.session.get(Entity, deal.entity_id) is not None
