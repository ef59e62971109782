"""Trying a rule on a record: the real engine does it all, and all of it is taken back. Nothing is saved or sent.

A rule waits for something to happen; a trial lets it happen: the deal moves to the stage that the rule waits for, the
field becomes what it has to become. What was assumed is said in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, ledger, workflow
from crmweb.ledger import Ledger
from crmweb.models import Deal, Stage, WorkflowRule
from crmweb.models.locking import locked
from crmweb.models.user import Author
from crmweb.models.workflow_rule import DEFINITION
from crmweb.queries import runs
from crmweb.workflow import catalog, kinds, snapshots
from crmweb.workflow.explain import CHANGES
from crmweb.workflow.parts import in_order
from crmweb.workflow.triggers import TRIGGERS
from crmweb.workflow.why import Look

Definition = Mapping[str, Any]
PRESENT = {
    "added": "add", "changed": "change", "emptied": "empty", "notified": "notify", "moved": "move", "gave": "give",
    "left": "leave",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would do to a record. `look`: what its conditions saw, None when it would not even look.

    `outcome`: acted, failed, cut, or "" when it would not act; `effects` say in words what would be different, `error`
    why it failed or was cut. `assumed`: what was let happen for it; `others`: what other rules would do then.
    """

    look: Look | None
    outcome: str = ""
    effects: list[str] = field(default_factory=list)
    error: str = ""
    assumed: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)


def dry_run(
    definition: Definition, record_id: UUID, *, by: Author, rule_id: UUID | None = None,
    happening: Callable[[Session], Any] | None = None,
) -> Trial:  # fmt: skip
    """What a rule of this `definition` would do to the record now; `rule_id` names the stored rule that it would be.

    `happening` is what happens to the record (as `work` of `changes.commit`); without it what the rule waits for.

    Raises FieldError when the rule cannot be saved as it is, NotFoundError when the record is not there.
    """
    found: dict[str, Any] = {}

    def work(session: Session) -> None:
        rule = _rule(session, definition, rule_id)
        names = {str(key): name for key, name in session.execute(select(WorkflowRule.id, WorkflowRule.name))}
        found.update(rule=rule.id, names=names, assumed=[])
        record = locked(session, rule.entity_type, record_id)
        if happening is None:
            found["assumed"] = _let_happen(session, rule, record, by)
        else:
            happening(session)

    _, noted = changes.rehearse(work, by=by)
    return _trial(noted, record_id, **found)


def _rule(session: Session, definition: Definition, rule_id: UUID | None) -> WorkflowRule:
    """The rule as it would be, switched on."""
    given = {name: definition[name] for name in DEFINITION if name in definition}
    rule = session.get(WorkflowRule, rule_id, populate_existing=True) if rule_id else None
    if rule is None:
        rule = WorkflowRule(**given)
        session.add(rule)
    else:
        for name, value in given.items():
            setattr(rule, name, value)
    rule.is_active, rule.paused_at, rule.archived_at = True, None, None
    session.flush()
    return rule


def _let_happen(session: Session, rule: WorkflowRule, record: Any, by: Author) -> list[str]:
    """What the rule waits for happens to the record; answers it in words."""
    now = ledger.of(session)
    assert now is not None
    trigger = TRIGGERS[rule.trigger_event]
    if trigger.is_time:
        workflow.meet(session, now, rule.id, record)
        return ["It is time."]
    if rule.trigger_event == "create":
        now.touch(record, "create")
        return ["It was just made."]
    if rule.trigger_event == "delete":
        record.delete(by)
        session.flush()
        return ["It is deleted."]
    return list(_changed(session, rule, record, by, now))


