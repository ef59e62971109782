"""Pipelines and stages through their pages: made, arranged, archived with their deals, by several people at once."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from crmweb import changes
from crmweb.errors import InvalidStageTransitionError
from crmweb.extensions import db
from crmweb.models import (
    Activity,
    Change,
    Deal,
    Pipeline,
    RuleRun,
    Stage,
    StageChange,
    StageTotal,
    User,
    arranging,
)
from crmweb.models.stage import COLORS
from tests.support.deals import steps
from tests.support.factories import make_deal, make_entity, make_pipeline, make_rule, save
from tests.support.forms import form_at, read
from tests.support.gates import gate
from tests.support.outside import Browser, apart
from tests.support.people import sign_in
from tests.support.routes import Contents

NOTHING_FITS = [
    ("name", "", "Name is missing."),
    ("name", " \t ", "Name is missing."),
    ("name", "x" * 10_000, "Name has 10000 characters; at most 100 fit."),
    ("name", "a\x00b", "Name contains a character that cannot be stored."),
    ("name", "QUALIFIED", "This pipeline has a stage called QUALIFIED already."),
    ("probability", "", "How likely is it won from here? Write 0 to 100."),
    ("probability", "101", "Between 0 and 100 per cent."),
    ("probability", "-5", "Between 0 and 100 per cent."),
    ("probability", "1e400", "“1e400” is not a number. Write it like 50,000."),
    ("probability", "nan", "“nan” is not a number. Write it like 50,000."),
    ("status", "asleep", "“asleep” is not one of open, closed_won, closed_lost."),
    ("color", "pink", f"“pink” is not one of {', '.join(COLORS)}."),
    ("description", "x" * 5001, "Description has 5001 characters; at most 5000 fit."),
]


@pytest.fixture
def mareks(app: Flask, marek: User) -> Browser:
    """Marek's browser."""
    return sign_in(app.test_client(), marek)


@pytest.fixture
def anns(app: Flask, ann: User) -> Browser:
    """Ann's browser."""
    return sign_in(app.test_client(), ann)


def row(stages: dict[str, Stage]) -> list[str]:
    """The names of the pipeline's stages from left to right."""
    return [stage.name for stage in arranging.stages_in_order(db.session(), stages["Lead"].pipeline_id)]


def stored(stage: Stage) -> Stage:
    return db.session.get_one(Stage, stage.id, populate_existing=True)


def settings(stages: dict[str, Stage]) -> str:
    return f"/pipelines/{stages['Lead'].pipeline_id}/settings"


# Pipelines --------------------------------------------------------------------------------------------------------


def test_a_pipeline_is_made_with_the_usual_stages(mareks: Browser) -> None:
    answer = form_at(mareks, "/pipelines/new").send(mareks, name="Partners", description="Who sells for us")
    made = db.session.scalars(select(Pipeline)).one()
    stages = arranging.stages_in_order(db.session(), made.id)
    assert answer.location == f"/pipelines/{made.id}/settings"
    assert (made.name, made.description, made.is_active) == ("Partners", "Who sells for us", True)
    assert [(stage.name, stage.probability, stage.status) for stage in stages] == [
        ("Lead", 10, "open"), ("Qualified", 25, "open"), ("Proposal", 50, "open"), ("Negotiation", 75, "open"),
        ("Closed Won", 100, "closed_won"), ("Closed Lost", 0, "closed_lost"),
    ]  # fmt: skip


