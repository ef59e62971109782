"""Locking a record of which only the type and the id are known."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from crmweb.models.activity import Activity
from crmweb.models.deal import Deal
from crmweb.models.entity import Entity

MODELS: dict[str, type[Deal | Entity | Activity]] = {"Deal": Deal, "Entity": Entity, "Activity": Activity}


def locked(session: Session, entity_type: str, record_id: UUID) -> Any:
    """The record, fresh, locked until the transaction ends. NotFoundError when it is not there any more.

    An activity's deal is locked before it, as everybody does who works on a deal: so nobody waits in a circle.
    """
    if entity_type == "Activity":
        deal_id = session.scalar(select(Activity.deal_id).where(Activity.id == record_id))
        if deal_id is not None:
            Deal.locked(session, deal_id)
    return MODELS[entity_type].locked(session, record_id)
