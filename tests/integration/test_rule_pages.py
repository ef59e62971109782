"""Rules through their pages: read by everybody, written by managers, without JavaScript and with htmx."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from crmweb import changes, clock, config
from crmweb.models import Deal, RuleLook, RuleVersion, Stage, User, WorkflowRule
from crmweb.queries import rules
from tests.support.cast import Cast
from tests.support.deals import move
from tests.support.factories import make_deal, make_entity, make_note, make_pipeline, make_rule
from tests.support.forms import Form, form_at, read
from tests.support.outside import Browser
from tests.support.people import sign_in
from tests.support.routes import Contents
from tests.support.statements import count_statements
from tests.support.words import text

Stages = dict[str, Stage]
HTMX = {"HX-Request": "true"}
NOTE = {"type": "create_activity", "config": {"subject": "Say hello"}}


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser: a manager's."""
    return sign_in(app.test_client(), marek)


@pytest.fixture
def priyas(app: Flask, priya: User) -> Browser:
    """Priya's browser: a rep's."""
    return sign_in(app.test_client(), priya)


def rule(
    name: str, *conditions: tuple[Any, ...], of: str = "Deal", on: str = "update", **more: Any
) -> WorkflowRule:
    written = [dict(zip(("field", "operator", "value"), condition, strict=False)) for condition in conditions]
    given = {"entity_type": of, "trigger_event": on, "conditions": written, "actions": [NOTE], "order": None}
    return make_rule(name, **{**given, **more})


def fresh(session: Session, record: Any) -> Any:
    return session.get_one(type(record), record.id, populate_existing=True)


def rows(answer: TestResponse) -> list[str]:
    """The rules of the list, each as its text."""
    return [text(row) for row in re.findall(r'<li class="rule\b.*?</li>', answer.text, flags=re.DOTALL)]


def sentence(answer: TestResponse) -> str:
    found = re.search(r'<p class="sentence".*?</p>', answer.text, flags=re.DOTALL)
    assert found
    return re.sub(r" (?=[,.:])", "", text(found[0]))


# The list ----------------------------------------------------------------------------------------------------------


def test_the_list_shows_the_rules_in_order_as_sentences(priyas: Browser, stages: Stages) -> None:
    rule("Chase", ("stage", "changed_to", str(stages["Proposal"].id)), ("amount", "greater_than", 100_000))
    rule("Greet", on="create", is_active=False)
    rule("VIP", of="Entity")
    page = priyas.get("/rules")
    first, second = rows(page)
    assert first.startswith(
        "1 Chase When a deal is updated and the stage changed to Proposal and the amount is more than"
    )
    assert "100,000 , add a note Say hello ." in first
    assert second.startswith("2 Greet When a deal is created")
    assert second.endswith("Off")
    assert "Deals 2 Companies and people 1 Activities 0" in text(page)
    assert "2 of 100 rules. Last 30 days" in text(page)
    assert rows(priyas.get("/rules?of=Entity"))[0].startswith("1 VIP Each time a contact is updated")
    assert "No rule looks at these yet." in text(priyas.get("/rules?of=Activity"))
    assert rows(priyas.get("/rules?of=User")) == rows(page)


def test_everybody_reads_and_only_managers_find_buttons(priyas: Browser, mareks: Browser) -> None:
    chase = rule("Chase")
    for url in ("/rules", f"/rules/{chase.id}"):
        assert "Chase" in priyas.get(url).text
        assert [form.action for form in read(priyas.get(url)).forms if "rules" in form.action] == []
        assert "New rule" not in priyas.get(url).text
        assert [form.action for form in read(mareks.get(url)).forms if "rules" in form.action]


def test_the_use_bar_counts_the_last_30_days(session: Session, mareks: Browser, stages: Stages) -> None:
    chase = rule("Chase", ("amount", "greater_than", 100))
    deal = make_deal(stages["Lead"], amount=1)
    with clock.at(clock.now() - timedelta(days=31)):
        move(deal, stages["Qualified"])
    move(deal, stages["Proposal"])
    changes.commit(lambda s: setattr(s.get_one(Deal, deal.id), "amount", 500))
    move(deal, stages["Qualified"])
    assert rules.use(session, "Deal")[0] == {chase.id: rules.Use(acted=2, looked=3)}
    assert "2 acted, looked at 3" in rows(mareks.get("/rules"))[0]
    assert "2 acted, looked at 3" in text(mareks.get(f"/rules/{chase.id}"))


def test_what_a_rule_saw_does_not_count_as_a_look(session: Session, stages: Stages) -> None:
    named = rule("Named", ("name", "equals", "x"))
    deal, odd = make_deal(stages["Lead"]), f'["{named.id}", '
    changes.commit(lambda s: setattr(s.get_one(Deal, deal.id), "name", f"{odd}!"))
    assert session.scalars(select(RuleLook.looks)).one()[0][4].startswith('["')
    assert rules.use(session, "Deal")[0] == {named.id: rules.Use(acted=0, looked=1)}


def test_on_a_busy_system_only_the_newest_looks_are_counted(session: Session, stages: Stages) -> None:
    chase = rule("Chase")
    deal = make_deal(stages["Lead"])
    for stage in ("Qualified", "Proposal", "Negotiation"):
        move(deal, stages[stage])
    use, since = rules.use(session, "Deal", most=2)
    assert use == {chase.id: rules.Use(acted=2, looked=2)}
    assert since == session.scalars(select(RuleLook.at).order_by(RuleLook.at)).all()[1]


