"""Companies and people as plain rows: the list, one of them with its deals, those that a name may mean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from crmweb.errors import NotFoundError
from crmweb.models import Deal, Entity, Pipeline, Stage, User

PAGE = 50
SUGGESTIONS = 6
DEALS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A line of the list; `open_deals` counts the deals of it that are open."""

    id: UUID
    name: str
    kind: str
    status: str
    phone: str | None
    email: str | None
    owner_id: UUID | None
    owner_name: str | None
    open_deals: int


@dataclass(frozen=True, slots=True)
class EntityPage:
    """A page of the list. `after`: the cursor of the next one, None at the end."""

    rows: list[EntityRow]
    after: UUID | None


@dataclass(frozen=True, slots=True)
class EntityDetail:
    """An entity with all that its page shows. Times are UTC."""

    id: UUID
    name: str
    legal_name: str | None
    kind: str
    status: str
    phone: str | None
    email: str | None
    note: str | None
    owner_id: UUID | None
    owner_name: str | None
    custom_fields: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EntityDeal:
    """One of an entity's deals."""

    id: UUID
    name: str
    amount: Decimal | None
    currency: str
    status: str
    owner_id: UUID | None
    owner_name: str | None
    stage_name: str
    stage_color: str
    probability: float
    pipeline_name: str


@dataclass(frozen=True, slots=True)
class Match:
    """Somebody whom a name may mean; `detail` tells those of one name apart."""

    id: UUID
    name: str
    kind: str
    detail: str | None

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return self.name.casefold()


def page(session: Session, text: str = "", after: UUID | None = None) -> EntityPage:
    """A page of the list by name, of those with all words of `text` in name, e-mail or phone. Three statements."""
    query: Any = (
        select(
            Entity.id, Entity.name, Entity.kind, Entity.status, Entity.phone, Entity.email,
            Entity.assigned_to_id.label("owner_id"), User.name.label("owner_name"),
        )
        .outerjoin(User, User.id == Entity.assigned_to_id)
        .where(Entity.deleted_at.is_(None), *(_has(word) for word in text.casefold().split()))
        .order_by(Entity.name_key, Entity.id)
        .limit(PAGE + 1)
    )  # fmt: skip
    mark = (
        session.execute(select(Entity.name_key, Entity.id).where(Entity.id == after)).first()
        if after
        else None
    )
    if mark:
        types = Entity.name_key.type, Entity.id.type
        here = tuple_(*(literal(value, kind) for value, kind in zip(mark, types, strict=True)))
        query = query.where(tuple_(Entity.name_key, Entity.id) > here)
    found = session.execute(query).all()
    shown = found[:PAGE]
    counts = _open_deals(session, [row.id for row in shown])
    rows = [EntityRow(**row._mapping, open_deals=counts.get(row.id, 0)) for row in shown]
    return EntityPage(rows, shown[-1].id if len(found) > PAGE else None)


def load(session: Session, entity_id: UUID) -> EntityDetail:
    """The entity. NotFoundError when it is not there or deleted."""
    row = session.execute(
        select(
            Entity.id, Entity.name, Entity.legal_name, Entity.kind, Entity.status, Entity.phone, Entity.email,
            Entity.note, Entity.assigned_to_id.label("owner_id"), User.name.label("owner_name"), Entity.custom_fields,
            Entity.created_at, Entity.updated_at,
        )
        .outerjoin(User, User.id == Entity.assigned_to_id)
        .where(Entity.id == entity_id, Entity.deleted_at.is_(None))
    ).first()  # fmt: skip
    if row is None:
        raise NotFoundError("This company or person is not there any more.")
    return EntityDetail(**{**row._mapping, "custom_fields": dict(row.custom_fields or {})})


def deals(session: Session, entity_id: UUID) -> list[EntityDeal]:
    """The entity's deals, open ones first, newest first; one more than DEALS_SHOWN when there are more."""
    query = (
        select(
            Deal.id, Deal.name, Deal.amount, Deal.currency, Deal.status, Deal.assigned_to_id, User.name, Stage.name,
            Stage.color, Stage.probability, Pipeline.name,
        )
        .join(Stage, Stage.id == Deal.stage_id)
        .join(Pipeline, Pipeline.id == Stage.pipeline_id)
        .outerjoin(User, User.id == Deal.assigned_to_id)
        .where(Deal.entity_id == entity_id, Deal.deleted_at.is_(None))
        .order_by((Deal.status == "open").desc(), Deal.id.desc())
        .limit(DEALS_SHOWN + 1)
    )  # fmt: skip
    return [EntityDeal(*tuple(row)) for row in session.execute(query)]


def matches(session: Session, name: str, chosen: UUID | None = None) -> list[Match]:
    """Those whom `name` may mean: called so, then beginning so, then holding it; and in any case the one `chosen`."""
    key = name.strip().replace("\x00", "").casefold()
    fits: ColumnElement[bool] = Entity.id == chosen
    if key:
        fits = or_(fits, Entity.name_key.contains(key, autoescape=True))
    query = (
        select(Entity.id, Entity.name, Entity.kind, Entity.email, Entity.phone)
        .where(Entity.deleted_at.is_(None), fits)
        .order_by(
            (Entity.id == chosen).desc(),
            (Entity.name_key == key).desc(),
            Entity.name_key.startswith(key, autoescape=True).desc(),
            Entity.name_key,
            Entity.id,
        )
        .limit(SUGGESTIONS)
    )
    return [Match(row.id, row.name, row.kind, row.email or row.phone) for row in session.execute(query)]


def deal_names(session: Session, entity_id: UUID, most: int) -> tuple[list[str], int]:
    """The names of the entity's `most` newest deals, and how many it has."""
    alive = and_(Deal.entity_id == entity_id, Deal.deleted_at.is_(None))
    names = list(session.scalars(select(Deal.name).where(alive).order_by(Deal.id.desc()).limit(most)))
    return names, session.scalar(select(func.count()).where(alive)) or 0


def _has(word: str) -> ColumnElement[bool]:
    columns = Entity.name_key, func.lower(Entity.email), Entity.phone
    return or_(*(column.contains(word, autoescape=True) for column in columns))


def _open_deals(session: Session, entity_ids: list[UUID]) -> dict[UUID, int]:
    alive = Deal.entity_id.in_(entity_ids), Deal.status == "open", Deal.deleted_at.is_(None)
    counts = select(Deal.entity_id, func.count().label("deals")).where(*alive).group_by(Deal.entity_id)
    return {row.entity_id: row.deals for row in session.execute(counts)} if entity_ids else {}
