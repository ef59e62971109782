"""The documents' names: thin fronts of the domain's own methods. No second path."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb import changes, rights, signals, workflow
from crmweb.errors import NotFoundError, PermissionDeniedError
from crmweb.extensions import db
from crmweb.models import Deal, User
from crmweb.models.base import text
from crmweb.models.types import as_id
from crmweb.models.user import SYSTEM, Actor
from crmweb.queries import timeline


@signals.speak_for
class DealService:
    """Moves deals between stages; the sender of the lifecycle events."""

    @staticmethod
    def move_deal_to_stage(
        deal: Deal, new_stage_id: UUID | str, note: str | None = None, user_email: str | None = None
    ) -> Deal:
        """Move `deal` and return it, refreshed. Commits.

        `user_email` of a user: their rights are checked and they are the author. An unknown address is kept as the
        author's label. None: "System", no rights check.

        Raises what `Deal.move_to` raises, NotFoundError, PermissionDeniedError, UnsavedChangesError,
        WorkflowExecutionError.
        """
        deal_id, by = deal.id, _author(user_email)

        def work(session: Session) -> None:
            locked = Deal.locked(session, deal_id)
            if by.id is not None:
                rights.require_edit_deal(by, locked)
            locked.move_to(new_stage_id, by=by, note=note)

        changes.commit(work, by=by)
        return _refreshed(deal)

    @staticmethod
    async def amove_deal_to_stage(
        deal: Deal, new_stage_id: UUID | str, note: str | None = None, user_email: str | None = None
    ) -> Deal:
        """`move_deal_to_stage` in a worker thread with its own session. The deal must be committed."""
        app, deal_id, session = current_app._get_current_object(), deal.id, db.session()  # type: ignore[attr-defined]
        changes.refuse_unsaved(session)
        session.rollback()

        def move() -> None:
            with app.app_context():
                stored = db.session.get(Deal, deal_id)
                if stored is None:
                    raise NotFoundError("This deal is not there any more.")
                DealService.move_deal_to_stage(stored, new_stage_id, note, user_email)

        await asyncio.to_thread(move)
        if not (session.new or session.dirty or session.deleted):
            session.rollback()  # what this session began to read meanwhile may be from before the move
        return _refreshed(deal)


class WorkflowService:
    """Runs rules on demand."""

    @staticmethod
    def execute_rules(entity_type: str, trigger_event: str, record: Any) -> None:
        """Evaluate the active rules of this type and trigger on `record` at once. Does not commit.

        It joins the session's pending change set, so a rule that fired here fires no more for this record in it.

        Raises WorkflowExecutionError when an action fails.
        """
        session = db.session()
        session.flush()
        workflow.evaluate(session, changes.begin(session), entity_type, trigger_event, record)


class ActivityService:
    """Reads timelines."""

    @staticmethod
    def get_timeline(related_to_type: str, related_to_id: UUID | str, limit: int | None = None) -> list[Any]:
        """The activities of a Deal or an Entity (its deals' included), newest first; at most `limit` (100)."""
        return timeline.activities(
            db.session(), related_to_type, as_id(related_to_id, "related_to_id"), limit
        )


def _author(email: str | None) -> Actor:
    """The person with that address, or it alone as a label, or the system."""
    address = text("user_email", email, most=254, required=False, label="The address")
    if address is None:
        return SYSTEM
    person = db.session.scalar(select(User).where(User.email_key == address.casefold()))
    if person is None:
        return Actor(address, address)
    if not person.is_active:
        raise PermissionDeniedError(f"The account of {person.name} is closed.")
    return Actor.of(person)


def _refreshed(deal: Deal) -> Deal:
    """The caller's own deal as it is stored now; another one when no session of this thread holds it."""
    stored = db.session.get_one(Deal, deal.id, populate_existing=True)
    return deal if deal in db.session else stored
