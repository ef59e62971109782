"""The form of a company or person."""

from __future__ import annotations

from sqlalchemy.orm import Session

from crmweb.errors import FieldError
from crmweb.forms.fields import Choice, Paragraphs, Reference, Text, offer
from crmweb.forms.records import EditForm
from crmweb.models import Entity, User

KINDS = (("organization", "Company"), ("person", "Person"), ("trust", "Trust"))
STATUSES = (("Active", "Active"), ("Inactive", "Inactive"))


class EntityForm(EditForm):
    """An entity's own fields. Two may have the same name."""

    model = Entity

    name = Text("Name", required=True)
    kind = Choice("Kind", choices=offer(KINDS), default="organization", validate_choice=False)
    legal_name = Text("Legal name")
    phone = Text("Phone")
    email = Text("E-mail")
    status = Choice("Status", choices=offer(STATUSES), default="Active", validate_choice=False)
    assigned_to_id = Reference("Owner", missing="This person is not active any more. Choose somebody else.")
    note = Paragraphs("About")

    def add(self, session: Session) -> Entity:
        """The new entity. FieldError when it cannot be."""
        entity = Entity(**self.values())
        self._require_owner(session, entity)
        session.add(entity)
        return entity

    def write(self, session: Session, entity: Entity) -> None:
        """Change the locked `entity` in what the person changed. Raises EditConflict, FieldError."""
        edits = self.edits(entity)
        for name, value in edits.items():
            setattr(entity, name, value)
        if "assigned_to_id" in edits:
            self._require_owner(session, entity)

    def _require_owner(self, session: Session, entity: Entity) -> None:
        owner = session.get(User, entity.assigned_to_id) if entity.assigned_to_id else None
        if entity.assigned_to_id and (owner is None or not owner.is_active):
            raise FieldError("assigned_to_id", self.assigned_to_id.missing)