def _changed(session: Session, rule: WorkflowRule, record: Any, by: Author, now: Ledger) -> Iterator[str]:
    """The record changes as the rule waits for it: it becomes what it has to become, or just did so."""
    wanted: list[Definition] = [
        {"field": part.field, "operator": part.operator, "value": getattr(part.value, "id", None)}
        for part in TRIGGERS[rule.trigger_event].only(rule.trigger_config)
    ]
    wanted += [part for part in in_order(rule.conditions) if part.get("operator") in CHANGES]
    reader = snapshots.Reader(session, record, rule.entity_type)
    for part in wanted:
        if part["operator"] == "changed_to":
            yield from _become(session, record, reader, part, by)
    session.flush()
    touch = now.touch(record, "update")
    for part in wanted:
        entry = catalog.field(rule.entity_type, part["field"])
        if entry.path or entry.column in touch.before or entry.kind == kinds.CUSTOM:
            continue
        before = _former(session, record, entry, part)
        if before != getattr(record, entry.column):
            touch.before[entry.column] = before
            yield f"{entry.words[:1].upper()}{entry.words[1:]} just changed."
    if not touch.before:
        touch.before["updated_at"] = None  # the engine passes by what nothing changed in
        yield "It was just saved."


def _become(session: Session, record: Any, reader: snapshots.Reader, part: Any, by: Author) -> Iterator[str]:
    entry = catalog.field(reader.entity_type, part["field"])
    value = kinds.typed(entry.kind, part["value"], "value", entry.choices)
    if entry.path or reader.value(entry) == value:
        return
    if entry.key in ("stage", "status"):
        stage = _stage_for(session, record, entry.key, value)
        if stage is None:
            return
        record.move_to(stage, by=by)
        yield f"It moves to {stage.name}."
    elif entry.is_writable and entry.kind != kinds.CUSTOM:
        column = getattr(type(record), entry.column)
        setattr(record, column.key, value.id if isinstance(value, kinds.Ref) else value)
        yield f"{entry.words[:1].upper()}{entry.words[1:]} becomes {kinds.shown(value)}."


def _stage_for(session: Session, deal: Deal, key: str, value: Any) -> Stage | None:
    if key == "stage":
        return session.get(Stage, value.id)
    pipeline = select(Stage.pipeline_id).where(Stage.id == deal.stage_id).scalar_subquery()
    fits = select(Stage).where(
        Stage.pipeline_id == pipeline, Stage.status == value, Stage.is_archived.is_(False)
    )
    return session.scalars(fits.order_by(Stage.order)).first()


def _former(session: Session, record: Any, entry: catalog.Field, part: Any) -> Any:
    """What the field may have been before, so that it has changed by now."""
    if part["operator"] == "changed_from":
        value = kinds.typed(entry.kind, part["value"], "value", entry.choices)
        return value.id if isinstance(value, kinds.Ref) else value
    if entry.key == "stage":
        pipeline = select(Stage.pipeline_id).where(Stage.id == record.stage_id).scalar_subquery()
        others = select(Stage.id).where(Stage.pipeline_id == pipeline, Stage.id != record.stage_id)
        return session.scalars(others.order_by(Stage.order)).first()
    if entry.key == "status":
        return "open" if record.status != "open" else "closed_lost"
    return None


def _trial(noted: Ledger, record_id: UUID, *, rule: UUID, assumed: list[str], names: dict[str, str]) -> Trial:
    lines = (line for row in noted.looks if row["record_id"] == record_id for line in row["looks"])
    look = next((Look.of(line) for line in lines if line[0] == str(rule)), None)
    own = next((run for run in noted.runs if run["rule_id"] == rule and run["record_id"] == record_id), None)
    others = [
        (name, _would_do(name, run))
        for run in noted.runs
        if run is not own and (name := names[str(run["rule_id"])])
    ]
    if own is None:
        return Trial(look, assumed=assumed, others=others)
    return Trial(look, own["outcome"], _would_all(own), own["error"] or "", assumed, others)


def _would_do(name: str, run: Mapping[str, Any]) -> str:
    """What another rule would do then, or why it would not come to it."""
    if run["outcome"] == "acted":
        return "would " + " and ".join(_would_all(run))
    verb = "would fail: it" if run["outcome"] == "failed" else "would be stopped: it"
    return f"{verb} {runs.told(name, run['outcome'], (), run['error']).removesuffix('.')}"


def _would_all(run: Mapping[str, Any]) -> list[str]:
    return [_would(runs.told("", "acted", [effect], None)) for effect in run["effects"]]


def _would(words: str) -> str:
    """What was done, as what would be: "add a task", for "added a task"."""
    verb, _, rest = words.partition(" ")
    return f"{PRESENT.get(verb, verb)} {rest}"