def test_or_with_the_stages_of_another_one(mareks: Browser) -> None:
    other = make_pipeline("Renewals", (("Due", 70, "open"), ("Done", 100, "closed_won")))
    form_at(mareks, "/pipelines/new").send(mareks, name="Partners", begin_with=other["Due"].pipeline_id)
    made = db.session.scalars(select(Pipeline).where(Pipeline.name == "Partners")).one()
    assert [stage.name for stage in arranging.stages_in_order(db.session(), made.id)] == ["Due", "Done"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "Name is missing."),
        ("name", "x" * 10_000, "Name has 10000 characters; at most 200 fit."),
        ("name", "a\x00b", "Name contains a character that cannot be stored."),
        ("name", "SALES pipeline", "There is a pipeline called SALES pipeline already."),
        ("name", "old", "There is a pipeline called old already. It is archived."),
        ("description", "x" * 5001, "Description has 5001 characters; at most 5000 fit."),
        ("begin_with", "banana", "Choose one of these."),
    ],
    ids=lambda part: str(part)[:20],
)
def test_a_pipeline_that_cannot_be_is_refused_beside_the_field(
    mareks: Browser, stages: dict[str, Stage], field: str, value: str, words: str
) -> None:
    make_pipeline("Old", is_active=False)
    form = form_at(mareks, "/pipelines/new")
    before = Contents()
    answer = form.send(mareks, **{"name": "Partners", field: value})
    assert answer.status_code == 422
    assert read(answer).errors == {field: words}
    before.check("a refused pipeline")


def test_two_who_take_one_name_at_once_are_told_in_words(mareks: Browser, anns: Browser) -> None:
    tries = [(browser, form_at(browser, "/pipelines/new")) for browser in (mareks, anns)]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda one: one[1].send(one[0], name="Partners"), tries))
    assert sorted(answer.status_code for answer in answers) == [303, 422]
    assert db.session.scalar(select(func.count()).select_from(Pipeline)) == 1


def test_a_pipeline_is_renamed_and_described(mareks: Browser, stages: dict[str, Stage]) -> None:
    form_at(mareks, settings(stages)).send(mareks, name="New business", description="First orders")
    now = db.session.get_one(Pipeline, stages["Lead"].pipeline_id, populate_existing=True)
    assert (now.name, now.description) == ("New business", "First orders")
    assert form_at(mareks, settings(stages)).send(mareks, name="NEW BUSINESS").status_code == 303, (
        "its own name is free"
    )


def test_two_changes_of_one_field_are_asked_about(
    mareks: Browser, anns: Browser, stages: dict[str, Stage]
) -> None:
    mine, theirs = (form_at(browser, settings(stages)) for browser in (mareks, anns))
    theirs.send(anns, name="Theirs")
    asked = mine.send(mareks, name="Mine")
    assert asked.status_code == 409
    assert "Ann Berg changed the name to <b>Theirs</b>" in asked.text
    assert read(asked).form("/settings").send(mareks, keep_name="yours").status_code == 303


def pipelines_in(page: str) -> list[str]:
    return re.findall(r'<h2><a href="/pipelines/[^"]+/settings">([^<]+)</a></h2>', page)


def test_pipelines_are_put_in_order(mareks: Browser) -> None:
    made = [make_pipeline(name)["Lead"].pipeline_id for name in ("A", "B", "C")]
    mareks.post(f"/pipelines/{made[2]}/place", data={"by": "-1"})
    assert pipelines_in(mareks.get("/pipelines").text) == ["A", "C", "B"]
    mareks.post(f"/pipelines/{made[0]}/place", data={"by": "1"})
    assert pipelines_in(mareks.get("/pipelines").text) == ["C", "A", "B"]
    before = Contents()
    mareks.post(f"/pipelines/{made[2]}/place", data={"by": "-1"})
    before.check("the first one cannot go up")
    assert mareks.post(f"/pipelines/{made[2]}/place", data={"by": "7"}).status_code == 422
    assert mareks.get("/").location == f"/pipelines/{made[2]}", "the first is where people begin"


def test_an_archived_pipeline_is_hidden_and_comes_back(mareks: Browser, stages: dict[str, Stage]) -> None:
    deal = make_deal(stages["Lead"])
    other = make_pipeline("Renewals")
    url = f"/pipelines/{stages['Lead'].pipeline_id}"
    assert "1 deal is still open in it; it stays where it is." in mareks.get(f"{url}/archiving").text
    form_at(mareks, f"{url}/archiving").send(mareks)
    assert url not in mareks.get(f"/pipelines/{other['Lead'].pipeline_id}").text
    assert mareks.post(f"/deals/{deal.id}/stage", data={"stage_id": stages["Proposal"].id}).status_code == 422
    assert mareks.get(f"/deals/{deal.id}").status_code == 200
    read(mareks.get("/pipelines")).form(f"{url}/restoring").send(mareks)
    assert pipelines_in(mareks.get("/pipelines").text) == ["Renewals", "Sales Pipeline"], "it comes back last"
    assert mareks.post(f"/deals/{deal.id}/stage", data={"stage_id": stages["Proposal"].id}).status_code == 303


