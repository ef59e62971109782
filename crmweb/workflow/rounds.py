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
from crmweb.workflow.conditions import Condition, Snapshot, judge


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. `actions` are (type, config) in order."""

    id: UUID
    name: str
    version: int
    entity_type: str
    trigger: str
    conditions: tuple[Condition, ...]
    actions: tuple[tuple[str, Any], ...]
    fires: str = "every_time"
    stop_after: bool = False
    on_failure: str = "keep"
    failures: int = 0


class Occasion(NamedTuple):
    """A record that something happened to."""

    record: UUID
    entity_type: str
    trigger: str


class Limits(NamedTuple):
    rounds: int = 5
    actions: int = 50


class World(Protocol):
    """What the rounds need to know of the world and do to it."""

    def touched(self) -> list[Occasion]:
        """What happened since this was last asked, each record and trigger once, in order."""

    def now(self, occasion: Occasion) -> Snapshot: ...

    def before(self, occasion: Occasion) -> Snapshot | None:
        """The record as it stood when the change set began; None when it was not there."""

    def would_act(self, rule: Rule, occasion: Occasion) -> bool:
        """Whether the actions would still make a difference."""

    def act(self, rule: Rule, occasion: Occasion, number: int) -> tuple[list[Any], list[UUID]]:
        """All actions or none: their effects, and the records made or changed by them. Raises WorkflowExecutionError."""

    def failed(self, rule: Rule, occasion: Occasion, number: int, error: WorkflowExecutionError) -> None: ...

    def cut(self, rule: Rule, occasion: Occasion, number: int, why: str) -> None: ...

    def looked(self, occasion: Occasion, number: int, looks: list[list[Any]]) -> None: ...


@dataclass
class Progress:
    """What one change set's rules did so far; outlives a single call, so that firings count once."""

    number: int = 0
    fired: set[tuple[UUID, UUID]] = field(default_factory=set)
    chains: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    roots: dict[UUID, UUID] = field(default_factory=dict)
    actions: dict[UUID, int] = field(default_factory=dict)


def run(rules: Sequence[Rule], world: World, progress: Progress, limits: Limits = Limits()) -> None:  # noqa: B008
    """Rounds until nothing is touched any more, or the bound is reached.

    Raises WorkflowExecutionError when a rule with on_failure `undo` failed.
    """
    while occasions := world.touched():
        progress.number += 1
        for occasion in occasions:
            look(rules, world, progress, limits, occasion)


def look(rules: Sequence[Rule], world: World, progress: Progress, limits: Limits, occasion: Occasion) -> None:
    """Let every rule of the occasion's type and trigger look at it, in order, and act."""
    looks: list[list[Any]] = []
    for rule in rules:
        if (rule.entity_type, rule.trigger) != occasion[1:] or rule.id in progress.chains.get(
            occasion.record, ()
        ):
            continue
        verdict = judge(rule.conditions, world.now(occasion), world.before(occasion), rule.fires)
        why = _bound(rule, progress, limits, occasion) if verdict.matched else ""
        looks.append(
            [str(rule.id), rule.version, verdict.matched and not why, verdict.failing, why or verdict.seen]
        )
        if why and world.would_act(rule, occasion):
            world.cut(rule, occasion, progress.number, why)
        elif verdict.matched and not why and _fire(rule, world, progress, occasion) and rule.stop_after:
            break
    if looks:
        world.looked(occasion, progress.number, looks)


def _fire(rule: Rule, world: World, progress: Progress, occasion: Occasion) -> bool:
    """Whether the rule acted."""
    number, root = progress.number, progress.roots.get(occasion.record, occasion.record)
    progress.fired.add((rule.id, occasion.record))
    progress.actions[root] = progress.actions.get(root, 0) + len(rule.actions)
    try:
        _, followers = world.act(rule, occasion, number)
    except WorkflowExecutionError as error:
        world.failed(rule, occasion, number, error)
        if rule.on_failure == "undo":
            raise
        return False
    for follower in followers:
        progress.roots.setdefault(follower, root)
        if follower != occasion.record:
            chain = progress.chains.get(occasion.record, frozenset()) | {rule.id}
            progress.chains[follower] = progress.chains.get(follower, frozenset()) | chain
    return True


def _bound(rule: Rule, progress: Progress, limits: Limits, occasion: Occasion) -> str:
    """Why the rule may not act any more in this change set; empty when it may."""
    root = progress.roots.get(occasion.record, occasion.record)
    if (rule.id, occasion.record) in progress.fired:
        return "It already ran for this record in this change."
    if progress.number > limits.rounds:
        return f"Rules had set off each other for {limits.rounds} rounds."
    if progress.actions.get(root, 0) + len(rule.actions) > limits.actions:
        return f"Rules had done {limits.actions} actions after this change."
    return ""
