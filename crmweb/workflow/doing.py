"""What an action of a rule is, what it works with, and where it is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb.models.user import Actor
from crmweb.workflow.snapshots import Reader
from crmweb.workflow.telling import Person

Config = dict[str, Any]
Done = tuple[dict[str, Any] | None, list[UUID]]
"""What an action did (None: no effect), and the ids of the records that it made or changed."""


class Doing(NamedTuple):
    """What an action works with. `run_id` names the rule's run, `rule` is compiled, `by` signs what it makes.

    `people` answers the active people by name.
    """

    session: Session
    record: Any
    entity_type: str
    rule: Any
    run_id: UUID
    by: Actor
    reader: Reader
    people: Callable[[], tuple[Person, ...]]


class Action(Protocol):
    """A kind of action. `words` name it in the editor; `adds`: it adds something each time, it sets nothing."""

    @property
    def words(self) -> str: ...
    @property
    def settings(self) -> tuple[str, ...]: ...
    @property
    def adds(self) -> bool: ...

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        """FieldError in words when the configuration makes no sense."""

    def do(self, doing: Doing, config: Config) -> Done:
        """Carry it out."""

    def would_act(self, doing: Doing, config: Config) -> bool:
        """Whether it would still make a difference."""


ACTIONS: dict[str, Action] = {}


def action(name: str) -> Callable[[type[Action]], type[Action]]:
    """Register the class below as the action `name`."""

    def register(kind: type[Action]) -> type[Action]:
        ACTIONS[name] = kind()
        return kind

    return register
