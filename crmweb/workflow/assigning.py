"""The action that gives a record an owner: always the same person, or several in turn."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import ledger
from crmweb.errors import FieldError
from crmweb.models import RuleRun, User, WorkflowRule
from crmweb.models.types import as_id
from crmweb.workflow.doing import Config, Doing, Done, action

WAYS = ("person", "in_turn")
MOST_PEOPLE = 100


@action("assign")
class Assign:
    """Give the record to the person `to`; or, with `way` in_turn, to whoever's turn it is.

    In turn are the active ones of `people`, in that order; with none named all active people, by name. Next is whoever
    comes behind the person that the rule gave a record last.
    """

    words = "give it to somebody"
    settings = ("way", "to", "people")
    adds = False

    def check(self, session: Session, entity_type: str, trigger: str, config: Config) -> None:
        if trigger == "delete":
            raise FieldError("action_type", "A deleted record is given to nobody.")
        if (way := config.get("way") or "person") not in WAYS:
            raise FieldError("way", f"“{way}” is not one of {', '.join(WAYS)}.")
        if way == "person":
            self._refuse_gone(
                session, "to", [as_id(config.get("to") or "", "to")] if config.get("to") else []
            )
            return
        people = config.get("people") or []
        if not isinstance(people, list) or len(people) > MOST_PEOPLE:
            raise FieldError("people", f"A list of at most {MOST_PEOPLE} people.")
        if people:
            self._refuse_gone(session, "people", [as_id(person, "people") for person in people])

    def do(self, doing: Doing, config: Config) -> Done:
        person = self._next(doing, config)
        old = doing.record.assigned_to_id
        effect = {"person": str(person.id), "name": person.name}
        if old == person.id:
            # It was this person's turn all the same: the next one is somebody else's.
            return (effect, []) if config.get("way") == "in_turn" else (None, [])
        was = doing.session.get(User, old) if old else None
        doing.record.assigned_to = person
        return {**effect, "old": was.name if was else None}, [doing.record.id]

    def would_act(self, doing: Doing, config: Config) -> bool:
        if config.get("way") == "in_turn":
            return True
        return bool(doing.record.assigned_to_id != as_id(config["to"]))

    def _next(self, doing: Doing, config: Config) -> User:
        if config.get("way") != "in_turn":
            fixed = select(User).where(User.is_active, User.id == as_id(config["to"]))
            found = doing.session.scalar(fixed)
            if found is None:
                raise FieldError("to", "The person chosen is not active any more.")
            return found
        row, last = self._row(doing, config), self._last(doing)
        place = next((at for at, one in enumerate(row, 1) if str(one.id) == last), 0)
        for person in (*row[place:], *row[:place]):
            if person.is_active:
                return person
        raise FieldError("people", "None of the people is active any more.")

    def _row(self, doing: Doing, config: Config) -> list[User]:
        """Who has a turn, in order; whoever left keeps the place, so that nobody behind is passed over.

        The rule is locked with it: two changes at once would both give to the same person.
        """
        own = select(User).join(WorkflowRule, WorkflowRule.id == doing.rule.id).order_by(User.name, User.id)
        people = list(doing.session.scalars(own.with_for_update(of=WorkflowRule, key_share=True)))
        chosen = [as_id(person) for person in config.get("people") or ()]
        if not chosen:
            return people
        return sorted((one for one in people if one.id in chosen), key=lambda one: chosen.index(one.id))

    def _last(self, doing: Doing) -> str | None:
        """Whom the rule gave a record last, in this change set or before."""
        now = ledger.of(doing.session)
        for run in reversed(now.runs if now else ()):
            if run["rule_id"] == doing.rule.id and (person := _given(run["effects"])):
                return person
        before = select(RuleRun.effects).where(RuleRun.rule_id == doing.rule.id, RuleRun.outcome == "acted")
        return _given(
            doing.session.scalar(before.order_by(RuleRun.at.desc(), RuleRun.id.desc()).limit(1)) or ()
        )

    @staticmethod
    def _refuse_gone(session: Session, field: str, people: list[UUID]) -> None:
        there = set(session.scalars(select(User.id).where(User.id.in_(people), User.is_active)))
        if not people:
            raise FieldError(field, "Choose who gets it.")
        if set(people) - there:
            raise FieldError(field, "This person is not active any more. Choose somebody else.")


def _given(effects: Any) -> str | None:
    return next((effect["person"] for effect in effects if effect.get("action") == "assign"), None)
