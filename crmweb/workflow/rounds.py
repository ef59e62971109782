"""Rules in rounds until they are quiet: the engine's order and bounds, without any database.

The World tells which records were touched and what they look like, and carries out a rule's actions. In one round each
touched record meets each rule of its type and trigger, strictly in the rules' order; what the rules change is met in
the next round. A rule fires at most once per record and change set, never on what its own chain made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from crmweb.errors import WorkflowExecutionError
from crmweb.workflow.conditions import ALL, Condition, Group, Snapshot, Verdict, have_changed, judge, leaves


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. `actions` are (type, config) in order.

    It listens to `trigger`; where `only` does not hold, what happened is not its occasion, and it does not even look.
    """

    id: UUID
    name: str
    version: int
    entity_type: str
    trigger: str
    conditions: tuple[Condition | Group, ...]
    actions: tuple[tuple[str, Any], ...]
    fires: str = "every_time"
    stop_after: bool = False
    on_failure: str = "keep"
    failures: int = 0
    match: str = ALL
    only: tuple[Condition, ...] = ()

    def fires_on(self, trigger: str) -> str:
        """`fires`, where it makes a difference: a record is made once and deleted once."""
        return self.fires if trigger == "update" and not self.only else "every_time"

    def is_for(self, now: Snapshot, first: Snapshot | None) -> bool:
        """Whether what happened is an occasion for it at all. `first`: the record at its start, or as it was made."""
        return all(condition.holds(now, first) for condition in self.only)

    def judge(self, now: Snapshot, before: Snapshot | None, trigger: str = "update") -> Verdict:
        """Whether its conditions hold of the record `now`, which was `before` (None: it was not there)."""
        return judge(self.conditions, now, before, self.fires_on(trigger), self.match)


class Occasion(NamedTuple):
    """A record that something happened to."""

    record: UUID
    entity_type: str
    trigger: str


class Limits(NamedTuple):
    """How many rounds per change set, and how many actions per record that the person touched."""

    rounds: int = 5
    actions: int = 50


NO_MORE_THAN = Limits()
MADE_IT = "It is one of the rules that made this record."


class World(Protocol):
    """What the rounds need to know of the world and do to it."""

    def touched(self) -> list[Occasion]:
        """What happened since this was last asked, each record and trigger once, in order."""

    def now(self, occasion: Occasion) -> Snapshot:
        """The record as it is; as it was, when it was deleted."""

    def before(self, occasion: Occasion) -> Snapshot | None:
        """The record as it stood when the change set began; None when it was not there."""

    def first(self, occasion: Occasion) -> Snapshot | None:
        """The same, but as it was made when it was not there: to be made is no move."""

    def would_act(self, rule: Rule, occasion: Occasion, *, sets: bool = False) -> bool:
        """Whether the actions would still make a difference. `sets`: to what is there, not by adding to it."""

    def act(self, rule: Rule, occasion: Occasion, number: int) -> tuple[list[Any], list[UUID]]:
        """All actions or none: their effects, and the records made or changed. Raises WorkflowExecutionError."""

    def failed(self, rule: Rule, occasion: Occasion, number: int, error: WorkflowExecutionError) -> bool:
        """Note the failure; answers whether the rule is paused from now on."""

    def cut(self, rule: Rule, occasion: Occasion, number: int, why: str) -> None:
        """Note that the rule would have acted, but for a bound."""

    def looked(self, occasion: Occasion, number: int, looks: list[list[Any]]) -> None:
        """Note who looked: [rule, version, acts, first failing condition, value seen or why not, what all saw]."""


class Firing(NamedTuple):
    """A rule's one firing for a record.

    `left`: what its conditions read when it was done; `stirs`: how often rules had touched the record by then; `stops`:
    the rules below it are not to look at this record any more.
    """

    left: Snapshot
    stirs: int
    stops: bool


@dataclass
class Progress:
    """What one change set's rules did so far; outlives a single call, so that firings count once."""

    number: int = 0
    fired: dict[tuple[UUID, UUID], Firing] = field(default_factory=dict)
    stirs: dict[UUID, int] = field(default_factory=dict)
    stirrers: dict[UUID, str] = field(default_factory=dict)
    chains: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    roots: dict[UUID, UUID] = field(default_factory=dict)
    actions: dict[UUID, int] = field(default_factory=dict)
    paused: set[UUID] = field(default_factory=set)
    cut: set[tuple[UUID, UUID]] = field(default_factory=set)

    def root(self, occasion: Occasion) -> UUID:
        """The record touched by the person from which rules came to this one."""
        return self.roots.get(occasion.record, occasion.record)


