"""The document on deals and pipelines, row by row and bullet by bullet."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from crmweb import changes, clock, config
from crmweb.errors import CRMError, CustomFieldValidationError, FieldError
from crmweb.extensions import db
from crmweb.models import Activity, Deal, Entity, Pipeline, Stage, User
from crmweb.services import DealService
from tests.support.deals import audit_notes, edit, fresh, move, path
from tests.support.factories import make_deal, make_entity, make_pipeline, save
from tests.support.statements import count_statements

Stages = dict[str, Stage]


def refused(field: str, make: Any) -> str:
    """The words of the FieldError that `make` raises, at once or when it is saved."""
    with pytest.raises(FieldError) as wrong:
        save(make())
    db.session.rollback()
    assert wrong.value.field == field
    return wrong.value.message


# Pipeline --------------------------------------------------------------------------------------------------------


def test_a_pipeline_needs_a_name() -> None:
    for name in ("", "   ", None):
        assert refused("name", lambda name=name: Pipeline(name=name)) == "Name is missing."
    assert refused("name", Pipeline) == "Name is missing."


def test_a_pipelines_name_is_unique_whatever_its_case() -> None:
    save(Pipeline(name="Straße"))
    assert "taken" in refused("name", lambda: Pipeline(name=" STRASSE "))


def test_a_pipelines_description_is_none_by_default() -> None:
    pipeline = save(Pipeline(name="Partners"))
    assert pipeline.description is None
    pipeline.description = "Whoever sells for us"
    changes.commit()


def test_a_pipeline_is_active_by_default() -> None:
    assert save(Pipeline(name="Partners")).is_active is True


def test_pipelines_are_system_wide() -> None:
    """Not owned by individual users: there is no field that could say whose it is."""
    assert not {"owner_id", "assigned_to_id"} & {column.name for column in Pipeline.__table__.columns}


# Stage -----------------------------------------------------------------------------------------------------------


def test_a_stage_needs_a_pipeline_a_name_and_an_order(pipeline: Pipeline) -> None:
    assert "missing" in refused("pipeline", lambda: Stage(name="Demo", order=9))
    assert "missing" in refused("name", lambda: Stage(pipeline=pipeline, order=9))
    assert "missing" in refused("order", lambda: Stage(pipeline=pipeline, name="Demo"))


def test_a_stage_has_the_documented_defaults(pipeline: Pipeline) -> None:
    stage = save(Stage(pipeline=pipeline, name="Demo", order=9))
    assert (stage.description, stage.probability, stage.status) == (None, 0.0, "open")


@pytest.mark.parametrize("order", ["1", 1.5, None, True, 2**31, -(2**31) - 1])
def test_a_stages_order_is_a_whole_number(order: Any, pipeline: Pipeline) -> None:
    refused("order", lambda: Stage(pipeline=pipeline, name="Demo", order=order))


@pytest.mark.parametrize("probability", [-0.1, 100.1, "much", float("nan"), float("inf"), None])
def test_a_probability_is_between_0_and_100(probability: Any, pipeline: Pipeline) -> None:
    refused("probability", lambda: Stage(pipeline=pipeline, name="Demo", order=9, probability=probability))


def test_a_probability_of_0_and_of_100_is_fine(pipeline: Pipeline) -> None:
    ends = [Stage(pipeline=pipeline, name=str(end), order=10 + end, probability=end) for end in (0, 100)]
    assert [stage.probability for stage in (save(*ends), ends[1])] == [0.0, 100.0]


@pytest.mark.parametrize("status", ["closed", "won", "", None, "OPEN"])
def test_a_stages_status_is_one_of_three(status: Any, pipeline: Pipeline) -> None:
    refused("status", lambda: Stage(pipeline=pipeline, name="Demo", order=9, status=status))


def test_stages_come_with_their_pipeline(stages: Stages) -> None:
    """The document's StageManager selects the related pipeline on all queries."""
    db.session.expunge_all()
    with count_statements() as statements:
        found = db.session.scalars(select(Stage)).all()
        assert {stage.pipeline.name for stage in found} == {"Sales Pipeline"}
    assert len(statements) == 1


