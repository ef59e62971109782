"""Every error that Crmweb raises on purpose. The text is for people: which field, why, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class CRMError(Exception):
    """The root of all. `status` is the HTTP status that the web answers with."""

    status = 422

    @property
    def message(self) -> str:
        return str(self)


class FieldError(CRMError, ValueError):
    """A value that its field cannot take."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class CustomFieldValidationError(FieldError):
    """A custom field's value that its definition, or JSON, cannot take."""


class MissingFieldsError(FieldError):
    """A person moves a deal without what its new stage asks for. `missing`: what to say, by field."""

    def __init__(self, message: str, missing: Mapping[str, str]) -> None:
        super().__init__(next(iter(missing)), message)
        self.missing = dict(missing)


class InvalidStageTransitionError(CRMError):
    """The deal cannot go to that stage: unknown, archived, or of another or an inactive pipeline."""


class StageFullError(InvalidStageTransitionError):
    """The stage holds as many deals as it may: `held` of `most`."""

    def __init__(self, stage: str, held: int, most: int) -> None:
        super().__init__(
            f"{stage} is full: {held} of {most}. Move one on first, or ask a manager to let it in."
        )
        self.stage, self.held, self.most = stage, held, most


class NotFoundError(CRMError):
    """Not there, or not yours to see: both look the same."""

    status = 404


class PermissionDeniedError(CRMError):
    """You may see it, but not do this to it."""

    status = 403


class ConflictError(CRMError):
    """Somebody else was faster. `who` moved it to `where` at `at` (UTC), as far as known."""

    status = 409

    def __init__(
        self, message: str, *, who: str | None = None, where: str | None = None, at: datetime | None = None
    ) -> None:
        super().__init__(message)
        self.who, self.where, self.at = who, where, at


class UndoError(ConflictError):
    """This cannot be taken back. `fact` says why, `at` (UTC) when that came about, if it is a matter of time."""

    def __init__(self, fact: str, at: datetime | None = None) -> None:
        super().__init__(f"{fact} on {at:%Y-%m-%d at %H:%M} UTC." if at else fact, at=at)
        self.fact = fact


class TooManyTriesError(CRMError):
    """Guessing is slowed down: nothing is looked at before `until` (UTC)."""

    status = 429

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class UnsavedChangesError(CRMError):
    """Code, not a person, did wrong: tracked changes met a bare commit or a piece of work that would lose them."""

    status = 500


DOING = {
    "update_field": "change the field",
    "create_activity": "add its entry",
    "send_notification": "notify anybody",
    "move_to_stage": "move the deal",
    "assign": "give it to anybody",
}
"""What the action of a rule does, as a person would say it."""


class WorkflowExecutionError(CRMError):
    """An action of a workflow rule failed. Names the rule, the action and the cause."""

    def __init__(self, rule: Any, action: str, cause: BaseException | str) -> None:
        self.rule_name: str = getattr(rule, "name", str(rule))
        self.rule_id: Any = getattr(rule, "id", None)
        self.action = action
        self.cause = cause
        super().__init__(f"The rule “{self.rule_name}” could not {DOING.get(action, action)}: {cause}")
