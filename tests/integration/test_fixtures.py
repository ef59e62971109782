"""What tests stand on: a clean database each, requests that see only what was saved, every statement counted."""

from __future__ import annotations

from datetime import datetime

import pytest
from flask import has_app_context
from sqlalchemy import func, select

from crmweb import changes, clock
from crmweb.extensions import db
from crmweb.models import Deal, Stage, User
from tests.support.factories import make_deal, make_person
from tests.support.outside import apart
from tests.support.statements import count_statements


@pytest.mark.parametrize("turn", ["first", "second"])
def test_no_row_outlives_its_test(turn: str) -> None:
    assert db.session.scalar(select(func.count()).select_from(User)) == 0
    make_person()


def test_a_request_has_no_part_in_the_context_of_the_test() -> None:
    assert has_app_context()
    assert not apart(has_app_context)


def test_a_request_happens_at_the_time_of_the_test(noon: datetime) -> None:
    assert apart(clock.now) == noon


def test_a_request_is_refused_while_the_test_holds_unsaved_changes(stages: dict[str, Stage]) -> None:
    stages["Lead"].name = "Leads"
    with pytest.raises(AssertionError, match=r"Save with changes\.commit"):
        apart(clock.now)


def test_a_move_is_counted_and_all_of_it_is_inside_the_write_transaction(stages: dict[str, Stage]) -> None:
    deal_id, stage_id = make_deal(stages["Lead"]).id, stages["Proposal"].id
    with count_statements() as sent:
        changes.commit(lambda session: Deal.locked(session, deal_id).move_to(stage_id))
    assert len(sent) == len(sent.writing) > 0, sent
    assert not [text for text in sent.sent if text.startswith(("BEGIN", "COMMIT"))], sent


def test_reading_is_counted_apart_from_writing(stages: dict[str, Stage]) -> None:
    with count_statements() as sent:
        db.session.scalars(select(Stage)).all()
    assert len(sent) == 1, sent
    assert not sent.writing