def test_the_list_costs_the_same_with_three_rules_and_with_thirty(mareks: Browser, stages: Stages) -> None:
    def cost() -> int:
        with count_statements() as statements:
            assert mareks.get("/rules").status_code == 200
        return len(statements)

    for number in range(3):
        rule(f"R{number}", ("stage", "equals", str(stages["Lead"].id)))
    few = cost()
    for number in range(27):
        rule(f"S{number}", ("stage", "equals", str(stages["Lead"].id)))
    assert cost() == few <= 9


def test_a_rule_that_cannot_run_any_more_says_why(session: Session, mareks: Browser) -> None:
    chase = rule("Chase")
    broken = [{"field": "shoe_size", "operator": "equals", "value": 42}]

    def damage(session: Session) -> None:
        session.execute(update(WorkflowRule).where(WorkflowRule.id == chase.id).values(conditions=broken))

    changes.commit(damage, cause="bookkeeping")
    assert "Cannot run: Rules know no field “shoe_size” of Deal." in rows(mareks.get("/rules"))[0]
    assert mareks.get(f"/rules/{chase.id}").status_code == 200


def test_rules_that_set_off_each_other_say_so(mareks: Browser) -> None:
    def sets(field: str) -> dict[str, Any]:
        return {"type": "update_field", "config": {"field_name": field, "value": "x"}}

    rule("One", ("name", "changed"), actions=[sets("lost_reason")])
    two = rule("Two", ("lost_reason", "changed"), actions=[sets("name")])
    assert ["Feeds “Two”" in row for row in rows(mareks.get("/rules"))] == [True, False]
    assert "This rule and “One” set off each other: this one sets" in text(mareks.get(f"/rules/{two.id}"))


# Order and switch ----------------------------------------------------------------------------------------------------


def order(session: Session) -> list[str]:
    return list(session.scalars(select(WorkflowRule.name).order_by(WorkflowRule.order)))


def test_rules_move_by_buttons_and_stay_at_the_ends(session: Session, mareks: Browser) -> None:
    one, two, three = (rule(name) for name in ("One", "Two", "Three"))
    rule("Of entities", of="Entity")
    answer = mareks.post(f"/rules/{three.id}/place", data={"by": "-1"})
    assert (answer.status_code, answer.location) == (303, f"/rules?of=Deal#rule-{three.id}")
    mareks.post(f"/rules/{one.id}/place", data={"by": "-1"})
    mareks.post(f"/rules/{two.id}/place", data={"by": "1"})
    session.rollback()
    assert [name for name in order(session) if name != "Of entities"] == ["One", "Three", "Two"]


def test_a_rule_is_put_above_another_or_last(session: Session, mareks: Browser) -> None:
    one, two, three = (rule(name) for name in ("One", "Two", "Three"))
    for moved, above, now in (
        (three, one.id, ["Three", "One", "Two"]),
        (three, two.id, ["One", "Three", "Two"]),
        (one, "", ["Three", "Two", "One"]),
        (three, two.id, ["Three", "Two", "One"]),
    ):
        mareks.post(f"/rules/{moved.id}/place", data={"above": str(above)})
        session.rollback()
        assert order(session) == now


def test_a_rule_is_not_put_above_itself_another_types_or_an_archived_one(
    session: Session, mareks: Browser
) -> None:
    one, two = rule("One"), rule("Two")
    others = rule("Of entities", of="Entity"), rule("Gone", archived_at=clock.now()), one
    for other in others:
        answer = mareks.post(f"/rules/{one.id}/place", data={"above": str(other.id)})
        assert answer.status_code == 409
    session.rollback()
    assert (fresh(session, one).order, fresh(session, two).order) == (1, 2)


def test_with_htmx_the_list_comes_back_and_the_new_place_is_said(mareks: Browser) -> None:
    rule("One")
    two = rule("Two")
    answer = mareks.post(f"/rules/{two.id}/place", data={"by": "-1"}, headers=HTMX)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert [row[:5] for row in rows(answer)] == ["1 Two", "2 One"]
    assert "Two is number 1 now." in text(answer)


def test_rules_of_one_order_are_told_apart(session: Session, mareks: Browser) -> None:
    """Two rules may have come to have one order; the first move puts them all in line."""
    one, two = rule("One", order=5), rule("Two", order=5)
    mareks.post(f"/rules/{two.id}/place", data={"by": "-1"})
    assert [fresh(session, one).order, fresh(session, two).order] == [2, 1]


def test_a_rule_is_switched_off_and_on(session: Session, mareks: Browser, stages: Stages) -> None:
    greet = rule("Greet", on="create")
    switch = form_at(mareks, "/rules", f"/rules/{greet.id}/state")
    answer = switch.send(mareks, on="0")
    assert answer.status_code == 303
    make_deal(stages["Lead"], "Unseen")
    mareks.post(f"/rules/{greet.id}/state", data={"on": "1"})
    make_deal(stages["Lead"], "Seen")
    assert "1 acted, looked at 1" in rows(mareks.get("/rules"))[0]


