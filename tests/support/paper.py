"""A world on paper for the rules engine: records are dicts, actions set their fields, everything is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from crmweb.errors import WorkflowExecutionError
from crmweb.workflow.conditions import Condition, Snapshot
from crmweb.workflow.rounds import Occasion, Rule

DEAL, ENTITY = UUID(int=1), UUID(int=2)


class Effect(NamedTuple):
    """What a paper action did: "stage=Won", "note Hello on 1"."""

    words: str
    record: UUID


@dataclass
class Paper:
    """A world on paper. Actions: set a field, set one of the deal's entity, note (makes an activity), notify, fail."""

    records: dict[UUID, dict[str, Any]]
    types: dict[UUID, str]
    before_: dict[UUID, dict[str, Any] | None] = field(default_factory=dict)
    fresh: list[Occasion] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    tried: list[tuple[int, Occasion, Rule]] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    failures: dict[UUID, int] = field(default_factory=dict)

    def happen(self, record: UUID, trigger: str, **values: Any) -> None:
        """A person makes, changes or deletes a record."""
        self.before_.setdefault(record, None if trigger == "create" else dict(self.records[record]))
        self.records.setdefault(record, {}).update(values)
        self.fresh.append(Occasion(record, self.types[record], trigger))

    def touched(self) -> list[Occasion]:
        found = [
            occasion
            for occasion in dict.fromkeys(self.fresh)
            if occasion.trigger != "update" or self.records[occasion.record] != self.before_[occasion.record]
        ]
        self.fresh = []
        return found

    def now(self, occasion: Occasion) -> Snapshot:
        return self.records[occasion.record]

    def before(self, occasion: Occasion) -> Snapshot | None:
        return self.before_[occasion.record]

    def first(self, occasion: Occasion) -> Snapshot | None:
        return self.before_[occasion.record]

    def would_act(self, rule: Rule, occasion: Occasion, *, sets: bool = False) -> bool:
        return any(
            not self._is_so(occasion.record, what) if kind == "set" else not sets
            for kind, what in rule.actions
        )

    def act(self, rule: Rule, occasion: Occasion, number: int) -> tuple[list[Any], list[UUID]]:
        kept, fresh = {key: dict(record) for key, record in self.records.items()}, list(self.fresh)
        effects: list[Effect] = []
        self.tried.append((number, occasion, rule))
        for kind, what in rule.actions:
            if kind == "fail":
                self.records, self.fresh = kept, fresh
                raise WorkflowExecutionError(rule, "update_field", str(what))
            effects += self._do(kind, what, occasion.record)
        if effects:
            self.log.append(f"{number} {rule.name} acted: {', '.join(effect.words for effect in effects)}")
        return effects, [effect.record for effect in effects if effect.words != "notified"]

    def failed(self, rule: Rule, occasion: Occasion, number: int, error: WorkflowExecutionError) -> bool:
        self.log.append(f"{number} {rule.name} failed: {error.cause}")
        self.failures[rule.id] = self.failures.get(rule.id, rule.failures) + 1
        return self.failures[rule.id] >= 5

    def cut(self, rule: Rule, occasion: Occasion, number: int, why: str) -> None:
        self.log.append(f"{number} {rule.name} cut: {why}")

    def looked(self, occasion: Occasion, number: int, looks: list[list[Any]]) -> None:
        for rule, _, matched, failing, seen, *_ in looks:
            said = "matched" if matched else f"no: {seen}" if failing is None else f"no, {failing}: {seen}"
            self.looks.append(f"{number} {occasion.trigger} {self.names[rule]} {said}")

    def _is_so(self, record: UUID, what: Mapping[str, Any]) -> bool:
        return all(self.records[record].get(name) == value for name, value in what.items())

    def _do(self, kind: str, what: Any, record: UUID) -> list[Effect]:
        if kind == "notify":
            return [Effect("notified", record)]
        if kind == "note":
            made = UUID(int=100 + len(self.records))
            self.records[made], self.types[made], self.before_[made] = {"subject": what}, "Activity", None
            self.fresh.append(Occasion(made, "Activity", "create"))
            return [Effect(f"note {what}", made)]
        target = ENTITY if kind == "entity" else record
        if self._is_so(target, what):
            return []
        self.before_.setdefault(target, dict(self.records[target]))
        self.records[target].update(what)
        self.fresh.append(Occasion(target, self.types[target], "update"))
        return [Effect(" ".join(f"{name}={value}" for name, value in what.items()), target)]


def rule(
    name: str, *conditions: tuple[Any, ...], do: Sequence[tuple[str, Any]] = (("note", "Hello"),),
    of: str = "Deal", on: str = "update", **more: Any,
) -> Rule:  # fmt: skip
    """A rule called `name`; its id follows from the name."""
    compiled = tuple(Condition(*condition) for condition in conditions)
    return Rule(UUID(bytes=name.encode().ljust(16)), name, 1, of, on, compiled, tuple(do), **more)


def put(**values: Any) -> tuple[str, dict[str, Any]]:
    return ("set", values)


def play(rules: Sequence[Rule], was: Mapping[str, Any] | None, change: Mapping[str, Any] | None) -> Paper:
    """A person's change of one deal (was None: made; change None: deleted), with an entity beside it."""
    paper = Paper({ENTITY: {"status": "Inactive"}}, {DEAL: "Deal", ENTITY: "Entity"})
    paper.names = {str(one.id): one.name for one in rules}
    if was is not None:
        paper.records[DEAL] = dict(was)
    trigger = "create" if was is None else "delete" if change is None else "update"
    paper.happen(DEAL, trigger, **(change or {}))
    return paper
