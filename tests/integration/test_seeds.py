"""Data that Crmweb makes by itself: the default pipeline, the demo company and the way out of it, generated deals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select

from crmweb import changes, config, doctor, passwords, seeds
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Base,
    Change,
    ChangeSet,
    Deal,
    Entity,
    Notification,
    Pipeline,
    RuleRun,
    Stage,
    StageChange,
    User,
    WorkflowRule,
)
from crmweb.seeds import deals, talk
from crmweb.seeds.removal import empty
from tests.integration.conftest import settings_of_a_new
from tests.support.factories import (
    DEFAULT_STAGES,
    make_deal,
    make_entity,
    make_note,
    make_person,
    make_pipeline,
)
from tests.support.outside import Terminal, application_for_tests


def number_of(model: Any, *conditions: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model).where(*conditions)) or 0


def errors() -> list[Any]:
    with db.engine.connect() as connection:
        return doctor.errors(doctor.examine(connection))


def rows() -> dict[str, int]:
    """How many rows each table has, but for facts about the installation."""
    tables = {table.name: number_of(table) for table in Base.metadata.sorted_tables}
    del tables["app_state"]
    return tables


def refuses(runner: Terminal, *command: str) -> str:
    """What a command says that must refuse and change nothing."""
    before = rows()
    result = runner.invoke(args=command)
    assert result.exit_code == 1, result.output
    assert rows() == before
    return result.output


# The default pipeline ------------------------------------------------------------------------------------------------


def test_seed_makes_the_documents_pipeline(runner: Terminal) -> None:
    """D47: the documents' own fixtures are never loaded."""
    assert "Made “Sales Pipeline”" in runner.run("seed")
    pipeline = db.session.scalars(select(Pipeline)).one()
    assert pipeline.name == "Sales Pipeline"
    stages = db.session.scalars(select(Stage).order_by(Stage.order)).all()
    assert [(stage.name, stage.probability, stage.status) for stage in stages] == list(DEFAULT_STAGES)
    assert [stage.color for stage in stages] == ["slate", "teal", "blue", "violet", "green", "clay"]
    assert errors() == []


def test_seeding_again_changes_nothing(runner: Terminal) -> None:
    runner.run("seed")
    before = rows()
    assert "is there already" in runner.run("seed")
    assert rows() == before


def test_a_second_pipeline_comes_after_the_first(runner: Terminal) -> None:
    make_pipeline("Partners")
    runner.run("seed")
    assert list(db.session.scalars(select(Pipeline.name).order_by(Pipeline.order))) == [
        "Partners",
        "Sales Pipeline",
    ]


# The demo company ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(
    request: pytest.FixtureRequest, database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """An installation of its own, in which the whole story was told once for all who only look."""
    told = application_for_tests(settings_of_a_new(database, request, tmp_path_factory.mktemp("demo")))
    with told.app_context():
        flask_migrate.upgrade()
        assert "118 deals" in seeds.tell_demo()
    yield told
    with told.app_context():
        db.engine.dispose()


@pytest.fixture
def demo(told: Flask) -> Iterator[None]:
    with told.app_context():
        yield