def test_a_paused_rule_says_why_and_runs_again_when_it_is_switched_on(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    away = make_pipeline("Partners")["Lead"]
    moves = {"type": "move_to_stage", "config": {"stage_id": str(away.id)}}
    broken = rule("Broken", actions=[moves])
    deal = make_deal(stages["Lead"])
    for _ in range(5):
        move(deal, stages["Qualified"] if fresh(session, deal).stage.name == "Lead" else stages["Lead"])
    row = rows(mareks.get("/rules"))[0]
    assert (
        "Paused after 5 failures in a row: it could not move the deal: Lead belongs to the pipeline Partners"
        in row
    )
    assert "Paused" in text(mareks.get(f"/rules/{broken.id}"))
    answer = mareks.post(f"/rules/{broken.id}/state", data={"on": "1", "from": "rule"})
    assert answer.location == f"/rules/{broken.id}"
    assert (fresh(session, broken).paused_at, fresh(session, broken).failures) == (None, 0)


@pytest.mark.parametrize(
    ("part", "data", "words"),
    [
        ("place", {}, "Rules move by one place (by is -1 or 1), or above another rule"),
        ("place", {"by": "100"}, "Rules move by one place"),
        ("place", {"above": "the first"}, "above is its id"),
        (
            "place",
            {"above": str(UUID(int=7))},
            "The rule below is not in this list any more. Nothing was moved.",
        ),
        ("state", {}, "A rule is switched on or off"),
        ("state", {"on": "maybe"}, "A rule is switched on or off"),
    ],
)
def test_a_forged_button_changes_nothing(
    mareks: Browser, part: str, data: dict[str, str], words: str
) -> None:
    chase, before = rule("Chase"), Contents()
    answer = mareks.post(f"/rules/{chase.id}/{part}", data=data)
    assert answer.status_code in (409, 422)
    assert words in text(answer)
    before.check(part)


def test_an_archived_rule_leaves_the_list_and_comes_back_last_and_off(
    session: Session, mareks: Browser
) -> None:
    one = rule("One")
    rule("Two")
    assert mareks.post(f"/rules/{one.id}/archiving").location == "/rules?of=Deal"
    page = mareks.get("/rules")
    assert [row[:5] for row in rows(page)] == ["1 Two"]
    assert "1 archived rule" in text(page)
    assert "One" in rows(mareks.get("/rules?of=Deal&archived=1"))[0]
    assert mareks.post(f"/rules/{one.id}/place", data={"by": "1"}).status_code == 404
    assert mareks.post(f"/rules/{one.id}/state", data={"on": "1"}).status_code == 409
    mareks.post(f"/rules/{one.id}/restoring")
    assert [row[:5] for row in rows(mareks.get("/rules"))] == ["1 Two", "2 One"]
    assert (fresh(session, one).is_active, fresh(session, one).archived_at) == (False, None)


def test_a_rule_that_does_not_fit_any_more_stays_archived(mareks: Browser, session: Session) -> None:
    """D44: bringing one back counts against the limit too."""
    one = rule("One", archived_at=clock.now())
    config.use(config.read({}, max_workflow_rules_per_entity=1))
    rule("Two")
    answer = mareks.post(f"/rules/{one.id}/restoring")
    assert answer.status_code == 422
    assert "There are 1 rules for Deal already" in text(answer)
    assert fresh(session, one).archived_at is not None


# The form ------------------------------------------------------------------------------------------------------------


def new_form(browser: Browser, **typed: Any) -> TestResponse:
    """Send the form of a new rule as it stands, with `typed` over it; `c0_value` is `conditions-0-value`."""
    return form_at(browser, "/rules/new").send(browser, **_names({**FILLED, **typed}))


def _names(typed: dict[str, Any]) -> dict[str, Any]:
    short = {"c": "conditions", "a": "actions"}
    return {
        re.sub(r"^([ca])(\d+)_", lambda found: f"{short[found[1]]}-{found[2]}-", name): value
        for name, value in typed.items()
    }


FILLED = {
    "name": "Chase",
    "c0_field": "amount",
    "c0_operator": "greater_than",
    "c0_value": "100,000",
    "a0_subject": "Call {entity.name}",
    "a0_due_in_days": "5",
}


def test_a_new_rule_is_saved_and_acts_from_the_next_change_on(
    session: Session, mareks: Browser, marek: User, stages: Stages
) -> None:
    answer = new_form(mareks)
    assert answer.status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    assert answer.location == f"/rules/{made.id}"
    assert made.definition() == {
        "name": "Chase",
        "entity_type": "Deal",
        "trigger_event": "update",
        "trigger_config": {},
        "match": "all",
        "conditions": [{"field": "amount", "operator": "greater_than", "value": "100000"}],
        "actions": [
            {
                "type": "create_activity",
                "config": {"type": "task", "subject": "Call {entity.name}", "due_in_days": "5"},
            }
        ],
        "fires": "becomes_true",
        "stop_after": False,
        "on_failure": "keep",
    }
    assert made.is_active
    assert sentence(mareks.get(answer.location)) == (
        "When a deal is updated so that the amount is more than 100,000, add a task Call ‹contact’s name› "
        "for the owner, due in 5 days."
    )
    deal = make_deal(stages["Lead"], entity=make_entity("Acme"))
    changes.commit(lambda s: setattr(s.get_one(Deal, deal.id), "amount", 200_000), by=marek)
    page = text(mareks.get(f"/deals/{deal.id}"))
    assert "Chase added a task: Call Acme" in page
    assert "After Marek Nowak’s change" in page
    assert f'href="/rules/{made.id}"' in mareks.get(f"/deals/{deal.id}").text


def test_the_other_button_saves_it_switched_off(session: Session, mareks: Browser) -> None:
    assert new_form(mareks, do="save-off").status_code == 303
    assert session.scalars(select(WorkflowRule.is_active)).one() is False


def is_(field: str, value: str) -> dict[str, str]:
    return {"c0_field": field, "c0_operator": "equals", "c0_value": value}


def sets(field: str, value: str) -> dict[str, str]:
    return {"a0_kind": "update_field", "a0_field_name": field, "a0_value": value}


@pytest.mark.parametrize(
    ("typed", "where", "words"),
    [
        ({"name": ""}, "name", "Name is missing."),
        ({"name": "x" * 10_000}, "name", "Name has 10000 characters; at most 200 fit."),
        ({"name": "a\x00"}, "name", "Name contains a character that cannot be stored."),
        ({"entity_type": "User"}, "entity_type", "“User” is not one of Deal, Entity, Activity."),
        ({"trigger_event": "explode"}, "trigger_event", "“explode” is not one of create, update, delete,"),
        ({"fires": "twice"}, "fires", "“twice” is not one of every_time, becomes_true."),
        ({"on_failure": "panic"}, "on_failure", "“panic” is not one of keep, undo."),
        ({"c0_field": ""}, "c0_field", "Choose the field that the condition looks at."),
        ({"c0_field": "password_hash"}, "c0_field", "Rules know no field “password_hash” of Deal."),
        ({"c0_field": "custom_fields."}, "c0_field", "Rules know no field “custom_fields.” of Deal."),
        (
            {"c0_operator": "resembles"},
            "c0_operator",
            "“resembles” is not one of equals, not_equals, contains,",
        ),
        ({"c0_operator": ""}, "c0_operator", "How is Amount compared?"),
        ({"c0_value": ""}, "c0_value", "Amount is more than what? The value is missing."),
        ({"c0_value": "a lot"}, "c0_value", "“a lot” is not a number. Write it like 50,000."),
        ({"c0_value": "1e400"}, "c0_value", "“1e400” is not a number."),
        ({"c0_value": "1\x00"}, "c0_value", "is not a number."),
        ({"c0_field": "stage"}, "c0_operator", "Stage is a stage; “is more than” makes no sense for it."),
        (is_("stage", str(uuid4())), "c0_value", "Stage: this choice is not there any more."),
        (is_("stage", "Lead"), "c0_value", "“Lead” is not an id. Choose from the list."),
        (is_("expected_close_date", "31 Feb"), "c0_value", "“31 Feb” is not a date like 2026-12-31."),
        (is_("status", "sleepy"), "c0_value", "“sleepy” is not one of open"),
        (is_("name", "x" * 2000), "c0_value", "The value has 2000 characters; at most 1000 fit."),
        ({"a0_kind": "call_python"}, "a0_kind", "“call_python” is not one of assign,"),
        ({"a0_kind": ""}, "a0_kind", "is not one of"),
        ({"a0_subject": ""}, "a0_subject", "What to do is missing."),
        ({"a0_subject": "{deal.password}"}, "a0_subject", "There is no placeholder {deal.password} here."),
        ({"a0_subject": "x" * 301}, "a0_subject", "What to do has 301 characters; at most 300 fit."),
        ({"a0_due_in_days": "0.5"}, "a0_due_in_days", "Whole days only, such as 5; at most 3650."),
        ({"a0_due_in_days": "-1"}, "a0_due_in_days", "Whole days only"),
        ({"a0_kind": "update_field"}, "a0_field_name", "Choose the field to change."),
        (sets("status", "won"), "a0_field_name", "Rules may read status but not change it."),
        (sets("amount", "-5"), "a0_value", "Zero or more."),
        (sets("currency", "banana"), "a0_value", "banana"),
        (sets("assigned_to", str(uuid4())), "a0_value", "Owner: this choice is not there any more."),
        ({**sets("name", "x"), "trigger_event": "delete"}, "a0_kind", "A deleted record cannot be changed."),
        ({"a0_kind": "send_notification", "a0_to": "everybody"}, "a0_to", "“everybody” is not an id."),
        (
            {"a0_kind": "send_notification", "a0_message": "{x.y}"},
            "a0_message",
            "There is no placeholder {x.y}",
        ),
        ({"a0_kind": "move_to_stage"}, "a0_stage_id", "Choose the stage to move to."),
        ({"a0_kind": "move_to_stage", "a0_stage_id": str(uuid4())}, "a0_stage_id", "This stage is not there"),
        ({**is_("name", "x"), "entity_type": "Entity", "a0_kind": "move_to_stage"}, "a0_kind", "Only a deal"),
    ],
    ids=lambda value: None if isinstance(value, str) else ",".join(f"{k}={v:.12}" for k, v in value.items()),
)
def test_what_makes_no_sense_is_said_beside_its_field_and_nothing_is_saved(
    mareks: Browser, stages: Stages, typed: dict[str, str], where: str, words: str
) -> None:
    before = Contents()
    answer = new_form(mareks, **typed)
    assert answer.status_code == 422
    (name,) = _names({where: ""})
    page = read(answer)
    assert words in page.errors.get(name, ""), page.errors
    assert page.starts == [next(iter(page.errors))]
    before.check(str(typed))
    assert "Call {entity.name}" in html.unescape(answer.text) or "a0_subject" in typed or "a0_kind" in typed


def test_a_rule_without_conditions_never_becomes_true(mareks: Browser) -> None:
    form = form_at(mareks, "/rules/new")
    for name in [name for name in form.fields if name.startswith("conditions-")]:
        form.fields.poplist(name)
    answer = form.send(mareks, name="Always", **_names({"a0_subject": "Hi"}))
    assert answer.status_code == 422
    assert read(answer).errors == {
        "fires": "Without a condition it is always true and never becomes so. Add one."
    }
    assert (
        form.send(mareks, name="Always", fires="every_time", **_names({"a0_subject": "Hi"})).status_code
        == 303
    )


@pytest.mark.parametrize("part", ["conditions", "actions"])
def test_ten_thousand_rows_are_refused_in_a_moment(mareks: Browser, part: str) -> None:
    before = Contents()
    form = form_at(mareks, "/rules/new")
    many = {f"{part}-{number}-{'field' if part == 'conditions' else 'kind'}": "x" for number in range(10_000)}
    answer = form.send(mareks, name="Many", **many)
    assert answer.status_code in (413, 422)
    if answer.status_code == 422:
        assert "At most 20 conditions and 20 actions." in read(answer).alerts
    before.check(part)


def test_the_limit_of_rules_is_said_in_words(mareks: Browser, settings: config.Settings) -> None:
    """D44."""
    config.use(config.read({}, max_workflow_rules_per_entity=1))
    rule("The one")
    answer = new_form(mareks)
    assert answer.status_code == 422
    assert "There are 1 rules for Deal already" in read(answer).errors["entity_type"]


def test_numbers_are_read_and_written_as_the_person_writes_them(
    session: Session, mareks: Browser, marek: User
) -> None:
    changes.commit(lambda s: setattr(s.get_one(User, marek.id), "locale", "de"))
    answer = new_form(mareks, c0_value="250.000,50")
    assert session.scalars(select(WorkflowRule)).one().conditions[0]["value"] == "250000.5"
    page = mareks.get(answer.location)
    assert 'value="250.000,50"' in page.text
    assert "the amount is more than 250.000,5," in sentence(page)
    doubtful = new_form(mareks, c0_value="1,234")
    assert doubtful.status_code == 422
    assert "can be read in two ways" in read(doubtful).errors["conditions-0-value"]
    saved = form_at(mareks, answer.location).send(mareks)
    assert saved.status_code == 303
    assert session.scalars(select(WorkflowRule.version)).one() == 1


def test_a_custom_field_is_named_beside_the_list(session: Session, mareks: Browser) -> None:
    """D36."""
    new_form(mareks, c0_field="custom_fields.", c0_custom="seats", c0_value="100", a0_kind="update_field",
             a0_field_name="custom_fields.", a0_custom="size", a0_value="7")  # fmt: skip
    made = session.scalars(select(WorkflowRule)).one()
    assert made.conditions == [{"field": "custom_fields.seats", "operator": "greater_than", "value": "100"}]
    assert made.actions == [
        {"type": "update_field", "config": {"field_name": "custom_fields.size", "value": 7}}
    ]
    form = form_at(mareks, f"/rules/{made.id}")
    assert form.fields["conditions-0-field"] == "custom_fields."
    assert form.fields["conditions-0-custom"] == "seats"


# The form without JavaScript: buttons that send it back --------------------------------------------------------------


def press(browser: Browser, form: Form, button: str, **typed: Any) -> Form:
    """Press one of the form's own buttons; answers the form as it comes back."""
    before = Contents()
    answer = Form("/rules/draft", form.fields, form.offers).send(browser, do=button, **_names(typed))
    assert answer.status_code == 200
    before.check(button)
    return read(answer).form("/rules/new")


def test_choosing_a_field_brings_its_comparisons_and_its_values(
    mareks: Browser, stages: Stages, cast: Cast
) -> None:
    form = form_at(mareks, "/rules/new")
    form = press(mareks, form, "redraw", c0_field="amount")
    assert "greater_than" in form.offers["conditions-0-operator"]
    assert "conditions-0-value" not in form.offers
    form = press(mareks, form, "redraw", c0_field="stage", c0_operator="greater_than", c0_value="100")
    assert "greater_than" not in form.offers["conditions-0-operator"]
    assert form.offers["conditions-0-value"] == ["", *(str(stage.id) for stage in stages.values())]
    form = press(mareks, form, "redraw", c0_field="assigned_to")
    assert set(form.offers["conditions-0-value"]) == {"", *(str(person.id) for person in cast)}
    form = press(mareks, form, "redraw", c0_operator="one_of")
    assert set(form.offers["conditions-0-value"]) == {str(person.id) for person in cast}
    form = press(mareks, form, "redraw", c0_operator="is_empty")
    assert "conditions-0-value" not in form.fields


def test_rows_are_added_removed_and_raised_by_buttons(mareks: Browser) -> None:
    form = press(mareks, form_at(mareks, "/rules/new"), "add-condition", **FILLED)
    form = press(mareks, form, "add-action", c1_field="name", c1_operator="contains", c1_value="VIP")
    form = press(mareks, form, "redraw", a1_kind="send_notification")
    form = press(mareks, form, "raise-action-1", a1_message="Look")
    assert (form.fields["actions-0-kind"], form.fields["actions-0-message"]) == ("send_notification", "Look")
    assert (form.fields["actions-1-kind"], form.fields["actions-1-subject"]) == ("task", "Call {entity.name}")
    form = press(mareks, form, "remove-condition-0")
    assert form.fields["conditions-0-value"] == "VIP"
    assert "conditions-1-field" not in form.fields
    form = press(mareks, form, "remove-action-1")
    assert "actions-1-kind" not in form.fields
    assert form.send(mareks).status_code == 303


@pytest.mark.parametrize(
    "button", ["", "remove-condition-99", "remove-condition-²", "raise-action-0", "add-rule", "x" * 5000]
)
def test_a_button_that_is_none_leaves_the_form_as_it_is(mareks: Browser, button: str) -> None:
    form = form_at(mareks, "/rules/new")
    again = press(mareks, form, button, **FILLED)
    assert again.fields["conditions-0-value"] == "100,000"
    assert "conditions-1-field" not in again.fields


def test_no_more_rows_than_a_rule_may_have(mareks: Browser) -> None:
    form = form_at(mareks, "/rules/new")
    for _ in range(25):
        form = press(mareks, form, "add-condition")
    assert len([name for name in form.fields if name.endswith("-operator")]) == 20


def test_what_the_event_forbids_is_not_offered(mareks: Browser, stages: Stages) -> None:
    proposal = {"c0_value": str(stages["Proposal"].id)}
    form = press(mareks, form_at(mareks, "/rules/new"), "redraw", a0_kind="move_to_stage", **proposal)
    assert str(stages["Lead"].id) in form.offers["actions-0-stage_id"]
    form = press(mareks, form, "redraw", trigger_event="delete")
    assert form.offers["actions-0-kind"] == ["", "task", "note", "send_notification"]
    form = press(mareks, form, "redraw", entity_type="Entity")
    assert form.offers["actions-0-kind"] == ["", "send_notification"]
    assert "fires" not in form.offers
    assert form.fields["conditions-0-field"] == ""


def test_with_htmx_only_the_form_comes_back(mareks: Browser) -> None:
    form = form_at(mareks, "/rules/new")
    answer = Form("/rules/draft", form.fields).send(mareks, headers=HTMX, do="add-condition")
    assert answer.text.lstrip().startswith('<form id="rule-form"')
    assert "conditions-1-field" in answer.text


def test_a_rule_that_acts_at_every_edit_is_saved_with_a_warning(mareks: Browser) -> None:
    """D32."""
    answer = new_form(mareks, fires="every_time")
    assert answer.status_code == 303
    assert "This acts at every edit as long as its conditions hold" in text(mareks.get(answer.location))
    changed = new_form(mareks, fires="every_time", c0_field="stage", c0_operator="changed")
    assert "This acts at every edit" not in text(mareks.get(changed.location))


# A rule's page -------------------------------------------------------------------------------------------------------


def test_an_edited_rule_keeps_what_it_was(session: Session, mareks: Browser) -> None:
    chase = rule("Chase", ("amount", "greater_than", 100))
    answer = form_at(mareks, f"/rules/{chase.id}").send(mareks, **_names({"c0_value": "900"}))
    assert answer.status_code == 303
    assert fresh(session, chase).version == 2
    kept = session.scalars(select(RuleVersion).filter_by(rule_id=chase.id).order_by(RuleVersion.version))
    assert [version.definition["conditions"][0]["value"] for version in kept] == [100, "900"]


def test_a_rule_that_says_more_than_the_form_offers_is_saved_as_it_is(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    """Opening and saving changes nothing, even when something that it names is offered no more."""
    entity, gone = make_entity("Acme"), make_pipeline("Partners")["Lead"]
    conditions = [
        ("entity", "equals", str(entity.id)),
        ("stage", "one_of", [str(gone.id), str(stages["Lead"].id)]),
        ("created_at", "greater_than", "2026-01-01T08:00:00+01:00"),
        ("amount", "is_empty"),
    ]
    odd = rule("Odd", *conditions)
    changes.commit(lambda s: setattr(s.get_one(Stage, gone.id).pipeline, "is_active", False))
    form = form_at(mareks, f"/rules/{odd.id}")
    data = form.fields.copy()
    data.setlist("conditions-1-value", [str(gone.id), str(stages["Lead"].id)])
    answer = mareks.post(form.action, data=data)
    assert answer.status_code == 303
    kept = [
        {name: value for name, value in condition.items() if value is not None}
        for condition in odd.conditions
    ]
    assert fresh(session, odd).conditions == kept
    page = mareks.get(f"/rules/{odd.id}")
    assert "the contact is Acme," in sentence(page)


def test_the_second_of_two_people_overwrites_nothing(session: Session, mareks: Browser, marek: User) -> None:
    chase = rule("Chase")
    form = form_at(mareks, f"/rules/{chase.id}")
    changes.commit(lambda s: setattr(s.get_one(WorkflowRule, chase.id), "name", "Chase all"), by=marek)
    answer = form.send(mareks, name="Chase none")
    assert answer.status_code == 409
    assert "Somebody else changed this rule in the meantime" in text(answer)
    assert "Chase none" in answer.text
    assert fresh(session, chase).name == "Chase all"
    assert read(answer).form(f"/rules/{chase.id}").send(mareks).status_code == 303
    assert fresh(session, chase).name == "Chase none"


def test_a_rule_that_was_archived_meanwhile_is_not_saved(session: Session, mareks: Browser) -> None:
    chase = rule("Chase")
    form = form_at(mareks, f"/rules/{chase.id}")
    mareks.post(f"/rules/{chase.id}/archiving")
    answer = form.send(mareks, name="Chase none")
    assert answer.status_code == 409
    assert "This rule was archived in the meantime, and nothing was saved." in text(answer)
    assert fresh(session, chase).name == "Chase"


def test_a_forgotten_value_is_asked_for_and_no_other_rule_is_saved(mareks: Browser) -> None:
    for asked in (
        {"c0_field": "status", "c0_operator": "equals"}, {"c0_field": "amount", "c0_operator": "not_equals"},
        {"c0_field": "assigned_to", "c0_operator": "equals"},
    ):  # fmt: skip
        answer = new_form(mareks, **{**asked, "c0_value": ""})
        assert answer.status_code == 422, asked
        assert "What is it compared with?" in read(answer).errors["conditions-0-value"]


def test_a_rule_that_looks_for_nothing_is_shown_in_the_forms_words(session: Session, mareks: Browser) -> None:
    odd = rule("Odd", ("amount", "equals"), ("name", "not_equals"))
    form = form_at(mareks, f"/rules/{odd.id}")
    assert form.fields["conditions-0-operator"] == "is_empty"
    assert form.send(mareks).status_code == 303
    assert [part["operator"] for part in fresh(session, odd).conditions] == ["is_empty", "is_not_empty"]


def test_a_rule_that_cannot_run_any_more_is_not_switched_on(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    parking = {"type": "move_to_stage", "config": {"stage_id": str(stages["Proposal"].id)}}
    park = rule("Park", actions=[parking], is_active=False)
    changes.commit(lambda s: setattr(s.get_one(Stage, stages["Proposal"].id), "is_archived", True))
    answer = mareks.post(f"/rules/{park.id}/state", data={"on": "1"})
    assert answer.status_code == 422
    assert "Park cannot be switched on:" in text(answer)
    assert not fresh(session, park).is_active
    assert "move it to Proposal (archived)" in rows(mareks.get("/rules"))[0]


def test_enter_saves_nothing(mareks: Browser) -> None:
    page = mareks.get("/rules/new").text
    first = re.search(r"<button[^>]*>", page[page.index('<form id="rule-form"') :])
    assert first
    assert 'formaction="/rules/draft"' in first[0]


def test_a_change_that_nobody_filled_in_goes_when_the_event_is_another(
    mareks: Browser, stages: Stages
) -> None:
    form = press(mareks, form_at(mareks, "/rules/new"), "", trigger_event="stage_changed")
    assert "conditions-0-field" not in form.fields


def test_a_rep_cannot_write(session: Session, priyas: Browser) -> None:
    chase, before = rule("Chase"), Contents()
    assert priyas.get("/rules/new").status_code == 403
    for url in ("/rules/new", f"/rules/{chase.id}", "/rules/draft", f"/rules/{chase.id}/draft"):
        assert priyas.post(url, data={"name": "Mine"}).status_code == 403, url
    for part in ("place", "state", "archiving", "restoring"):
        assert priyas.post(f"/rules/{chase.id}/{part}", data={"by": "1", "on": "0"}).status_code == 403, part
    before.check("a rep")


def test_a_rules_page_lists_its_last_runs(mareks: Browser, stages: Stages, marek: User, priya: User) -> None:
    away = make_pipeline("Partners")["Lead"]
    moves = {"type": "move_to_stage", "config": {"stage_id": str(away.id)}}
    greet = rule("Greet", of="Activity", on="create")
    broken = rule("Broken", actions=[moves])
    deal = make_deal(stages["Lead"], "Fleet")
    make_note(deal, "They called", by=priya)
    move(deal, stages["Qualified"], by=marek)
    page = mareks.get(f"/rules/{greet.id}")
    assert "Fleet Added a note: Say hello After Priya Nair’s change" in text(page)
    assert f'href="/deals/{deal.id}"' in page.text
    assert "Failed Fleet Could not move the deal: Lead belongs" in text(mareks.get(f"/rules/{broken.id}"))
    changes.commit(lambda s: setattr(s.get_one(Deal, deal.id), "deleted_at", clock.now()))
    assert f'href="/deals/{deal.id}"' not in mareks.get(f"/rules/{greet.id}").text


def test_older_runs_are_a_page_away(session: Session, mareks: Browser, stages: Stages) -> None:
    chase = rule("Chase")
    deal = make_deal(stages["Lead"])
    for amount in range(20):
        changes.commit(lambda s, amount=amount: setattr(s.get_one(Deal, deal.id), "amount", amount))
    seen: list[Any] = []
    before = None
    for _ in range(4):
        runs, before = rules.last_runs(session, chase.id, before)
        seen += [run.id for run in runs]
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 20
    assert "Older runs" in text(mareks.get(f"/rules/{chase.id}"))
    assert "Older runs" not in text(mareks.get(f"/rules/{chase.id}?before={seen[-5]}"))


def test_a_rule_that_is_not_there_is_a_404(mareks: Browser) -> None:
    assert mareks.get(f"/rules/{uuid4()}").status_code == 404


# Groups, triggers that say more, people in turn ----------------------------------------------------------------------


def drawn_again(browser: Browser, form: Form, act: str, **typed: Any) -> Form:
    """The form after one of its buttons, without scripts."""
    answer = Form("/rules/draft", form.fields, form.offers).send(browser, do=act, **typed)
    assert answer.status_code == 200
    return read(answer).form("/rules/new")


def test_a_group_is_added_filled_and_removed_without_scripts(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    form = drawn_again(mareks, form_at(mareks, "/rules/new"), "add-group", **_names(FILLED))
    form = drawn_again(
        mareks, form, "add-condition-in-0",
        **{"groups-0-conditions-0-field": "name", "groups-0-conditions-0-operator": "contains"},
    )  # fmt: skip
    form = drawn_again(
        mareks, form, "",
        **{
            "groups-0-conditions-0-value": "fleet", "groups-0-conditions-1-field": "currency",
            "groups-0-conditions-1-operator": "equals", "groups-0-conditions-1-value": "EUR",
        },
    )  # fmt: skip
    assert form.send(mareks, do="save").status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    assert made.conditions == [
        {"field": "amount", "operator": "greater_than", "value": "100000"},
        {
            "match": "any",
            "conditions": [
                {"field": "name", "operator": "contains", "value": "fleet"},
                {"field": "currency", "operator": "equals", "value": "EUR"},
            ],
        },
    ]
    stored = form_at(mareks, f"/rules/{made.id}")
    assert stored.fields["groups-0-conditions-1-value"] == "EUR"
    answer = Form(f"/rules/{made.id}/draft", stored.fields).send(mareks, do="remove-condition-0-in-0")
    assert "groups-0-conditions-1-field" not in answer.text
    answer = Form(f"/rules/{made.id}/draft", stored.fields).send(mareks, do="remove-group-0")
    assert "groups-0-conditions-0-field" not in answer.text


def test_what_is_wrong_in_a_group_is_said_beside_it(mareks: Browser, stages: Stages) -> None:
    form = drawn_again(mareks, form_at(mareks, "/rules/new"), "add-group", **_names(FILLED))
    answer = form.send(
        mareks, **{"groups-0-conditions-0-field": "amount", "groups-0-conditions-0-value": "a lot"}
    )
    assert answer.status_code == 422
    assert "not a number" in read(answer).errors["groups-0-conditions-0-value"]


def test_a_rule_of_time_asks_for_its_days_and_offers_what_qualifies_now(
    session: Session, mareks: Browser, stages: Stages
) -> None:
    with clock.at(clock.now() - timedelta(days=30)):
        make_deal(stages["Lead"])
    form = drawn_again(
        mareks, form_at(mareks, "/rules/new"), "", trigger_event="days_in_stage", **_names(FILLED)
    )
    answer = form.send(mareks, trigger_days="soon")
    assert answer.status_code == 422
    assert "Whole days only" in read(answer).errors["trigger_days"]
    page = Form("/rules/draft", form.fields).send(mareks, trigger_days="10")
    assert "Also the 1 that qualify now" in text(page.text)
    sent = read(page).form("/rules/new").send(mareks, trigger_stage=stages["Lead"].id, counts_past="y")
    assert sent.status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    assert made.trigger_config == {"days": "10", "stage": str(stages["Lead"].id)}
    assert made.on_since is None


def test_a_move_asks_from_and_to_which_stage(session: Session, mareks: Browser, stages: Stages) -> None:
    form = drawn_again(
        mareks, form_at(mareks, "/rules/new"), "", trigger_event="stage_changed", **_names(FILLED)
    )
    assert form.send(mareks, trigger_to=stages["Negotiation"].id).status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    assert made.trigger_config == {"to": str(stages["Negotiation"].id)}
    assert sentence(mareks.get(f"/rules/{made.id}")).startswith(
        "When a deal moves to Negotiation and the amount"
    )


def test_a_record_is_given_to_people_in_turn(
    session: Session, mareks: Browser, cast: Cast, stages: Stages
) -> None:
    form = drawn_again(
        mareks, form_at(mareks, "/rules/new"), "", a0_kind="assign", **{"actions-0-kind": "assign"}
    )
    form = drawn_again(mareks, form, "", **{"actions-0-way": "in_turn"}, **_names({"c0_field": "amount"}))
    sent = form.send(
        mareks, name="Share", **_names({"c0_operator": "is_empty", "actions-0-people": cast.priya.id})
    )
    assert sent.status_code == 303
    made = session.scalars(select(WorkflowRule)).one()
    assert made.actions == [{"type": "assign", "config": {"way": "in_turn", "people": [str(cast.priya.id)]}}]


def test_another_type_of_record_leaves_out_what_cannot_set_it_off(mareks: Browser, stages: Stages) -> None:
    form = drawn_again(mareks, form_at(mareks, "/rules/new"), "", trigger_event="no_activity")
    form = drawn_again(mareks, form, "", entity_type="Entity")
    assert form.fields["trigger_event"] == "create"
    assert form.offers["trigger_event"] == ["create", "update", "delete"]


@pytest.mark.parametrize(
    ("typed", "unit"),
    [
        ({}, "in any currency"),
        ({"c1_field": "currency", "c1_operator": "equals", "c1_value": "USD"}, "USD"),
        (
            {"c1_field": "currency", "c1_operator": "equals", "c1_value": "USD", "match": "any"},
            "in any currency",
        ),
    ],
    ids=["alone", "with a currency", "or a currency"],
)
def test_an_amount_is_asked_for_with_the_currency_in_which_it_is_compared(
    mareks: Browser, typed: dict[str, str], unit: str
) -> None:
    form = press(mareks, form_at(mareks, "/rules/new"), "add-condition", **FILLED)
    answer = Form("/rules/draft", form.fields).send(mareks, headers=HTMX, **_names(typed))
    assert f"<span>{unit}</span>" in answer.text


# The log of all rules ------------------------------------------------------------------------------------------------


def test_the_log_tells_what_all_rules_did_and_can_be_narrowed(
    app: Flask, mareks: Browser, priya: User, stages: Stages
) -> None:
    away = make_pipeline("Partners")["Lead"]
    rule("Greet", on="create")
    rule("Broken", on="create", actions=[{"type": "move_to_stage", "config": {"stage_id": str(away.id)}}])
    rule("Of contacts", of="Entity", on="create")
    make_deal(stages["Lead"], "Night couriers")
    for person in (mareks, sign_in(app.test_client(), priya)):
        page = person.get("/rules/log")
        lines = [text(line) for line in re.findall(r"<li>\s*<div>.*?</li>", page.text, re.DOTALL)]
        told = (
            "Of contacts · Night couriers Ltd Added a note",
            "Broken Failed · Night couriers Could not move the deal",
            "Greet · Night couriers Added a note: Say hello",
        )
        assert all(line.startswith(words) for line, words in zip(lines, told, strict=True)), lines
    failed = text(mareks.get("/rules/log?show=failed"))
    assert "Could not move the deal" in failed
    assert "Greet" not in failed
    assert "None of these yet." in text(mareks.get("/rules/log?show=cut"))
    assert mareks.get("/rules/log?show=odd&before=odd").text.count("<li>\n  <div>") == 3


def test_older_entries_of_the_log_are_a_page_away(
    mareks: Browser, stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crmweb.web.rules.MOST_LOGGED", 2)
    rule("Greet", on="create")
    for number in range(5):
        make_deal(stages["Lead"], f"Deal {number}")
    page, seen = mareks.get("/rules/log"), []
    for _ in range(3):
        seen += re.findall(r"Deal \d", text(page))
        older = re.search(r'href="(/rules/log\?before=[^"]+)">Older runs', page.text)
        page = mareks.get(html.unescape(older[1])) if older else page
    assert seen == ["Deal 4", "Deal 3", "Deal 2", "Deal 1", "Deal 0"]