def test_the_last_pipeline_in_use_stays(mareks: Browser, stages: dict[str, Stage]) -> None:
    before = Contents()
    refused = mareks.post(f"/pipelines/{stages['Lead'].pipeline_id}/archiving")
    assert refused.status_code == 422
    assert "This is the only pipeline in use." in refused.text
    before.check("a refused archiving")


# Stages -----------------------------------------------------------------------------------------------------------


def test_a_new_stage_comes_behind_the_open_ones(mareks: Browser, stages: dict[str, Stage]) -> None:
    form = form_at(mareks, f"/pipelines/{stages['Lead'].pipeline_id}/stages/new")
    form.send(mareks, name="Contract", probability="87.5 %", color="orange", description="Sent, not signed")
    form.send(mareks, name="Gave up", probability="0", status="closed_lost")
    assert row(stages) == [
        "Lead", "Qualified", "Proposal", "Negotiation", "Contract", "Closed Won", "Closed Lost", "Gave up",
    ]  # fmt: skip
    made = db.session.scalars(select(Stage).where(Stage.name == "Contract")).one()
    assert (made.probability, made.color, made.status, made.description) == (
        87.5,
        "orange",
        "open",
        "Sent, not signed",
    )
    assert "Contract" in mareks.get(f"/pipelines/{made.pipeline_id}").text


@pytest.mark.parametrize(("field", "value", "words"), NOTHING_FITS, ids=lambda part: str(part)[:20])
@pytest.mark.parametrize("which", ["new", "edit"])
def test_a_stage_that_cannot_be_is_refused_beside_the_field(
    mareks: Browser, stages: dict[str, Stage], which: str, field: str, value: str, words: str
) -> None:
    new, edit = f"/pipelines/{stages['Lead'].pipeline_id}/stages/new", f"/stages/{stages['Lead'].id}/edit"
    form = form_at(mareks, new if which == "new" else edit)
    before = Contents()
    answer = form.send(mareks, **{"name": "Contract", "probability": "80", field: value})
    assert answer.status_code == 422
    assert read(answer).errors == {field: words}
    before.check("a refused stage")


def test_a_stage_is_changed_and_the_board_shows_it(mareks: Browser, stages: dict[str, Stage]) -> None:
    form_at(mareks, f"/stages/{stages['Proposal'].id}/edit").send(
        mareks, name="Offer", probability="55", color="rose"
    )
    now = stored(stages["Proposal"])
    assert (now.name, now.probability, now.color) == ("Offer", 55, "rose")
    board = mareks.get(f"/pipelines/{now.pipeline_id}").text
    assert ">Offer</a></h2>" in board
    assert "55%" in board


def test_two_changes_of_a_stage_are_asked_about(
    mareks: Browser, anns: Browser, stages: dict[str, Stage]
) -> None:
    mine, theirs = (form_at(browser, f"/stages/{stages['Lead'].id}/edit") for browser in (mareks, anns))
    theirs.send(anns, probability="15")
    asked = mine.send(mareks, probability="20", name="Interest")
    assert asked.status_code == 409
    assert "Ann Berg changed the chance to win to <b>15</b>" in asked.text
    read(asked).form("/edit").send(mareks, keep_probability="theirs")
    now = stored(stages["Lead"])
    assert (now.name, now.probability) == ("Interest", 15)


def test_stages_are_put_in_order(mareks: Browser, stages: dict[str, Stage]) -> None:
    home = mareks.get(settings(stages))
    read(home).form(f"/stages/{stages['Proposal'].id}/place").send(mareks, by="-1")
    assert row(stages)[:3] == ["Lead", "Proposal", "Qualified"]
    told = select(Change.field, Change.old, Change.new).where(
        Change.record_id == stages["Proposal"].id, Change.old.is_not(None)
    )
    assert [tuple(change) for change in db.session.execute(told)] == [("order", 3, 2)]
    before = Contents()
    mareks.post(f"/stages/{stages['Lead'].id}/place", data={"by": "-1"})
    before.check("the first one cannot go left")
    assert mareks.post(f"/stages/{stages['Lead'].id}/place", data={"by": "banana"}).status_code == 422


