"""A move, exactly: what is checked in which order, and everything that one accepted move writes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, scoped_session

from crmweb import changes, clock
from crmweb.errors import ConflictError, FieldError, InvalidStageTransitionError, NotFoundError
from crmweb.extensions import db
from crmweb.models import Activity, Change, ChangeSet, Deal, MoveKey, Pipeline, Stage, StageChange, User
from crmweb.models.deal import Place, Seen
from tests.support.deals import audit_notes, column, edit, fresh, history, move, path, steps
from tests.support.factories import make_deal, make_pipeline, make_rule, save

Stages = dict[str, Stage]
Db = scoped_session[Session]


def traces() -> tuple[int, ...]:
    """How many rows of history there are."""
    models = (ChangeSet, Change, StageChange, Activity, MoveKey)
    return tuple(db.session.scalar(select(func.count()).select_from(model)) or 0 for model in models)


def board_version() -> int:
    return db.session.scalars(select(Pipeline.board_version)).one()


def stage_version(stage: Stage) -> int:
    return db.session.scalars(select(Stage.version).where(Stage.id == stage.id)).one()


# What it writes --------------------------------------------------------------------------------------------------


def test_a_move_changes_stage_status_and_times_of_the_deal(
    stages: Stages, priya: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"], by=priya)
    with clock.at(noon + timedelta(hours=2)):
        assert move(deal, stages["Closed Won"], by=priya) == (
            "moved",
            stages["Lead"].id,
            stages["Closed Won"].id,
        )
    moved = fresh(deal)
    assert (moved.stage.name, moved.status, moved.version) == ("Closed Won", "closed_won", 2)
    assert (
        moved.stage_entered_at
        == moved.closed_date
        == moved.last_human_activity_at
        == noon + timedelta(hours=2)
    )


def test_a_move_writes_one_audit_note_with_its_author(stages: Stages, priya: User, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=priya, note="They want an offer")
    (note,) = audit_notes(deal)
    assert (note.subject, note.description) == ("Deal moved: Lead → Proposal", "They want an offer")
    assert (note.type, note.author_id, note.by_label, note.created_at) == ("note", priya.id, None, noon)


@pytest.mark.parametrize("note", [None, "", "  \n "])
def test_a_move_without_a_note_says_where_from_and_to(note: str | None, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], note=note)
    (written,) = audit_notes(deal)
    assert written.description == "Deal stage changed from Lead to Proposal"
    assert (written.author_id, written.by_label) == (None, "System")


def test_a_move_writes_one_step_of_the_deals_way(stages: Stages, priya: User, noon: datetime) -> None:
    deal, below = make_deal(stages["Lead"]), make_deal(stages["Lead"], "Lies on top")
    move(deal, stages["Lead"], place=Place(position=1))
    with clock.at(noon + timedelta(minutes=90)):
        move(deal, stages["Proposal"], by=priya)
    first, step = steps(deal)
    assert (first.from_stage_id, first.to_stage_id, first.deal_version, first.seconds_in_from) == (
        None, stages["Lead"].id, 1, None,
    )  # fmt: skip
    assert (step.from_stage_id, step.to_stage_id) == (stages["Lead"].id, stages["Proposal"].id)
    assert (step.deal_version, step.step, step.cause, step.by_id) == (2, 0, "person", priya.id)
    assert (step.at, step.seconds_in_from) == (noon + timedelta(minutes=90), 5400)
    assert step.below_id == below.id, "undo lays it above that card again"


def test_a_move_is_one_change_set_with_the_fields_that_changed(
    stages: Stages, priya: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"])
    before = traces()
    with clock.at(noon + timedelta(days=1)):
        move(deal, stages["Closed Lost"], by=priya, lost_reason="Too expensive")
    sets, _, moves, notes, keys = (after - was for after, was in zip(traces(), before, strict=True))
    assert (sets, moves, notes, keys) == (1, 1, 1, 0)
    tomorrow = "2026-03-03T12:00:00+00:00"
    assert sorted(history(deal)[1:]) == [
        ("closed_date", None, tomorrow),
        ("lost_reason", None, "Too expensive"),
        ("stage_entered_at", "2026-03-02T12:00:00+00:00", tomorrow),
        ("stage_id", str(stages["Lead"].id), str(stages["Closed Lost"].id)),
        ("status", "open", "closed_lost"),
    ]


def test_a_creation_writes_a_step_without_from_and_no_note(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Qualified"], by=priya)
    (step,) = steps(deal)
    assert (step.from_stage_id, step.to_stage_id, step.by_id) == (None, stages["Qualified"].id, priya.id)
    assert audit_notes(deal) == []
    (creation,) = history(deal)
    assert (creation[0], creation[1], creation[2]["name"]) == ("*", None, "Forklift fleet")


def test_audit_notes_are_as_many_as_steps_with_a_from(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    for name in ("Proposal", "Closed Won", "Closed Won", "Lead"):
        move(deal, stages[name])
    assert len(audit_notes(deal)) == len([step for step in steps(deal) if step.from_stage_id]) == 3


def test_several_moves_in_one_change_are_steps_of_one_version(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    deal_id, names = deal.id, ("Proposal", "Closed Won", "Lead")
    ids = [stages[name].id for name in names]

    def work(session: Session) -> None:
        locked = Deal.locked(session, deal_id)
        for stage_id in ids:
            locked.move_to(stage_id)

    changes.commit(work)
    assert [(step.deal_version, step.step) for step in steps(deal)] == [(1, 0), (2, 0), (2, 1), (2, 2)]
    assert path(deal) == ["Lead", *names]
    assert (fresh(deal).status, fresh(deal).version) == ("open", 2)
    assert len(audit_notes(deal)) == 3


def test_several_deals_moved_in_one_change_keep_to_their_own_places(stages: Stages) -> None:
    deals = [make_deal(stages["Lead"], name).id for name in ("First", "Second", "Third")]
    proposal = stages["Proposal"].id

    def work(session: Session) -> None:
        for deal_id in deals:
            Deal.locked(session, deal_id).move_to(proposal)

    changes.commit(work)
    assert column(stages["Proposal"]) == ["Third", "Second", "First"], "each was laid on top"


def test_deals_made_in_one_change_lie_with_the_newest_on_top(stages: Stages) -> None:
    make_deal(stages["Lead"], "Old")
    entity = make_deal(stages["Proposal"]).entity
    save(*[Deal(name=name, entity=entity, stage=stages["Lead"]) for name in ("First", "Second", "Third")])
    assert column(stages["Lead"]) == ["Third", "Second", "First", "Old"]


def test_the_version_rises_once_with_each_change_set_of_the_deals_own_fields(
    stages: Stages, priya: User
) -> None:
    deal = make_deal(stages["Lead"])
    assert fresh(deal).version == 1
    edit(deal, name="Crane fleet", amount=70_000)
    assert fresh(deal).version == 2
    move(deal, stages["Proposal"], by=priya)
    assert fresh(deal).version == 3
    save(Activity(type="note", subject="Called", deal=fresh(deal)), by=priya)
    move(deal, stages["Proposal"], place=Place(position=9))
    assert fresh(deal).version == 3, "a note and a reorder are no changes of the deal's own fields"


def test_a_move_raises_the_versions_of_both_columns_and_of_the_board(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    other = stage_version(stages["Qualified"])
    before = [stage_version(stages["Lead"]), stage_version(stages["Proposal"]), board_version()]
    move(deal, stages["Proposal"])
    after = [stage_version(stages["Lead"]), stage_version(stages["Proposal"]), board_version()]
    assert after == [version + 1 for version in before]
    assert stage_version(stages["Qualified"]) == other


# The same stage --------------------------------------------------------------------------------------------------


def test_a_move_into_the_same_stage_only_lays_the_card_elsewhere(stages: Stages, priya: User) -> None:
    deal, other = make_deal(stages["Lead"], "One"), make_deal(stages["Lead"], "Two")
    before, version, board = traces(), fresh(deal).version, board_version()
    changed_at = fresh(other).updated_at
    assert move(deal, stages["Lead"], by=priya, note="Not written").kind == "placed"
    assert column(stages["Lead"]) == ["One", "Two"]
    assert (traces(), fresh(deal).version) == (before, version), "no note, no step, no history"
    assert board_version() == board + 1
    assert fresh(other).updated_at == changed_at


def test_a_reorder_sets_off_no_rules(stages: Stages) -> None:
    make_rule(trigger_event="update")
    deal = make_deal(stages["Lead"], "One")
    make_deal(stages["Lead"], "Two")
    move(deal, stages["Lead"])
    assert db.session.scalar(select(func.count()).select_from(Activity)) == 0


# Keys ------------------------------------------------------------------------------------------------------------


def test_a_repeated_key_changes_nothing_and_is_no_error(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=priya, key="drop-1")
    before, version = traces(), fresh(deal).version
    again = move(deal, stages["Proposal"], by=priya, key="drop-1", note="Again")
    assert again.kind == "repeated"
    assert (traces(), fresh(deal).version) == (before, version)


def test_a_repeated_key_is_seen_before_a_conflict(stages: Stages, priya: User, tom: User) -> None:
    """The answer to the first request was lost; meanwhile somebody else moved the deal on."""
    deal = make_deal(stages["Lead"])
    seen = Seen(stages["Lead"].id, 1)
    move(deal, stages["Proposal"], by=priya, key="drop-1", seen=seen)
    move(deal, stages["Closed Won"], by=tom)
    assert move(deal, stages["Proposal"], by=priya, key="drop-1", seen=seen).kind == "repeated"
    assert fresh(deal).stage.name == "Closed Won"


def test_a_key_used_for_another_stage_is_refused(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], key="drop-1")
    with pytest.raises(FieldError) as refused:
        move(deal, stages["Qualified"], key="drop-1")
    assert refused.value.field == "idempotency_key"
    assert refused.value.status == 422
    assert fresh(deal).stage.name == "Proposal"


def test_keys_belong_to_one_deal(stages: Stages) -> None:
    one, two = make_deal(stages["Lead"], "One"), make_deal(stages["Lead"], "Two")
    move(one, stages["Proposal"], key="drop-1")
    assert move(two, stages["Qualified"], key="drop-1").kind == "moved"


def test_a_reorder_keeps_its_key_too(stages: Stages) -> None:
    deal = make_deal(stages["Lead"], "One")
    make_deal(stages["Lead"], "Two")
    assert move(deal, stages["Lead"], key="drop-1").kind == "placed"
    make_deal(stages["Lead"], "Three")
    assert move(deal, stages["Lead"], key="drop-1").kind == "repeated"
    assert column(stages["Lead"]) == ["Three", "One", "Two"]


@pytest.mark.parametrize("key", ["k" * 65, "nul\x00"])
def test_a_key_that_does_not_fit_is_refused_in_words(key: str, stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(FieldError) as refused:
        move(deal, stages["Proposal"], key=key)
    assert refused.value.field == "idempotency_key"
    assert fresh(deal).stage.name == "Lead"


def test_a_key_of_64_characters_fits(stages: Stages) -> None:
    assert move(make_deal(stages["Lead"]), stages["Proposal"], key="k" * 64).kind == "moved"


def test_a_refused_move_keeps_no_key(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(ConflictError):
        move(deal, stages["Proposal"], key="drop-1", seen=Seen(stages["Qualified"].id))
    assert move(deal, stages["Closed Won"], key="drop-1").kind == "moved"


# Refusals --------------------------------------------------------------------------------------------------------


def refusal(deal: Deal, stage: Stage | UUID | str, **how: Any) -> str:
    before, version = traces(), fresh(deal).version
    with pytest.raises((InvalidStageTransitionError, FieldError)) as refused:
        move(deal, stage, **how)
    assert refused.value.status == 422
    assert (traces(), fresh(deal).version) == (before, version), "a refused move leaves nothing"
    return refused.value.message


def test_an_unknown_stage_is_refused(stages: Stages) -> None:
    assert "not there any more" in refusal(make_deal(stages["Lead"]), uuid4())


def test_an_unknown_stage_is_refused_also_with_a_key(stages: Stages) -> None:
    assert "not there any more" in refusal(make_deal(stages["Lead"]), uuid4(), key="drop-1")


def test_what_is_no_id_is_refused(stages: Stages) -> None:
    assert "is not an id" in refusal(make_deal(stages["Lead"]), "proposal")


def test_a_stage_of_another_pipeline_is_refused_naming_both(stages: Stages) -> None:
    partners = make_pipeline("Partners")
    said = refusal(make_deal(stages["Lead"]), partners["Proposal"])
    assert "Partners" in said
    assert "Sales Pipeline" in said


def test_an_inactive_pipeline_takes_no_moves(stages: Stages, pipeline: Pipeline) -> None:
    deal = make_deal(stages["Lead"])
    pipeline.is_active = False
    changes.commit()
    assert "Sales Pipeline is archived" in refusal(deal, stages["Proposal"])


def test_an_archived_stage_takes_no_moves(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    stages["Proposal"].is_archived = True
    changes.commit()
    assert "Proposal is archived" in refusal(deal, stages["Proposal"])


def test_a_note_too_long_is_refused_by_its_own_name(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    with pytest.raises(FieldError) as refused:
        move(deal, stages["Proposal"], note="x" * 20_001)
    assert refused.value.field == "note"
    assert "20001 characters" in refused.value.message


def test_a_deal_that_is_gone_cannot_be_moved(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    edit(deal, deleted_at=clock.now())
    with pytest.raises(NotFoundError):
        move(deal, stages["Proposal"])
    with pytest.raises(NotFoundError):
        Deal.locked(db.session(), uuid4())


def test_a_new_deal_is_refused_where_no_move_would_be_taken(stages: Stages, pipeline: Pipeline) -> None:
    stages["Proposal"].is_archived = True
    changes.commit()
    with pytest.raises(InvalidStageTransitionError, match="archived"):
        make_deal(stages["Proposal"])
    pipeline.is_active = False
    changes.commit()
    with pytest.raises(InvalidStageTransitionError, match="archived"):
        make_deal(stages["Lead"])


# The lost reason -------------------------------------------------------------------------------------------------


def test_a_lost_reason_is_kept_while_the_deal_is_lost(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Closed Lost"], lost_reason="  Too expensive ")
    assert fresh(deal).lost_reason == "Too expensive"
    move(deal, stages["Lead"])
    assert fresh(deal).lost_reason is None


def test_a_lost_reason_is_not_taken_for_a_stage_that_is_not_lost(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Closed Won"], lost_reason="Too expensive")
    assert fresh(deal).lost_reason is None


def test_won_to_lost_and_back_renews_the_closing(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    days = [noon + timedelta(days=day) for day in range(3)]
    for day, name in zip(days, ("Closed Won", "Closed Lost", "Closed Won"), strict=True):
        with clock.at(day):
            move(deal, stages[name], lost_reason="Changed their mind")
        assert fresh(deal).closed_date == day
    assert fresh(deal).lost_reason is None
    assert [step.at for step in steps(deal)[1:]] == days, "the history keeps every closing"


def test_from_one_lost_stage_to_another_the_reason_stays(stages: Stages, pipeline: Pipeline) -> None:
    spam = save(Stage(pipeline=pipeline, name="Spam", order=7, status="closed_lost"))
    deal = make_deal(stages["Lead"])
    move(deal, stages["Closed Lost"], lost_reason="Never answered")
    move(deal, spam)
    assert fresh(deal).lost_reason == "Never answered"
    move(deal, stages["Closed Lost"], lost_reason="No budget")
    assert fresh(deal).lost_reason == "No budget"
