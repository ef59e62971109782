"""What rules did, in words: for timelines, and for the log on a rule's page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, or_

from crmweb.models import RuleRun

Effect = Mapping[str, Any]


class Failure(NamedTuple):
    """A rule that did not run although the change that set it off stands; `words` is a sentence that says why."""

    rule_id: UUID
    words: str


def failures(runs: Iterable[Mapping[str, Any]]) -> list[Failure]:
    """The rules that failed among a change set's runs, as its ledger has them."""
    return [Failure(run["rule_id"], run["error"]) for run in runs if run["outcome"] == "failed"]


def told(
    rule_name: str, outcome: str, effects: Sequence[Effect], error: str | None, *, all_: bool = True
) -> str:
    """What a run did, to stand behind the rule's name: "changed Amount from 5 to 7 and notified Ann Berg".

    Without `all_`, what activities and moves tell by themselves is left out.
    """
    if outcome == "failed":
        return (error or "did not run").removeprefix(f"The rule “{rule_name}” ")
    if outcome == "cut":
        return f"was stopped. {error}"
    told_of = [_WORDS[effect["action"]](effect) for effect in effects if all_ or effect["action"] in UNTOLD]
    return _joined(told_of)


UNTOLD = ("update_field", "send_notification", "assign")
"""The actions that leave nothing else on a timeline."""


def is_untold() -> ColumnElement[bool]:
    """Runs of which the timeline would not know otherwise: failed, cut, or with a change or a notification."""
    effects = cast(RuleRun.effects, String)
    return or_(RuleRun.outcome != "acted", *(effects.like(f'%"action": "{name}"%') for name in UNTOLD))


def _update_field(effect: Effect) -> str:
    label, old, new = effect["label"], effect["old"], effect["new"]
    if new is None:
        return f"emptied {label}, which was “{old}”"
    return f"set {label} to “{new}”" if old is None else f"changed {label} from “{old}” to “{new}”"


def _send_notification(effect: Effect) -> str:
    muted = f" (muted by {_joined(effect['muted'])})" if effect.get("muted") else ""
    return f"notified {_joined(effect['notified']) or 'nobody'}: “{effect['subject']}”{muted}"


def _assign(effect: Effect) -> str:
    if "old" not in effect:
        return f"left it with {effect['name']}"
    was = f", who took over from {effect['old']}" if effect["old"] else ""
    return f"gave it to {effect['name']}{was}"


_WORDS: dict[str, Callable[[Effect], str]] = {
    "update_field": _update_field,
    "create_activity": lambda effect: f"added a {effect['type']}: {effect['subject']}",
    "send_notification": _send_notification,
    "assign": _assign,
    "move_to_stage": lambda effect: f"moved the deal from {effect['moved']} to {effect['to']}",
}


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