def test_many_who_arrange_at_once_lose_no_stage(app: Flask, marek: User, stages: dict[str, Stage]) -> None:
    browsers = [sign_in(app.test_client(), marek) for _ in range(4)]
    moves = [
        (stages[name].id, by) for name in ("Lead", "Proposal", "Closed Lost") for by in ("1", "-1", "1", "-1")
    ]

    def shift(turn: int) -> int:
        stage_id, by = moves[turn]
        return browsers[turn % 4].post(f"/stages/{stage_id}/place", data={"by": by}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(shift, range(len(moves)))) == {303}
    assert sorted(row(stages)) == sorted(stages)
    orders = db.session.scalars(select(Stage.order).order_by(Stage.order)).all()
    assert orders == [1, 2, 3, 4, 5, 6]


def test_a_stage_with_deals_stays_open_won_or_lost(
    mareks: Browser, stages: dict[str, Stage], marek: User
) -> None:
    deal = make_deal(stages["Proposal"])
    form = form_at(mareks, f"/stages/{stages['Proposal'].id}/edit")
    before = Contents()
    refused = form.send(mareks, status="closed_won")
    assert refused.status_code == 422
    assert read(refused).errors == {
        "status": "Proposal holds 1 deal. Only an empty stage can change between open, won and lost."
    }
    before.check("a refused status")
    changes.commit(lambda session: Deal.locked(session, deal.id).delete(marek), by=marek)
    assert "holds 1 deleted one that can still come back" in form.send(mareks, status="closed_won").text
    assert (
        form_at(mareks, f"/stages/{stages['Qualified'].id}/edit")
        .send(mareks, status="closed_won")
        .status_code
        == 303
    )


def test_a_pipeline_keeps_an_open_stage(mareks: Browser) -> None:
    stages = make_pipeline("Short", (("Lead", 10, "open"), ("Won", 100, "closed_won")))
    words = "A pipeline keeps at least one open stage, for its new deals."
    before = Contents()
    closed = form_at(mareks, f"/stages/{stages['Lead'].id}/edit").send(mareks, status="closed_lost")
    assert (closed.status_code, read(closed).errors) == (422, {"status": words})
    archived = mareks.post(f"/stages/{stages['Lead'].id}/archiving")
    assert (archived.status_code, read(archived).alerts) == (422, [words])
    before.check("the only open stage")


def test_an_empty_stage_is_archived_and_lets_go_of_its_name_and_place(
    mareks: Browser, stages: dict[str, Stage]
) -> None:
    form_at(mareks, f"/stages/{stages['Proposal'].id}/archiving").send(mareks)
    assert row(stages) == ["Lead", "Qualified", "Negotiation", "Closed Won", "Closed Lost"]
    form = form_at(mareks, f"/pipelines/{stages['Lead'].pipeline_id}/stages/new")
    assert form.send(mareks, name="Proposal", probability="50").status_code == 303
    assert row(stages) == ["Lead", "Qualified", "Negotiation", "Proposal", "Closed Won", "Closed Lost"]
    refused = mareks.post(f"/stages/{stages['Proposal'].id}/restoring")
    assert refused.status_code == 303
    assert (
        "This pipeline has a stage called Proposal already. Rename one of the two first."
        in mareks.get(settings(stages)).text
    )
    form_at(mareks, f"/stages/{stages['Proposal'].id}/edit").send(mareks, name="Offer")
    mareks.post(f"/stages/{stages['Proposal'].id}/restoring")
    assert row(stages) == [
        "Lead",
        "Qualified",
        "Negotiation",
        "Proposal",
        "Offer",
        "Closed Won",
        "Closed Lost",
    ]


