"""A deal's form, for a new one and for changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session
from wtforms import HiddenField
from wtforms.validators import ValidationError

from crmweb import rights
from crmweb.errors import FieldError, NotFoundError
from crmweb.forms.fields import Choice, Day, Number, Reference, Text
from crmweb.forms.moves import IdField
from crmweb.forms.records import EditForm
from crmweb.models import Deal, Entity, Stage, User, gates
from crmweb.models.gates import Asked
from crmweb.models.stage import CUSTOM
from crmweb.models.user import Author


class DealForm(EditForm):
    """A deal's own fields, and whose it is.

    The company or person is found or made by `entity_name`. `entity_id` is a choice made among those of that name, or
    like it; it counts for the text that it was offered for (`entity_for`) and for no other.
    """

    model = Deal
    renamed: ClassVar[Mapping[str, str]] = {
        "entity_id": "entity_name",
        "stage": "stage_id",
        "assigned_to": "assigned_to_id",
    }

    name = Text("Name", required=True)
    entity_name = Text("Company or person", required=True)
    entity_id = IdField()
    entity_for = HiddenField()
    entity_kind = Choice("It is", default="organization", validate_choice=False)
    amount = Number("Amount")
    currency = Choice("Currency", missing="Choose a currency.", validate_choice=False)
    stage_id = Reference("Stage", missing="This stage takes no deals. Choose another one.")
    assigned_to_id = Reference("Owner", missing="This person cannot have it. Choose somebody else.")
    expected_close_date = Day("Close date")
    lost_reason = Text("Why it was lost")

    def validate_entity_name(self, field: Text) -> None:
        """Somebody is named, and could be stored under that name."""
        if self.entity_id.process_errors:
            raise ValidationError(self.entity_id.process_errors[0])
        if field.data is None and self.entity_id.data is None:
            raise ValidationError("Whose deal is it? Write a company’s or a person’s name.")
        if field.data is not None:
            try:
                Entity(name=field.data, kind=self.entity_kind.data)
            except FieldError as wrong:
                raise ValidationError(wrong.message) from wrong

    def blame(self, name: str, message: str) -> None:
        """The same; for a custom field, which this form does not have, with the way to it."""
        if name.startswith(CUSTOM):
            message += " Save the deal in another stage and move it: the move asks for it."
        super().blame(name, message)

    @property
    def chosen_id(self) -> UUID | None:
        """The company or person chosen among those offered, if they were offered for the name that is there now."""
        is_stale = self.entity_name.raw_data and self.entity_for.data not in (None, "", self.entity_name.data)
        chosen: UUID | None = None if is_stale else self.entity_id.data
        return chosen

    def add(self, session: Session, by: Author) -> Deal:
        """The new deal, with what its stage asks for.

        Raises PermissionDeniedError, FieldError (MissingFieldsError is one), InvalidStageTransitionError.
        """
        rights.require_create_deal(by, self.assigned_to_id.data)
        stage = session.get(Stage, self.stage_id.data)
        if stage is None:
            raise FieldError("stage_id", self.stage_id.missing)
        deal = Deal(
            name=self.name.data,
            amount=self.amount.data,
            currency=self.currency.data,
            entity=self._whose(session),
            stage=stage,
            assigned_to=self._owner(session, self.assigned_to_id.data),
            expected_close_date=self.expected_close_date.data,
            lost_reason=self.lost_reason.data if stage.status == "closed_lost" else None,
        )
        gates.refuse_missing(deal, stage, deal.lost_reason)
        session.add(deal)
        return deal

    def write(self, session: Session, deal: Deal, by: Author) -> None:
        """Change the locked `deal` in what the person changed.

        Raises EditConflict, FieldError, InvalidStageTransitionError.
        """
        entity = self._whose(session, deal)
        edits = self.edits(deal, entity_id=entity.id)
        if edits.pop("entity_id", None):
            deal.entity = entity
        if "assigned_to_id" in edits:
            deal.assigned_to = self._owner(session, edits.pop("assigned_to_id"))
        stage_id, reason = edits.pop("stage_id", None), edits.pop("lost_reason", deal.lost_reason)
        for name, value in edits.items():
            setattr(deal, name, value)
        if stage_id is not None:
            deal.move_to(stage_id, by=by, lost_reason=reason, asked=Asked())
        elif deal.status == "closed_lost":
            deal.lost_reason = reason

    def _owner(self, session: Session, user_id: UUID | None) -> User | None:
        user = session.get(User, user_id) if user_id else None
        if user_id and (user is None or not user.is_active):
            raise FieldError("assigned_to_id", self.assigned_to_id.missing)
        return user

    def _whose(self, session: Session, deal: Deal | None = None) -> Entity:
        """The company or person that is meant: the deal's own, another one (locked), or a new one."""
        name, chosen = self.entity_name.data, self.chosen_id
        if deal is not None and (self.keeps_theirs("entity_id") or self._means(deal.entity, chosen)):
            return deal.entity
        if chosen is None:
            found = self._called(session, name)
            if len(found) > 1:
                raise FieldError(
                    "entity_name", f"{len(found)} are called “{name}”. Choose which one is meant."
                )
            if not found:
                entity = Entity(name=name, kind=self.entity_kind.data)
                session.add(entity)
                return entity
            chosen = found[0]
        try:
            return Entity.locked(session, chosen)
        except NotFoundError as gone:
            raise FieldError("entity_name", gone.message) from gone

    def _means(self, entity: Entity, chosen: UUID | None) -> bool:
        """Whether the form means this one, the deal's own: by choice, or by its name alone."""
        return chosen == entity.id or (chosen is None and self.entity_name.data.casefold() == entity.name_key)

    @staticmethod
    def _called(session: Session, name: str) -> list[UUID]:
        known = select(Entity.id).where(Entity.name_key == name.casefold(), Entity.deleted_at.is_(None))
        return list(session.scalars(known.limit(100)))
