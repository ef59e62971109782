"""People as others choose them: owners of deals, doers of tasks."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from crmweb.models import User


def choices(session: Session, kept: UUID | None = None) -> list[tuple[UUID, str]]:
    """The active people by name, and `kept` in any case: whoever has it now is still shown."""
    query = (
        select(User.id, User.name).where(or_(User.is_active, User.id == kept)).order_by(User.name, User.id)
    )
    return [(row.id, row.name) for row in session.execute(query)]