def test_archiving_a_stage_names_the_running_rules_that_point_to_it(
    mareks: Browser, stages: dict[str, Stage]
) -> None:
    there = {"type": "move_to_stage", "config": {"stage_id": str(stages["Proposal"].id)}}
    reached = {"field": "stage", "operator": "changed_to", "value": str(stages["Proposal"].id)}
    make_rule("Park", actions=[there])
    make_rule("Off", actions=[there], is_active=False)
    assert (
        "The rule “Park” points to this stage."
        in mareks.get(f"/stages/{stages['Proposal'].id}/archiving").text
    )
    make_rule("Chase", trigger_event="update", conditions=[reached])
    assert "The rules “Park”, “Chase” point" in mareks.get(f"/stages/{stages['Proposal'].id}/archiving").text
    assert "point to this stage" not in mareks.get(f"/stages/{stages['Lead'].id}/archiving").text


def test_archiving_a_stage_with_deals_asks_where_they_go(mareks: Browser, stages: dict[str, Stage]) -> None:
    make_deal(stages["Proposal"])
    make_deal(stages["Proposal"])
    page = mareks.get(f"/stages/{stages['Proposal'].id}/archiving")
    form = read(page).form("/archiving")
    assert "2 deals are in Proposal. Where should they go?" in page.text
    assert form.fields["to_id"] == str(stages["Negotiation"].id), "the next stage is proposed"
    elsewhere = make_pipeline("Renewals")["Lead"].id
    before = Contents()
    for target in (None, "", "banana", elsewhere, stages["Proposal"].id):
        refused = form.send(mareks, to_id=target or "")
        assert refused.status_code == 422, target
        assert read(refused).alerts == ["Choose where the deals go."]
    before.check("archiving without a place for the deals")


def test_its_deals_move_with_note_history_and_rules_and_keep_their_order(
    mareks: Browser, stages: dict[str, Stage], marek: User, priya: User
) -> None:
    below = make_deal(stages["Negotiation"], "Was there before")
    deals = [make_deal(stages["Proposal"], f"Deal {number}", owner=priya) for number in range(3)]
    rule = make_rule(
        "Welcome",
        trigger_event="update",
        conditions=[{"field": "stage", "operator": "changed", "value": None}],
    )
    form = form_at(mareks, f"/stages/{stages['Proposal'].id}/archiving")
    answer = form.send(mareks, to_id=stages["Negotiation"].id)
    assert "“Proposal” is archived. 3 deals are in Negotiation now." in mareks.get(answer.location).text
    in_order = select(Deal).where(Deal.stage_id == stages["Negotiation"].id).order_by(Deal.position, Deal.id)
    assert [deal.name for deal in db.session.scalars(in_order)] == [
        "Deal 2",
        "Deal 1",
        "Deal 0",
        "Was there before",
    ]
    for deal in deals:
        notes = db.session.scalars(
            select(Activity).where(Activity.deal_id == deal.id, Activity.kind == "audit")
        ).all()
        _, moved = steps(deal)
        assert [(note.subject, note.description, note.author_id) for note in notes] == [
            ("Deal moved: Proposal → Negotiation", "The stage Proposal was archived", marek.id)
        ]
        assert (moved.cause, moved.by_id) == ("person", marek.id)
    assert moved.change_set_id is not None
    assert (
        len(
            {
                step.change_set_id
                for step in db.session.scalars(
                    select(StageChange).where(StageChange.from_stage_id.is_not(None))
                )
            }
        )
        == 1
    )
    assert db.session.scalar(select(func.count()).where(RuleRun.rule_id == rule.id)) == 3
    totals = select(StageTotal.stage_id, func.sum(StageTotal.deal_count)).group_by(StageTotal.stage_id)
    counts = {row[0]: row[1] for row in db.session.execute(totals)}
    assert (counts[stages["Proposal"].id], counts[stages["Negotiation"].id]) == (0, 4)
    assert below.id