# Deal ------------------------------------------------------------------------------------------------------------


def test_a_deal_needs_a_name_an_entity_and_a_stage(stages: Stages) -> None:
    entity, lead = make_entity(), stages["Lead"]
    assert "missing" in refused("name", lambda: Deal(entity=entity, stage=lead))
    assert "missing" in refused("name", lambda: Deal(name=" ", entity=entity, stage=lead))
    assert "missing" in refused("entity", lambda: Deal(name="Forklift", stage=lead))
    assert "missing" in refused("stage", lambda: Deal(name="Forklift", entity=entity))


def test_a_deal_has_the_documented_defaults(stages: Stages, noon: datetime) -> None:
    deal = save(Deal(name="Forklift", entity=make_entity(), stage=stages["Lead"]))
    given = (
        deal.amount,
        deal.currency,
        deal.assigned_to,
        deal.expected_close_date,
        deal.closed_date,
        deal.status,
    )
    assert given == (None, "USD", None, None, None, "open")
    assert (deal.custom_fields, deal.created_at, deal.updated_at) == (None, noon, noon)


def test_an_amount_is_a_float_or_none_and_at_least_0(stages: Stages) -> None:
    assert make_deal(stages["Lead"], amount=50000.0).amount == Decimal("50000.000")
    assert make_deal(stages["Lead"], amount=None).amount is None
    assert make_deal(stages["Lead"], amount=0).amount == 0
    assert refused("amount", lambda: Deal(amount=-0.01)) == "Zero or more."


def test_an_amount_comes_back_as_it_went_in_every_currency(stages: Stages) -> None:
    """JPY has no decimals and KWD three; money is kept in thousandths for all."""
    for currency, amount in (("USD", "0.01"), ("JPY", "1000000000000"), ("KWD", "12345678.999")):
        deal = make_deal(stages["Lead"], currency, currency=currency, amount=amount)
        assert (fresh(deal).amount, fresh(deal).currency) == (Decimal(amount), currency)


def test_the_default_currency_is_a_setting(stages: Stages) -> None:
    config.use(config.read({}, default_currency="eur"))
    assert make_deal(stages["Lead"]).currency == "EUR"


