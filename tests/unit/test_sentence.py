"""A rule reads as one English sentence, and says what is worth a warning."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmweb.models.workflow_rule import ENTITY_TYPES
from crmweb.workflow import cautions, explain
from crmweb.workflow.catalog import CATALOG
from crmweb.workflow.explain import Part
from crmweb.workflow.operators import OPERATORS

PROPOSAL, WON, ANN = UUID(int=1), UUID(int=2), UUID(int=3)
NAMES = {("stage", PROPOSAL): "Proposal", ("stage", WON): "Closed Won", ("person", ANN): "Ann Berg"}


def rule(
    *conditions: tuple[Any, ...], do: Any = ("create_activity", {"subject": "Say hello"}), **more: Any
) -> dict[str, Any]:
    actions = [do] if isinstance(do, tuple) else do
    return {
        "entity_type": "Deal",
        "trigger_event": "update",
        "fires": "every_time",
        "conditions": [
            dict(zip(("field", "operator", "value"), condition, strict=False)) for condition in conditions
        ],
        "actions": [{"type": kind, "config": config} for kind, config in actions],
        **more,
    }


def said(definition: dict[str, Any]) -> str:
    """The sentence with its values in asterisks."""
    parts = explain.sentence(definition, NAMES)
    return "".join(f"*{part.text}*" if part.is_value else part.text for part in parts)


TO_PROPOSAL = ("stage", "changed_to", str(PROPOSAL))
BIG = ("amount", "greater_than", "100000")


def task(**config: Any) -> tuple[str, dict[str, Any]]:
    return ("create_activity", {"type": "task", "subject": "Call", **config})


TASK = ("create_activity", {"type": "task", "subject": "Send the reference list", "due_in_days": 5})


def test_a_rule_is_a_sentence() -> None:
    assert said(rule(TO_PROPOSAL, BIG, do=TASK)) == (
        "When a deal is updated and the stage changed to *Proposal* and the amount is more than *100,000*, "
        "add a task *Send the reference list* for the owner, due in *5 days*."
    )


EMPTY_PHONE, FROM_ANN = ("entity.phone", "is_empty"), ("assigned_to", "changed_from", str(ANN))


BEFORE_NEW_YEAR = (
    "When a deal is updated and the close date is before *2026-12-31*, the contact’s phone is empty "
    "and the owner changed from *Ann Berg*"
)


@pytest.mark.parametrize(
    ("definition", "beginning"),
    [
        (rule(), "Each time a deal is updated"),
        (rule(BIG), "Each time a deal is updated and the amount is more than *100,000*"),
        (rule(BIG, fires="becomes_true"), "When a deal is updated so that the amount is more than *100,000*"),
        (
            rule(TO_PROPOSAL, fires="becomes_true"),
            "When a deal is updated and the stage changed to *Proposal*",
        ),
        (rule(trigger_event="create", fires="becomes_true"), "When a deal is created"),
        (
            rule(("status", "equals", "open"), trigger_event="delete"),
            "When a deal is deleted and the status is *open*",
        ),
        (
            rule(("status", "not_equals", "closed_won")),
            "Each time a deal is updated and the status is not *won*",
        ),
        (
            rule(("lost_reason", "not_equals", None)),
            "Each time a deal is updated and the lost reason is not empty",
        ),
        (rule(("custom_fields.seats", "changed")), "When a deal is updated and the seats changed"),
        (
            rule(("currency", "equals", "EUR"), BIG),
            "Each time a deal is updated and the currency is *EUR* and the amount is more than *100,000 EUR*",
        ),
        (
            rule(("name", "contains", "VIP"), entity_type="Entity"),
            "Each time a contact is updated and the name contains *VIP*",
        ),
        (
            rule(("type", "one_of", ["task", "email"]), entity_type="Activity", trigger_event="create"),
            "When an activity is created and the type is one of *task, e-mail*",
        ),
        (
            rule(("deal.stage", "equals", str(WON)), entity_type="Activity", trigger_event="create"),
            "When an activity is created and the deal’s stage is *Closed Won*",
        ),
        (
            rule(("expected_close_date", "less_than", "2026-12-31"), EMPTY_PHONE, FROM_ANN),
            BEFORE_NEW_YEAR,
        ),
        (
            rule(("stage", "equals", str(UUID(int=9)))),
            "Each time a deal is updated and the stage is *a stage that is gone*",
        ),
        (rule(("", "", "")), "Each time a deal is updated and *…*"),
        (rule(("amount", "", "")), "Each time a deal is updated and the amount *…*"),
        (rule(("amount", "greater_than", "")), "Each time a deal is updated and the amount is more than *…*"),
        (
            rule(("amount", "less_than", "a lot")),
            "Each time a deal is updated and the amount is less than *a lot*",
        ),
    ],
)
def test_it_begins_with_when_and_if(definition: dict[str, Any], beginning: str) -> None:
    assert said(definition) == f"{beginning}, add a note *Say hello*."


@pytest.mark.parametrize(
    ("actions", "ending"),
    [
        (TASK, "add a task *Send the reference list* for the owner, due in *5 days*"),
        (task(due_in_days="0"), "add a task *Call* for the owner, due *the same day*"),
        (task(due_in_days=1), "add a task *Call* for the owner, due in *1 day*"),
        (task(), "add a task *Call* for the owner"),
        (("create_activity", {}), "add a note *…*"),
        (("update_field", {"field_name": "entity.note", "value": "VIP"}), "set the contact’s note to *VIP*"),
        (("update_field", {"field_name": "lost_reason", "value": None}), "empty *the lost reason*"),
        (("update_field", {"field_name": "assigned_to", "value": str(ANN)}), "give it to *Ann Berg*"),
        (("update_field", {"field_name": "assigned_to"}), "give it to *nobody*"),
        (("update_field", {"field_name": "name", "value": "{deal.name}!"}), "set the name to *‹name›!*"),
        (("update_field", {}), "set *…*"),
        (
            ("create_activity", {"subject": "Call {entity.name}, {deal.nmae}"}),
            "add a note *Call ‹contact’s name›, {deal.nmae}*",
        ),
        (("move_to_stage", {"stage_id": str(WON)}), "move it to *Closed Won*"),
        (("move_to_stage", {}), "move it to *…*"),
        (("send_notification", {}), "notify *the owner, else the admins*"),
        (("send_notification", {"to": "managers", "message": "Look"}), "notify *all managers*: *“Look”*"),
        (("send_notification", {"to": str(UUID(int=9))}), "notify *a person who is gone*"),
        (("", {}), "*…*"),
        ([], "*…*"),
        (
            [("send_notification", {"to": "owner"}), task(), ("move_to_stage", {"stage_id": str(WON)})],
            "notify *the owner*, add a task *Call* for the owner and move it to *Closed Won*",
        ),
    ],
)
def test_it_ends_with_then(actions: Any, ending: str) -> None:
    assert said(rule(TO_PROPOSAL, do=actions)) == (
        f"When a deal is updated and the stage changed to *Proposal*, {ending}."
    )


def test_it_says_what_follows() -> None:
    assert said(rule(stop_after=True)) == "Each time a deal is updated, add a note *Say hello*. Stop here."
    undoes = "Each time a deal is updated, add a note *Say hello*. If that fails, undo the change."
    assert said(rule(on_failure="undo")) == undoes


def test_an_empty_draft_is_a_sentence_too() -> None:
    assert said({}) == "When … …, *…*."


def test_values_know_the_control_that_they_come_from() -> None:
    anchors = [
        part.anchor for part in explain.sentence(rule(TO_PROPOSAL, BIG, do=TASK), NAMES) if part.is_value
    ]
    assert anchors == [
        "conditions-0-value",
        "conditions-1-value",
        "actions-0-subject",
        "actions-0-due_in_days",
    ]


def test_plain_text_has_no_emphasis() -> None:
    assert explain.text([Part("a "), Part("b", is_value=True), Part(".")]) == "a b."


def test_the_writer_decides_how_numbers_look() -> None:
    parts = explain.sentence(
        rule(("currency", "equals", "eur"), BIG), {}, lambda value, currency: f"<{currency}{value}>"
    )
    assert [part.text for part in parts if part.is_value][1] == "<EUR100000>"


KINDS = ("update_field", "create_activity", "send_notification", "move_to_stage", "")
SETTINGS = ("field_name", "value", "subject", "to", "stage_id", "due_in_days", "type")
ANYTHING = (
    st.none()
    | st.text(max_size=8)
    | st.integers()
    | st.booleans()
    | st.lists(st.text(max_size=3), max_size=2)
)


FIELDS = ANYTHING | st.sampled_from(sorted(CATALOG["Deal"]))
CONDITIONS = st.tuples(FIELDS, ANYTHING | st.sampled_from(sorted(OPERATORS)), ANYTHING)
ACTIONS = st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(SETTINGS), ANYTHING))


@given(
    st.sampled_from((*CATALOG, "", None)),
    st.sampled_from(("create", "update", "explode", None)),
    st.lists(CONDITIONS, max_size=2),
    st.lists(ACTIONS, max_size=2),
)
@settings(deadline=None, max_examples=60)
def test_no_definition_is_beyond_words(entity_type: Any, trigger: Any, conditions: Any, actions: Any) -> None:
    definition = rule(*conditions, do=actions, entity_type=entity_type, trigger_event=trigger)
    assert explain.text(explain.sentence(definition, NAMES)).startswith(("When ", "Each time "))


@pytest.mark.parametrize(
    ("definition", "warns"),
    [
        (rule(("status", "equals", "closed_won")), True),
        (rule(do=("send_notification", {})), True),
        (rule(("status", "changed_to", "closed_won")), False),
        (rule(("status", "equals", "closed_won"), fires="becomes_true"), False),
        (rule(trigger_event="create"), False),
        (rule(do=("update_field", {"field_name": "name", "value": "x"})), False),
    ],
)
def test_a_rule_that_adds_something_at_every_edit_is_worth_a_warning(definition: Any, warns: bool) -> None:
    """D32."""
    assert bool(cautions.repeats(definition)) is warns


def sets(field: str, *conditions: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    return rule(*conditions, do=("update_field", {"field_name": field, "value": "x"}), **more)


def moves(*conditions: tuple[Any, ...]) -> dict[str, Any]:
    return rule(*conditions, do=("move_to_stage", {"stage_id": str(WON)}))


NOTES = rule(entity_type="Activity", trigger_event="create")


@pytest.mark.parametrize(
    ("one", "other", "circle"),
    [
        (sets("name", ("amount", "changed")), sets("amount", ("name", "changed")), True),
        (sets("name", ("amount", "changed")), sets("amount", ("lost_reason", "changed")), False),
        (sets("name"), sets("amount"), True),
        (sets("name", ("amount", "changed")), sets("currency", ("name", "changed")), False),
        (moves(("status", "changed")), moves(("stage", "changed")), True),
        (
            sets("entity.note", ("name", "changed")),
            sets("note", ("note", "changed"), entity_type="Entity"),
            False,
        ),
        (NOTES, NOTES, True),
        (moves(("name", "changed")), sets("name", ("stage", "changed_to", str(PROPOSAL))), False),
        (moves(("name", "changed")), sets("name", ("stage", "changed_to", str(WON))), True),
        (sets("name", ("amount", "changed")), sets("amount", ("name", "equals", "other")), False),
        (sets("name", ("amount", "changed")), sets("amount", ("name", "one_of", ["X", "New"])), True),
        (rule(trigger_event="create"), NOTES, False),
        (sets("name", trigger_event="delete"), sets("amount", trigger_event="delete"), False),
    ],
)
def test_rules_that_set_off_each_other_are_worth_a_warning(one: Any, other: Any, circle: bool) -> None:
    found = cautions.circles({PROPOSAL: one, WON: other})
    assert found == ({PROPOSAL: {WON}, WON: {PROPOSAL}} if circle else {})


def test_a_circle_may_go_through_others() -> None:
    rules = {
        PROPOSAL: sets("name", ("amount", "changed")),
        WON: sets("currency", ("name", "changed")),
        ANN: sets("amount", ("currency", "changed")),
    }
    assert cautions.circles(rules) == {one: set(rules) - {one} for one in rules}


def test_what_a_rule_does_is_gone_through_once_for_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    writes = cautions._writes
    monkeypatch.setattr(cautions, "_writes", lambda *given: read.append(given) or writes(*given))
    cautions.circles({UUID(int=number): sets("name", ("amount", "changed")) for number in range(20)})
    assert len(read) == 20 * len(ENTITY_TYPES)


# Triggers and groups -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "config", "beginning"),
    [
        ("stage_changed", {}, "When a deal moves to another stage"),
        ("stage_changed", {"to": str(WON)}, "When a deal moves to *Closed Won*"),
        ("stage_changed", {"from": str(PROPOSAL)}, "When a deal leaves *Proposal*"),
        ("stage_changed", {"from": str(PROPOSAL), "to": str(WON)}, "When a deal moves from *Proposal* to *Closed Won*"),
        ("days_in_stage", {"days": 10}, "When a deal has been in its stage for *10 days*"),
        ("days_in_stage", {"days": "1", "stage": str(WON)}, "When a deal has been in *Closed Won* for *1 day*"),
        ("no_activity", {"days": 7}, "When nothing has happened on a deal for *7 days*"),
        ("date_reached", {"days": 3, "field": "expected_close_date", "side": "before"},
         "*3 days* before *the close date* of a deal"),
        ("date_reached", {"days": 0, "field": "closed_date"}, "On *the closing day* of a deal"),
        ("date_reached", {}, "*…* after *…* of a deal"),
    ],
)  # fmt: skip
def test_each_trigger_begins_the_sentence_in_its_own_words(trigger: str, config: Any, beginning: str) -> None:
    assert said(rule(trigger_event=trigger, trigger_config=config)) == f"{beginning}, add a note *Say hello*."


def test_a_date_is_followed_by_if() -> None:
    days = {"days": 0, "field": "closed_date"}
    assert said(rule(BIG, trigger_event="date_reached", trigger_config=days)).startswith(
        "On *the closing day* of a deal if the amount is more than *100,000*, "
    )


def group(match: str, *conditions: tuple[Any, ...]) -> dict[str, Any]:
    return {"match": match, "conditions": rule(*conditions)["conditions"]}


OWNED = ("assigned_to", "equals", str(ANN))
EMPTY = ("expected_close_date", "is_empty")


@pytest.mark.parametrize(
    ("match", "parts", "words"),
    [
        ("any", [BIG, OWNED], "either the amount is more than *100,000* or the owner is *Ann Berg*"),
        ("all", [BIG, group("any", OWNED, EMPTY)],
         "the amount is more than *100,000* and either the owner is *Ann Berg* or the close date is empty"),
        ("any", [BIG, group("all", OWNED, EMPTY)],
         "either the amount is more than *100,000* or both the owner is *Ann Berg* and the close date is empty"),
        ("all", [group("any", OWNED)], "the owner is *Ann Berg*"),
    ],
)  # fmt: skip
def test_groups_read_as_either_and_both(match: str, parts: list[Any], words: str) -> None:
    conditions = [part if isinstance(part, dict) else rule(part)["conditions"][0] for part in parts]
    written = {**rule(trigger_event="create"), "match": match, "conditions": conditions}
    assert said(written) == f"When a deal is created and {words}, add a note *Say hello*."


def test_a_value_in_a_group_leads_to_its_control() -> None:
    written = {**rule(), "conditions": [group("any", OWNED, BIG), *rule(BIG)["conditions"]]}
    anchors = [part.anchor for part in explain.sentence(written, NAMES) if part.is_value]
    assert anchors[:3] == ["conditions-0-value", "groups-0-conditions-0-value", "groups-0-conditions-1-value"]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"to": str(ANN)}, "give it to *Ann Berg*"),
        ({"way": "in_turn", "people": [str(ANN)]}, "give it in turn to *Ann Berg*"),
        ({"way": "in_turn"}, "give it in turn to *all active people*"),
        ({}, "give it to *…*"),
    ],
)
def test_an_assignment_says_to_whom(config: Any, words: str) -> None:
    assert said(rule(do=("assign", config), trigger_event="create")) == f"When a deal is created, {words}."


def test_a_change_asked_for_in_any_of_several_is_not_asked_for_in_all() -> None:
    changed = rule(("amount", "changed"))["conditions"][0]
    big = rule(BIG)["conditions"][0]
    assert explain.changes_only({"conditions": [changed, big], "match": "all"})
    assert not explain.changes_only({"conditions": [changed, big], "match": "any"})
    assert not explain.changes_only({"conditions": [{"match": "any", "conditions": [changed, big]}]})


WINS = rule(do=("move_to_stage", {"stage_id": str(WON)}))
FIVE = ("update_field", {"field_name": "amount", "value": "5.00"})
CALLS = rule(("type", "equals", "call"), entity_type="Activity", trigger_event="create")


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (rule(do=("update_field", {"field_name": "amount", "value": 1})), rule(BIG), ["the amount"]),
        (WINS, rule(("stage", "changed"), ("status", "changed")), ["the stage"]),
        (WINS, rule(TO_PROPOSAL, ("status", "changed")), []),
        (rule(do=("create_activity", {"type": "task", "subject": "Call"})), CALLS, []),
        (rule(do=FIVE), rule(("amount", "equals", "5")), ["the amount"]),
        (WINS, rule(trigger_event="stage_changed"), ["the stage"]),
        (rule(do=("assign", {"to": str(ANN)})), rule(OWNED), ["the owner"]),
        (rule(), rule(entity_type="Activity", trigger_event="create"), ["an activity"]),
        (rule(do=("update_field", {"field_name": "name", "value": "x"})), rule(BIG), []),
        (rule(), rule(trigger_event="no_activity"), []),
    ],
)  # fmt: skip
def test_what_one_rule_does_that_another_looks_at_is_named(one: Any, other: Any, words: list[str]) -> None:
    assert cautions.fed(one, other) == words
