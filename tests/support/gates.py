"""Gives stages and pipelines what they ask for, as their settings do."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from crmweb import changes
from crmweb.models import Pipeline, Stage, User


def gate(record: Stage | Pipeline | User, **fields: Any) -> None:
    """Change fields of a record that others' moves depend on: `max_deals`, `required_fields`, `asks_lost_reason`…"""
    kind, record_id = type(record), record.id

    def work(session: Session) -> None:
        stored = session.get_one(kind, record_id)
        for name, value in fields.items():
            setattr(stored, name, value)

    changes.commit(work)


def limit(stage: Stage, most: int, mode: str = "hard") -> None:
    """Let the stage hold `most` deals."""
    gate(stage, max_deals=most, limit_mode=mode)