@pytest.fixture
def small(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same company with a few deals, for those who change it."""
    monkeypatch.setattr(deals, "SALES", deals.SALES[:4])
    monkeypatch.setattr(deals, "RENEWALS", deals.RENEWALS[:2])
    seeds.tell_demo()


def test_the_demo_company_is_whole(demo: None) -> None:
    assert errors() == []
    assert (number_of(User), number_of(Entity), number_of(WorkflowRule)) == (6, 60, 6)
    assert number_of(Entity, Entity.phone.is_(None) | Entity.email.is_(None)) == 0
    assert number_of(Deal) == 118
    assert number_of(Deal, Deal.status == "closed_lost", Deal.lost_reason.is_(None)) == 0
    assert number_of(Activity, Activity.kind == "audit") > 200


def test_its_people_who_are_nobody_get_no_mail(demo: None) -> None:
    assert number_of(User, User.gets_mail) == 0


def test_its_first_board_is_the_default_one_with_many_cards(demo: None) -> None:
    first, second = db.session.scalars(select(Pipeline).order_by(Pipeline.order))
    assert (first.name, second.name) == ("Sales Pipeline", "Renewals")
    assert number_of(Deal.__table__.join(Stage.__table__), Stage.pipeline_id == first.id) >= 20


def test_the_demo_people_sign_in_with_the_password_that_is_printed(demo: None) -> None:
    people = {person.email: person for person in db.session.scalars(select(User))}
    for email in ("admin", "manager", "rep"):
        person = people.pop(f"{email}@example.com")
        assert person.role == email
        assert passwords.is_match("pipeline-demo", person.password_hash)
    assert all(person.password_hash is None for person in people.values()), "the others cannot sign in"


def test_its_history_came_through_the_one_door(demo: None) -> None:
    by_people = number_of(ChangeSet, ChangeSet.cause == "person", ChangeSet.by_user_id.is_not(None))
    assert by_people > 500
    assert number_of(ChangeSet) == by_people + 1, "one more for what was there before the first deal"
    first, last = db.session.execute(select(func.min(ChangeSet.at), func.max(ChangeSet.at))).one()
    assert 40 < (last - first).days < 100
    assert number_of(StageChange, StageChange.by_id.is_(None), StageChange.from_stage_id.is_not(None)) == 0


def test_each_of_its_rules_visibly_acted(demo: None) -> None:
    acted = set(db.session.scalars(select(RuleRun.rule_id).where(RuleRun.outcome == "acted")))
    assert acted == set(db.session.scalars(select(WorkflowRule.id)))
    assert number_of(RuleRun, RuleRun.outcome != "acted") == 0
    assert {rule.entity_type for rule in db.session.scalars(select(WorkflowRule))} == {
        "Deal",
        "Entity",
        "Activity",
    }


def test_no_rule_moves_a_deal_or_keeps_one_from_moving(demo: None) -> None:
    rules = db.session.scalars(select(WorkflowRule)).all()
    actions = {action["type"] for rule in rules for action in rule.actions}
    assert actions == {"create_activity", "send_notification", "update_field"}
    assert {rule.on_failure for rule in rules} == {"keep"}


def test_the_admin_has_unread_news_and_read_ones(demo: None) -> None:
    ann = db.session.scalars(select(User).where(User.role == "admin")).one()
    assert number_of(Notification, Notification.user_id == ann.id, Notification.read_at.is_(None)) > 0
    assert number_of(Notification, Notification.user_id == ann.id, Notification.read_at.is_not(None)) > 0


def test_the_demo_is_the_same_each_time(noon: datetime, small: None) -> None:
    def picture() -> list[Any]:
        columns = select(Deal.name, Deal.amount, Deal.version, Deal.stage_entered_at, Stage.name).join(Stage)
        subjects = select(Activity.subject, Activity.created_at).order_by(
            Activity.created_at, Activity.subject
        )
        return [*db.session.execute(columns.order_by(Deal.name)), *db.session.execute(subjects)]

    first = picture()
    seeds.remove_demo()
    seeds.tell_demo()
    assert picture() == first


def test_the_demo_keeps_away_from_production(runner: Terminal, settings: config.Settings) -> None:
    config.use(config.read({}, environment="production", secret_key="x" * 32))
    assert "never gets them" in refuses(runner, "seed", "--demo")
    assert "never gets them" in refuses(runner, "seed", "--deals", "5")


def test_the_demo_keeps_away_from_real_data(runner: Terminal, app: Flask) -> None:
    make_entity()
    assert "This database holds 1 customers" in refuses(runner, "seed", "--demo")
    make_person()
    assert "This database holds 1 people" in refuses(runner, "seed", "--demo")


def test_a_story_cut_short_leaves_nothing_behind(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.setattr(deals, "SALES", deals.SALES[:1])
    monkeypatch.setitem(talk.ABOUT_CUSTOMERS, "Somebody unknown", "Nothing is known.")
    with pytest.raises(KeyError):
        seeds.tell_demo()
    assert set(rows().values()) == {0}


# Leaving the demo ----------------------------------------------------------------------------------------------------


def test_leaving_the_demo_empties_the_database(small: None, runner: Terminal) -> None:
    deal = db.session.scalars(select(Deal).limit(1)).one()
    make_note(deal, "Tried a note")
    assert "The demo company is gone" in runner.run("demo", "remove")
    assert set(rows().values()) == {0}
    assert errors() == []


def test_what_is_not_from_the_demo_is_named_and_nothing_is_removed(small: None, runner: Terminal) -> None:
    stage = db.session.scalars(select(Stage).limit(1)).one()
    make_deal(stage, "Our first real deal")
    said = refuses(runner, "demo", "remove")
    assert "deal “Our first real deal”" in said
    assert "contact “Our first real deal Ltd”" in said
    runner.run("demo", "remove", "--force")
    assert set(rows().values()) == {0}


def test_many_of_them_are_counted(small: None, runner: Terminal) -> None:
    for number in range(7):
        make_entity(f"Customer {number}")
    assert "“Customer 4” and 2 more" in refuses(runner, "demo", "remove")


def test_without_the_demo_there_is_nothing_to_leave(runner: Terminal, app: Flask) -> None:
    make_entity()
    assert "does not hold the demo company" in refuses(runner, "demo", "remove", "--force")


# Generated deals -----------------------------------------------------------------------------------------------------


def test_generated_deals_are_as_if_made_one_by_one(runner: Terminal) -> None:
    make_person("Robin")
    assert "Made 1,200 deals." in runner.run("seed", "--deals", "1200")
    assert number_of(Deal) == number_of(StageChange) == 1200
    assert number_of(Entity) == 120
    assert set(db.session.scalars(select(Deal.status).distinct())) == {"open", "closed_won", "closed_lost"}
    assert errors() == []


def test_a_generated_deal_has_the_history_that_a_made_one_has(stages: dict[str, Stage]) -> None:
    make_deal(stages["Lead"])
    seeds.generate(1)
    made, generated = db.session.scalars(
        select(Change.new).where(Change.record_type == "Deal", Change.field == "*")
    )
    assert made.keys() == generated.keys()
    assert {type(value) for value in generated.values()} <= {str, type(None)}


def test_generated_deals_can_be_changed_like_any_other(runner: Terminal, ann: User) -> None:
    runner.run("seed", "--deals", "20")
    deal = db.session.scalars(select(Deal).limit(1)).one()
    make_note(deal, by=ann)
    deal.amount = 7

    changes.commit(by=ann)
    assert errors() == []


def test_more_deals_come_on_top_and_are_others(runner: Terminal) -> None:
    runner.run("seed", "--deals", "30")
    first = set(db.session.scalars(select(Deal.name)))
    runner.run("seed", "--deals", "30")
    assert number_of(Deal) == len(set(db.session.scalars(select(Deal.name)))) == 60
    assert first < set(db.session.scalars(select(Deal.name)))
    assert errors() == []


def test_the_same_number_gives_the_same_deals(runner: Terminal) -> None:
    def picture() -> list[Any]:
        columns = select(Deal.name, Deal.amount, Deal.currency, Stage.name).join(Stage).order_by(Deal.name)
        return list(db.session.execute(columns))

    runner.run("seed", "--deals", "50")
    first = picture()

    changes.commit(empty, cause="bookkeeping")
    runner.run("seed", "--deals", "50")
    assert picture() == first


@pytest.mark.parametrize("number", ["0", "-5", "many", "1e6", "99999999999"])
def test_a_number_that_makes_no_sense_is_refused(runner: Terminal, number: str) -> None:
    result = runner.invoke(args=["seed", "--deals", number])
    assert result.exit_code == 2
    assert "--deals" in result.output
    assert set(rows().values()) == {0}
