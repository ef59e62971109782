"""Two people move the same deal: who is told what, and when the second move is no conflict."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from crmweb import changes, clock
from crmweb.errors import ConflictError
from crmweb.models import Deal, Stage, User
from crmweb.models.deal import Seen
from tests.support.deals import edit, fresh, move, path
from tests.support.factories import make_deal, make_note, make_rule

Stages = dict[str, Stage]


def refused(deal: Deal, stage: Stage, by: User | None, seen: Seen) -> ConflictError:
    way = path(deal)
    with pytest.raises(ConflictError) as conflict:
        move(deal, stage, by=by, seen=seen)
    assert conflict.value.status == 409
    assert path(deal) == way, "a refused move changes nothing"
    return conflict.value


def test_a_deal_that_somebody_moved_meanwhile_is_a_conflict_saying_who_where_and_when(
    stages: Stages, priya: User, tom: User, noon: datetime
) -> None:
    deal = make_deal(stages["Lead"])
    with clock.at(noon + timedelta(minutes=5)):
        move(deal, stages["Proposal"], by=tom)
    conflict = refused(deal, stages["Qualified"], priya, Seen(stages["Lead"].id, 1))
    assert (conflict.who, conflict.where, conflict.at) == (
        "Tom Reyes",
        "Proposal",
        noon + timedelta(minutes=5),
    )
    assert conflict.message == "Tom Reyes moved this deal to Proposal. Your move was not made."


def test_it_is_a_conflict_even_when_the_deal_is_in_the_target_already(
    stages: Stages, priya: User, tom: User
) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    refused(deal, stages["Proposal"], priya, Seen(stages["Lead"].id, 1))


def test_it_is_a_conflict_even_when_the_deal_was_moved_forth_and_elsewhere(
    stages: Stages, priya: User, tom: User
) -> None:
    """The last of several movers is named."""
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=priya)
    move(deal, stages["Qualified"], by=tom)
    assert refused(deal, stages["Proposal"], priya, Seen(stages["Lead"].id, 1)).who == "Tom Reyes"


def test_one_who_has_no_account_is_named_by_their_label(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    assert refused(deal, stages["Qualified"], priya, Seen(stages["Lead"].id, 1)).who == "System"


def test_a_rule_that_moved_it_is_named_with_the_person_it_followed(
    stages: Stages, priya: User, tom: User
) -> None:
    make_rule(
        "Qualify at once", trigger_event="update",
        conditions=[{"field": "stage", "operator": "equals", "value": str(stages["Proposal"].id)}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Negotiation"].id)}}],
    )  # fmt: skip
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    assert path(deal) == ["Lead", "Proposal", "Negotiation"]
    conflict = refused(deal, stages["Closed Won"], priya, Seen(stages["Lead"].id, 1))
    assert conflict.who == "Rule “Qualify at once”, after Tom Reyes’s change"
    assert conflict.where == "Negotiation"


def test_ones_own_second_quick_move_is_no_conflict(stages: Stages, priya: User) -> None:
    """The browser had not heard of the first move's answer yet."""
    deal = make_deal(stages["Lead"])
    seen = Seen(stages["Lead"].id, fresh(deal).version)
    move(deal, stages["Proposal"], by=priya, seen=seen)
    assert move(deal, stages["Negotiation"], by=priya, seen=seen).kind == "moved"


def test_a_rule_after_ones_own_move_is_no_conflict(stages: Stages, priya: User) -> None:
    make_rule(
        trigger_event="update",
        conditions=[{"field": "stage", "operator": "equals", "value": str(stages["Proposal"].id)}],
        actions=[{"type": "move_to_stage", "config": {"stage_id": str(stages["Negotiation"].id)}}],
    )  # fmt: skip
    deal = make_deal(stages["Lead"])
    seen = Seen(stages["Lead"].id, 1)
    move(deal, stages["Proposal"], by=priya, seen=seen)
    assert move(deal, stages["Closed Won"], by=priya, seen=seen).kind == "moved"


def test_without_the_seen_version_ones_own_move_is_a_conflict_too(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=priya)
    refused(deal, stages["Negotiation"], priya, Seen(stages["Lead"].id))


def test_somebody_between_ones_own_moves_is_a_conflict(stages: Stages, priya: User, tom: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=priya)
    move(deal, stages["Qualified"], by=tom)
    move(deal, stages["Negotiation"], by=priya)
    refused(deal, stages["Closed Won"], priya, Seen(stages["Lead"].id, 1))


def test_who_saw_it_there_after_somebodys_move_has_no_conflict_with_that_move(
    stages: Stages, priya: User, tom: User
) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    seen = Seen(stages["Proposal"].id, fresh(deal).version)
    move(deal, stages["Qualified"], by=priya, seen=seen)
    assert move(deal, stages["Negotiation"], by=priya, seen=seen).kind == "moved"


def test_the_system_has_no_own_moves(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"])
    refused(deal, stages["Negotiation"], None, Seen(stages["Lead"].id, 1))


def test_a_deal_that_came_back_is_no_conflict(stages: Stages, priya: User, tom: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    move(deal, stages["Lead"], by=tom)
    assert move(deal, stages["Qualified"], by=priya, seen=Seen(stages["Lead"].id, 1)).kind == "moved"


def test_other_changes_meanwhile_are_no_conflict(stages: Stages, priya: User, tom: User) -> None:
    deal = make_deal(stages["Lead"])
    seen = Seen(stages["Lead"].id, fresh(deal).version)
    edit(deal, by=tom, name="Crane fleet", amount=70_000)
    make_note(fresh(deal), by=tom)
    assert move(deal, stages["Proposal"], by=priya, seen=seen).kind == "moved"
    assert fresh(deal).name == "Crane fleet"


def test_without_the_seen_stage_the_last_writer_wins(stages: Stages, priya: User, tom: User) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    assert move(deal, stages["Qualified"], by=priya).kind == "moved"


def test_a_stage_that_it_never_was_in_blames_nobody(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], by=priya)
    conflict = refused(deal, stages["Proposal"], priya, Seen(stages["Qualified"].id, 1))
    assert (conflict.who, conflict.where) == (None, "Lead")
    assert conflict.message == "This deal is in Lead by now. Your move was not made."
    refused(deal, stages["Proposal"], priya, Seen(stages["Qualified"].id, 10**18))


def test_a_conflict_is_seen_before_the_same_stage_and_before_other_refusals(
    stages: Stages, priya: User, tom: User
) -> None:
    deal = make_deal(stages["Lead"])
    move(deal, stages["Proposal"], by=tom)
    stages["Qualified"].is_archived = True
    changes.commit()
    refused(deal, stages["Qualified"], priya, Seen(stages["Lead"].id, 1))
    refused(deal, stages["Proposal"], priya, Seen(stages["Lead"].id, 1))