def test_a_deal_has_an_owner_or_none(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"], owner=priya)
    assert fresh(deal).assigned_to is priya
    edit(deal, assigned_to=None)
    assert fresh(deal).assigned_to is None


def test_the_expected_close_date_takes_a_day_or_the_day_of_a_time(stages: Stages) -> None:
    for given in (date(2026, 4, 30), datetime(2026, 4, 30, 23, 59, tzinfo=UTC), datetime(2026, 4, 30)):  # noqa: DTZ001
        deal = make_deal(stages["Lead"], expected_close_date=given)
        assert fresh(deal).expected_close_date == date(2026, 4, 30)
    refused("expected_close_date", lambda: Deal(expected_close_date="2026-04-30"))


def test_custom_fields_are_kept_as_they_were_given(stages: Stages) -> None:
    """D46: number fields can be saved."""
    fields = {"plan": "gold", "seats": 12, "rate": 0.1, "vip": True, "code": "007", "none": None}
    deal = make_deal(stages["Lead"], custom_fields=fields)
    assert fresh(deal).custom_fields == fields
    with pytest.raises(CustomFieldValidationError):
        make_deal(stages["Lead"], custom_fields={"nested": {"a": 1}})


def test_times_are_set_by_themselves(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    with clock.at(noon + timedelta(hours=1)):
        edit(deal, name="Crane")
    assert (fresh(deal).created_at, fresh(deal).updated_at) == (noon, noon + timedelta(hours=1))


def test_deals_come_with_stage_owner_and_entity(stages: Stages, priya: User) -> None:
    """The document's DealManager selects all three on all queries."""
    make_deal(stages["Lead"], owner=priya)
    make_deal(stages["Proposal"])
    db.session.expunge_all()
    with count_statements() as statements:
        for deal in db.session.scalars(select(Deal)):
            assert deal.stage.pipeline.name == "Sales Pipeline"
            assert deal.entity.name == "Forklift fleet Ltd"
            assert deal.assigned_to is None or deal.assigned_to.name == "Priya Nair"
    assert len(statements) == 1


def test_every_record_says_its_id_by_the_documents_name(stages: Stages, priya: User) -> None:
    deal = make_deal(stages["Lead"])
    for record in (deal, deal.entity, deal.stage, deal.stage.pipeline, priya):
        assert record._object_id == record.id
        assert isinstance(record.id, UUID)
    with pytest.raises(AttributeError):
        deal._object_id = priya.id  # type: ignore[misc]


def test_ids_are_there_before_anything_is_saved() -> None:
    assert isinstance(Pipeline(name="Partners").id, UUID)


def test_a_field_that_no_record_has_is_refused(stages: Stages) -> None:
    for make in (lambda: Deal(nmae="Forklift"), lambda: Stage(is_closed_won=True), lambda: Entity(id_=1)):
        with pytest.raises(TypeError, match="has no field"):
            make()


# Automatic status sync -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "status"), [("Lead", "open"), ("Closed Won", "closed_won"), ("Closed Lost", "closed_lost")]
)
def test_the_status_follows_the_stage(stage: str, status: str, stages: Stages) -> None:
    deal = make_deal(stages["Proposal"])
    move(deal, stages[stage])
    assert fresh(deal).status == status


@pytest.mark.parametrize("stage", ["Closed Won", "Closed Lost"])
def test_a_transition_to_a_closed_status_sets_the_closed_date(
    stage: str, stages: Stages, noon: datetime
) -> None:
    deal = make_deal(stages["Proposal"])
    with clock.at(noon + timedelta(days=3)):
        move(deal, stages[stage])
    assert fresh(deal).closed_date == noon + timedelta(days=3)


# DealService -----------------------------------------------------------------------------------------------------


def test_a_move_loads_the_stage_writes_the_note_and_tells_it(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    DealService.move_deal_to_stage(deal=deal, new_stage_id=stages["Closed Won"]._object_id, note="Signed")
    assert (deal.stage.name, deal.status) == ("Closed Won", "closed_won")
    assert [note.description for note in audit_notes(deal)] == ["Signed"]


def test_note_and_address_may_be_left_out(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    DealService.move_deal_to_stage(deal, stages["Proposal"].id)
    asyncio.run(DealService.amove_deal_to_stage(deal, stages["Negotiation"].id))
    assert path(deal) == ["Lead", "Proposal", "Negotiation"]


def test_both_versions_run_inside_a_transaction(stages: Stages) -> None:
    """What a refused move had begun is nowhere to be seen."""
    deal = make_deal(stages["Lead"])
    elsewhere = make_pipeline("Partners")["Lead"].id
    with pytest.raises(CRMError):
        DealService.move_deal_to_stage(deal, elsewhere)
    with pytest.raises(CRMError):
        asyncio.run(DealService.amove_deal_to_stage(deal, elsewhere))
    assert (path(deal), audit_notes(deal), fresh(deal).version) == (["Lead"], [], 1)


# Entities and activities, which the document uses ----------------------------------------------------------------


def test_an_entity_is_a_person_an_organization_or_a_trust() -> None:
    for kind in ("person", "organization", "trust"):
        assert make_entity(kind=kind).kind == kind
    refused("kind", lambda: Entity(name="Northwind", kind="alien"))
    assert (make_entity().kind, make_entity().status) == ("organization", "Active")


def test_an_entitys_email_is_an_address_and_phone_and_text_fit() -> None:
    made = make_entity(email=" info@northwind.example ", phone="+1 555 0100", note="Pays late")
    assert (made.email, made.phone) == ("info@northwind.example", "+1 555 0100")
    for email in ("northwind", "@northwind", "a b@northwind.example", "x" * 250 + "@a.example"):
        refused("email", lambda email=email: Entity(name="Northwind", email=email))
    refused("phone", lambda: Entity(name="Northwind", phone="1" * 51))


def test_an_activity_belongs_to_a_deal_or_an_entity(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    on_deal = save(Activity(type="note", subject="Hello", related_to_type="Deal", related_to_id=str(deal.id)))
    on_entity = save(
        Activity(type="call", subject="Hello", related_to_type="Entity", related_to_id=deal.entity_id)
    )
    assert (on_deal.related_to_type, on_deal.related_to_id) == ("Deal", deal.id)
    assert (on_entity.related_to_type, on_entity.related_to_id) == ("Entity", deal.entity_id)
    for wrong in ({"related_to_type": "Stage", "related_to_id": deal.id}, {"related_to_type": "Deal"}):
        refused("related_to_type", lambda wrong=wrong: Activity(type="note", subject="Hello", **wrong))
    refused("related_to_type", lambda: Activity(type="note", subject="Hello"))
    refused("related_to_type", lambda: Activity(type="note", subject="Hello", deal=deal, entity=deal.entity))


def test_an_activity_needs_a_known_type_and_a_subject(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    refused("type", lambda: Activity(type="fax", subject="Hello", deal=deal))
    refused("subject", lambda: Activity(type="note", subject=" ", deal=deal))
    refused("subject", lambda: Activity(type="note", deal=deal))


def test_a_time_without_a_zone_is_refused(stages: Stages, noon: datetime) -> None:
    deal = make_deal(stages["Lead"])
    for field in ("due_at", "completed_at"):
        when = {field: datetime(2026, 4, 30, 12)}  # noqa: DTZ001
        assert "zone" in refused(
            field, lambda when=when: Activity(type="task", subject="Call", deal=deal, **when)
        )
    task = save(Activity(type="task", subject="Call", deal=deal, due_at=noon, completed_at=noon))
    assert (task.due_at, task.is_completed) == (noon, True)


def test_a_place_and_a_duration_fit_their_columns(stages: Stages) -> None:
    deal = make_deal(stages["Lead"])
    event = {"type": "event", "subject": "Lunch", "deal": deal}
    assert save(Activity(**event, location="Berlin", duration_minutes=90)).location == "Berlin"
    refused("location", lambda: Activity(**event, location="x" * 201))
    for minutes in (-1, 2**31, "90", 1.5):
        refused("duration_minutes", lambda minutes=minutes: Activity(**event, duration_minutes=minutes))


# People ----------------------------------------------------------------------------------------------------------


def test_an_address_is_unique_whatever_its_case() -> None:
    save(User(name="Ann", email="Ann@Example.org"))
    assert "taken" in refused("email", lambda: User(name="Another", email="ann@example.ORG"))


def test_the_longest_address_that_doubles_when_folded_is_kept() -> None:
    person = save(User(name="Ann", email="ΐ" * 240 + "@example.org"))
    assert len(person.email_key) > 700
    refused("email", lambda: User(name="Ann", email="x" * 243 + "@example.org"))


def test_a_persons_zone_locale_theme_and_role_are_known_ones() -> None:
    person = {"name": "Ann", "email": "ann@example.org"}
    for field, wrong in (
        ("timezone", "Mars/Olympus"),
        ("timezone", "Europe"),
        ("timezone", "../x"),
        ("timezone", None),
    ):
        refused(field, lambda wrong=wrong: User(**person, timezone=wrong))
    refused("locale", lambda: User(**person, locale="x" * 17))
    refused("theme", lambda: User(**person, theme="pink"))
    refused("role", lambda: User(**person, role="owner"))
