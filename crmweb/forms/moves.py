"""A request to move a deal, as the board, the dialog and the move page send it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from wtforms import Field, Form, IntegerField, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from crmweb.errors import FieldError
from crmweb.models.deal import Place, Seen
from crmweb.models.moving import LONGEST_KEY


class IdField(Field):
    """A UUID in its text form; `data` is a UUID or None."""

    def process_formdata(self, valuelist: list[str]) -> None:
        text = valuelist[0].strip() if valuelist else ""
        self.data = None
        if text:
            try:
                self.data = UUID(text)
            except ValueError as wrong:
                raise ValueError(f"“{text[:50]}” is not an id.") from wrong


class MoveForm(Form):
    """Where to, what the person saw, and where in the column."""

    stage_id = IdField(validators=[InputRequired("Choose the stage to move to.")])
    from_stage_id = IdField()
    seen_version = IntegerField(
        validators=[Optional(), NumberRange(0, 2**62, "The version is a number from 0 on.")]
    )
    before_id = IdField()
    after_id = IdField()
    position = IntegerField(
        validators=[Optional(), NumberRange(1, 10**12, "The position is 1 for the top, 2, 3, …")]
    )
    note = StringField(validators=[Length(max=10_000, message="A note has at most 10,000 characters.")])
    lost_reason = StringField(validators=[Length(max=300, message="A reason has at most 300 characters.")])
    idempotency_key = StringField(
        validators=[Length(max=LONGEST_KEY, message=f"A key has at most {LONGEST_KEY} characters.")]
    )

    def request(self) -> dict[str, Any]:
        """What `Deal.move_to` takes. FieldError with the first fault in words."""
        if not self.validate():
            field, faults = next(iter(self.errors.items()))
            raise FieldError(str(field), str(faults[0]))
        seen = Seen(self.from_stage_id.data, self.seen_version.data) if self.from_stage_id.data else None
        return {
            "stage": self.stage_id.data,
            "place": Place(self.before_id.data, self.after_id.data, self.position.data),
            "note": (self.note.data or "").strip() or None,
            "lost_reason": (self.lost_reason.data or "").strip() or None,
            "seen": seen,
            "key": (self.idempotency_key.data or "").strip() or None,
        }


def pairs(values: Iterable[str]) -> dict[UUID, int]:
    """`<stage-id>:<number>` entries as a mapping; what is not of that form does not count."""
    found: dict[UUID, int] = {}
    for value in values:
        stage, _, number = value.partition(":")
        try:
            found[UUID(stage)] = int(number[:9])
        except ValueError:
            continue
    return found