def run(rules: Sequence[Rule], world: World, progress: Progress, limits: Limits = NO_MORE_THAN) -> None:
    """Rounds until nothing is touched any more, or the bound is reached.

    Raises WorkflowExecutionError when a rule with on_failure `undo` failed.
    """
    is_first = True
    while occasions := world.touched():
        progress.number += 1
        for occasion in occasions:
            if is_first:
                progress.roots.setdefault(occasion.record, occasion.record)
        for occasion in occasions:
            look(rules, world, progress, limits, occasion)
        is_first = False


def look(rules: Sequence[Rule], world: World, progress: Progress, limits: Limits, occasion: Occasion) -> None:
    """Let every rule of the occasion's type and trigger look at it, in order, and act."""
    looks: list[list[Any]] = []
    for rule in rules:
        if (rule.entity_type, rule.trigger) != occasion[1:] or rule.id in progress.paused:
            continue
        now = world.now(occasion)
        if rule.only and not rule.is_for(now, world.first(occasion)):
            continue
        verdict = rule.judge(now, world.before(occasion), occasion.trigger)
        why = _bound(rule, progress, limits, occasion) if verdict.matched else ""
        looks.append(_line(rule, verdict, why))
        if why:
            key = (rule.id, occasion.record)
            if key not in progress.cut and _is_cut(rule, world, progress, occasion):
                progress.cut.add(key)
                stirrer = progress.stirrers.get(occasion.record)
                by_whom = f" “{stirrer}” changed it last." if stirrer else ""
                world.cut(rule, occasion, progress.number, why + by_whom)
        elif verdict.matched:
            _fire(rule, world, progress, occasion)
        firing = progress.fired.get((rule.id, occasion.record))
        if firing and firing.stops:
            break
    if looks:
        world.looked(occasion, progress.number, looks)


def _line(rule: Rule, verdict: Verdict, why: str) -> list[Any]:
    """What the log keeps of a look: [rule, version, acts, first failing condition, value seen or why not, trace]."""
    line = [str(rule.id), rule.version, verdict.matched and not why, verdict.failing, why or verdict.seen]
    trace = verdict.kept()
    return [*line, trace] if trace else line


def _fire(rule: Rule, world: World, progress: Progress, occasion: Occasion) -> None:
    record, root, is_done = occasion.record, progress.root(occasion), False
    progress.actions[root] = progress.actions.get(root, 0) + len(rule.actions)
    try:
        _, followers = world.act(rule, occasion, progress.number)
        is_done = True
    except WorkflowExecutionError as error:
        followers = []
        if world.failed(rule, occasion, progress.number, error):
            progress.paused.add(rule.id)
        if rule.on_failure == "undo":
            raise
    for follower in followers:
        progress.roots.setdefault(follower, root)
        progress.stirs[follower] = progress.stirs.get(follower, 0) + 1
        progress.stirrers[follower] = rule.name
        if follower != record:
            chain = progress.chains.get(record, frozenset()) | {rule.id}
            progress.chains[follower] = progress.chains.get(follower, frozenset()) | chain
    now = world.now(occasion)
    left = {condition.field: now.get(condition.field) for condition in (*rule.only, *leaves(rule.conditions))}
    stirs = progress.stirs.get(record, 0)
    progress.fired[rule.id, record] = Firing(left, stirs, rule.stop_after and is_done)


def _bound(rule: Rule, progress: Progress, limits: Limits, occasion: Occasion) -> str:
    """Why the rule may not act any more in this change set; empty when it may."""
    if rule.id in progress.chains.get(occasion.record, ()):
        return MADE_IT
    if (rule.id, occasion.record) in progress.fired:
        return "It already ran for this record in this change."
    if progress.number > limits.rounds:
        return f"Rules had set off each other for {limits.rounds} rounds."
    if progress.actions.get(progress.root(occasion), 0) + len(rule.actions) > limits.actions:
        return f"Rules had done {limits.actions} actions after this change."
    return ""


def _is_cut(rule: Rule, world: World, progress: Progress, occasion: Occasion) -> bool:
    """Whether the bound keeps a matching rule from a difference that it would make.

    Having run once is none, unless another rule changed since what this one reads or sets: they chase each other.
    """
    if rule.id in progress.chains.get(occasion.record, ()):
        return False
    firing = progress.fired.get((rule.id, occasion.record))
    if firing is None:
        return world.would_act(rule, occasion)
    if progress.stirs.get(occasion.record, 0) == firing.stirs:
        return False
    now = world.now(occasion)
    is_news = have_changed((*rule.only, *rule.conditions), now, firing.left)
    holds_anew = is_news and rule.is_for(now, firing.left) and rule.judge(now, firing.left).matched
    return world.would_act(rule, occasion, sets=not holds_anew)
