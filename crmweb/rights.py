"""Who may do what. One table, one query of what a person may see."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Select, select

from crmweb.errors import PermissionDeniedError
from crmweb.models import Activity, Deal, Entity
from crmweb.models.user import Author

R = TypeVar("R", Deal, Entity, Activity)

MANAGERS = ("manager", "admin")
ADMINS = ("admin",)
EVERYONE = ("rep", "manager", "admin")

RIGHTS: dict[str, tuple[str, ...]] = {
    "read": EVERYONE,
    "create_deal": EVERYONE,
    "edit_any_deal": MANAGERS,
    "overfill_stage": MANAGERS,
    "delete_any_deal": MANAGERS,
    "edit_entity": EVERYONE,
    "delete_entity": MANAGERS,
    "edit_any_activity": MANAGERS,
    "pipelines": MANAGERS,
    "rules": MANAGERS,
    "people": ADMINS,
}
"""Right → roles that have it. Beside it, owning gives more: see `may_edit_deal` and `may_delete_deal`."""


def may(person: Author, right: str) -> bool:
    """Whether the person's role has the right."""
    return person.role in RIGHTS[right]


def require(
    person: Author, right: str, message: str = "Your role does not allow this. Ask a manager or an admin."
) -> None:
    """PermissionDeniedError with `message` unless the person's role has the right."""
    if not may(person, right):
        raise PermissionDeniedError(message)


def visible_to(person: Author, model: type[R]) -> Select[R]:  # noqa: ARG001  who it is will matter one day
    """The records of `model` that the person may read: all that are not deleted."""
    return select(model).where(model.deleted_at.is_(None))


def may_own_new_deal(person: Author, owner_id: UUID | None) -> bool:
    """Whether the person may add a deal for this owner: a rep for oneself or for nobody yet, a manager for anybody."""
    return may(person, "edit_any_deal") or owner_id in (None, person.id)


def require_create_deal(person: Author, owner_id: UUID | None) -> None:
    """PermissionDeniedError unless the person may add a deal for this owner."""
    require(person, "create_deal")
    if not may_own_new_deal(person, owner_id):
        raise PermissionDeniedError("You can add deals for yourself, or leave the owner open.")


def may_edit_deal(person: Author, owner_id: UUID | None) -> bool:
    """Edit, move, assign, undo: a rep's own and unassigned deals, all of them for managers and admins."""
    return may(person, "edit_any_deal") or (person.role == "rep" and owner_id in (None, person.id))


def require_edit_deal(person: Author, deal: Any) -> None:
    """PermissionDeniedError unless the person may edit and move this deal."""
    if not may_edit_deal(person, deal.assigned_to_id):
        raise PermissionDeniedError("Only the owner or a manager can change this deal.")


def require_give_deal(person: Author, owner_id: UUID | None) -> None:
    """PermissionDeniedError unless the person may make this one the owner of a deal that has none."""
    if not may_own_new_deal(person, owner_id):
        raise PermissionDeniedError(
            "You can take this deal yourself. A manager can give it to somebody else."
        )


def may_delete_deal(person: Author, owner_id: UUID | None) -> bool:
    """A rep's own deals, all of them for managers and admins."""
    return may(person, "delete_any_deal") or (owner_id is not None and owner_id == person.id)


def require_delete_deal(person: Author, owner_id: UUID | None) -> None:
    """PermissionDeniedError unless the person may delete a deal of this owner."""
    if not may_delete_deal(person, owner_id):
        raise PermissionDeniedError("Only the owner or a manager can delete this deal.")


class Entry(Protocol):
    """An activity, or its row on a timeline."""

    @property
    def is_audit(self) -> bool: ...
    @property
    def author_id(self) -> UUID | None: ...
    @property
    def assigned_to_id(self) -> UUID | None: ...


def may_edit_activity(person: Author, activity: Entry) -> bool:
    """One's own; any but an audit note for managers and admins."""
    return not activity.is_audit and (may(person, "edit_any_activity") or activity.author_id == person.id)


def require_edit_activity(person: Author, activity: Entry) -> None:
    """PermissionDeniedError unless the person may edit and delete this activity."""
    if activity.is_audit:
        raise PermissionDeniedError("The note of a move is kept as it is. Nobody can change or delete it.")
    if not may_edit_activity(person, activity):
        raise PermissionDeniedError("Only its author or a manager can change this.")


def may_finish_task(person: Author, activity: Entry) -> bool:
    """Tick it off: whoever may edit it, and whoever is to do it."""
    return may_edit_activity(person, activity) or (
        not activity.is_audit and activity.assigned_to_id == person.id
    )


def require_finish_task(person: Author, activity: Entry) -> None:
    """PermissionDeniedError unless the person may tick this task off."""
    if not may_finish_task(person, activity):
        raise PermissionDeniedError("Only whoever is to do it, its author or a manager can tick it off.")


class Told(Entry, Protocol):
    """A row on a timeline, with what it is on."""

    @property
    def rule_id(self) -> UUID | None: ...
    @property
    def deal_id(self) -> UUID | None: ...
    @property
    def deal_owner_id(self) -> UUID | None: ...


def may_undo(person: Author, entry: Told) -> bool:
    """Whether to offer it: what happened to a deal to whoever may edit the deal, an entry to whoever may edit that."""
    if not entry.is_audit and entry.rule_id is None:
        return may_edit_activity(person, entry)
    return may_edit_deal(person, entry.deal_owner_id) if entry.deal_id else may(person, "edit_entity")