def test_no_deal_is_left_behind_in_a_stage_that_is_archived_at_the_same_moment(
    app: Flask, stages: dict[str, Stage], marek: User
) -> None:
    entity, lead = make_entity(), stages["Lead"].id
    target, has_looked, is_archived = stages["Qualified"].id, threading.Event(), threading.Event()

    def add() -> str:
        def work(session: Any) -> None:
            stage = session.get(Stage, lead)
            has_looked.set()
            is_archived.wait(1)  # On SQLite the other one cannot begin before this one is done.
            session.add(Deal(name="Last minute", stage=stage, entity_id=entity.id))

        with app.app_context():
            try:
                changes.commit(work, by=marek)
            except InvalidStageTransitionError as refused:
                return str(refused)
            return "added"

    def archive() -> None:
        has_looked.wait(10)
        with app.app_context():
            changes.commit(lambda session: arranging.archive_stage(session, lead, target, marek), by=marek)
        is_archived.set()

    with ThreadPoolExecutor(2) as pool:
        said, done = pool.submit(apart, add), pool.submit(apart, archive)
        done.result(20)
    assert said.result() in (
        "added",
        "This stage was changed at the same moment and takes no deals. Load the board again.",
    )
    left = select(func.count()).select_from(Deal).join(Stage).where(Stage.is_archived)
    assert db.session.scalar(left) == 0


def test_many_deals_leave_a_stage_in_one_change(app: Flask, stages: dict[str, Stage], marek: User) -> None:
    entity = make_entity()
    save(*(Deal(name=f"Deal {number}", entity=entity, stage=stages["Lead"]) for number in range(300)))
    moved = changes.commit(
        lambda session: arranging.archive_stage(session, stages["Lead"].id, stages["Qualified"].id, marek),
        by=marek,
    )
    assert moved == 300


def test_reps_arrange_nothing(app: Flask, priya: User, stages: dict[str, Stage]) -> None:
    browser, pipeline = sign_in(app.test_client(), priya), stages["Lead"].pipeline_id
    before = Contents()
    for path in (
        "/pipelines",
        "/pipelines/new",
        f"/pipelines/{pipeline}/settings",
        f"/stages/{stages['Lead'].id}/edit",
    ):
        assert browser.get(path).status_code == 403
    for path in (
        f"/pipelines/{pipeline}/place",
        f"/stages/{stages['Lead'].id}/archiving",
        f"/pipelines/{pipeline}/archiving",
    ):
        assert browser.post(path, data={"by": "1"}).status_code == 403
    before.check("a rep")


def test_names_are_text_never_markup(mareks: Browser, stages: dict[str, Stage]) -> None:
    script = "<script>alert(1)</script>"
    form_at(mareks, f"/stages/{stages['Lead'].id}/edit").send(mareks, name=script, description=script)
    form_at(mareks, settings(stages)).send(mareks, name=script)
    pages = (
        "/pipelines",
        settings(stages),
        f"/pipelines/{stages['Lead'].pipeline_id}",
        "/deals/new",
        "/pipelines/new",
    )
    for url in (*pages, f"/stages/{stages['Lead'].id}/archiving"):
        page = mareks.get(url).text
        assert script not in page, url
        assert "&lt;script&gt;alert(1)" in page, url


# What stages ask for, and how many deals they hold ---------------------------------------------------------------


def test_a_stages_rules_are_set_on_its_page_and_told_in_the_list(
    mareks: Browser, stages: dict[str, Stage]
) -> None:
    stage = stages["Proposal"]
    make_deal(stage)
    form = form_at(mareks, f"/stages/{stage.id}/edit")
    rules = {"max_deals": "8", "limit_mode": "hard", "rot_days": "10"}
    form.fields.setlist("required_fields", ["expected_close_date", "amount", " contract_no,, region "])
    assert form.send(mareks, **rules).status_code == 303
    stored = db.session.get_one(Stage, stage.id, populate_existing=True)
    assert (stored.max_deals, stored.limit_mode, stored.rot_days) == (8, "hard", 10)
    asked = ["amount", "expected_close_date", "custom_fields.contract_no", "custom_fields.region"]
    assert stored.required_fields == asked
    page = mareks.get(f"/pipelines/{stage.pipeline_id}/settings").text
    assert (
        "Needs an amount, a close date, “contract_no”, “region” · At most 8, refuses more · Quiet after 10 d"
        in page
    )
    assert "1 of 8 deals" in page
    again = form_at(mareks, f"/stages/{stage.id}/edit")
    assert again.fields.getlist("required_fields")[-1] == "contract_no, region"
    contents = Contents()
    again.fields.setlist("required_fields", ["amount", "expected_close_date", "contract_no, region"])
    assert again.send(mareks).status_code == 303
    contents.check("an untouched form")


def test_nothing_ticked_asks_for_nothing(mareks: Browser, stages: dict[str, Stage]) -> None:
    stage = stages["Proposal"]
    gate(stage, required_fields=["amount"], max_deals=3)
    form = form_at(mareks, f"/stages/{stage.id}/edit")
    form.fields.setlist("required_fields", [""])
    form.send(mareks, max_deals="")
    stored = db.session.get_one(Stage, stage.id, populate_existing=True)
    assert (stored.required_fields, stored.max_deals) == ([], None)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("max_deals", "0", "From 1 to 1,000,000."),
        ("max_deals", "2.5", "Whole numbers only."),
        ("max_deals", "few", "“few” is not a number. Write it like 50,000."),
        ("rot_days", "-3", "From 1 to 3,650."),
        ("rot_days", "9999", "From 1 to 3,650."),
        ("limit_mode", "firm", "“firm” is not one of soft, hard."),
        ("required_fields", "x" * 101, f"A stage cannot ask for “custom_fields.{'x' * 101}”."),
    ],
)
def test_a_limit_that_is_none_is_said_beside_its_field(
    mareks: Browser, stages: dict[str, Stage], field: str, typed: str, said: str
) -> None:
    contents = Contents()
    answer = form_at(mareks, f"/stages/{stages['Lead'].id}/edit").send(mareks, **{field: typed})
    assert answer.status_code == 422
    assert read(answer).errors[field].startswith(said)
    contents.check("a refused form")


def test_two_people_change_what_a_stage_asks_for(
    mareks: Browser, anns: Browser, stages: dict[str, Stage]
) -> None:
    url = f"/stages/{stages['Lead'].id}/edit"
    first, second = form_at(mareks, url), form_at(anns, url)
    second.send(anns, required_fields="amount")
    answer = first.send(mareks, required_fields="assigned_to")
    assert answer.status_code == 409
    assert "Ann Berg changed the fields it asks for to <b>an amount</b>" in answer.text
    assert "Yours: <b>an owner</b>" in answer.text


def test_a_pipeline_asks_why_deals_are_lost(mareks: Browser, stages: dict[str, Stage]) -> None:
    pipeline = stages["Lead"].pipeline
    url = f"/pipelines/{pipeline.id}/settings"
    form = form_at(mareks, url)
    assert (
        form.send(mareks, asks_lost_reason="y", lost_reasons="Price\r\n\r\n price \nNo budget").status_code
        == 303
    )
    stored = db.session.get_one(Pipeline, pipeline.id, populate_existing=True)
    assert (stored.asks_lost_reason, stored.lost_reasons) == (True, ["Price", "No budget"])
    again = form_at(mareks, url)
    assert again.fields["lost_reasons"] == "Price\nNo budget"
    again.send(mareks, asks_lost_reason="")
    assert not db.session.get_one(Pipeline, pipeline.id, populate_existing=True).asks_lost_reason


def test_too_many_reasons_are_refused(mareks: Browser, pipeline: Pipeline) -> None:
    form = form_at(mareks, f"/pipelines/{pipeline.id}/settings")
    answer = form.send(mareks, lost_reasons="\n".join(map(str, range(31))))
    assert read(answer).errors == {"lost_reasons": "31 reasons; at most 30 fit."}


def test_stages_of_another_pipeline_are_copied_with_their_rules(
    mareks: Browser, stages: dict[str, Stage]
) -> None:
    gate(stages["Proposal"], required_fields=["amount"], max_deals=4, limit_mode="hard", rot_days=9)
    form_at(mareks, "/pipelines/new").send(mareks, name="Second", begin_with=stages["Lead"].pipeline_id)
    copy = db.session.scalars(
        select(Stage).join(Pipeline).where(Pipeline.name == "Second", Stage.name == "Proposal")
    ).one()
    assert (copy.required_fields, copy.max_deals, copy.limit_mode, copy.rot_days) == (
        ["amount"],
        4,
        "hard",
        9,
    )
