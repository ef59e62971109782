"""A request to move a deal, as the board, the dialog and the move page send it, with what the new stage asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self
from uuid import UUID

from wtforms import Field, Form, StringField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from crmweb.errors import CRMError, FieldError, MissingFieldsError
from crmweb.forms.fields import Day, Number, Text, Whole
from crmweb.models.deal import Asked, Place, Seen
from crmweb.models.moving import LONGEST_KEY
from crmweb.models.stage import CUSTOM, REQUIRABLE


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


class ReasonField(StringField):
    """A reason out of a list, else in own words: of several values the first one that says something."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = next((value.strip() for value in valuelist if value.strip()), "")


GATES = {
    "amount": Number("Amount"),
    "expected_close_date": Day("Close date"),
    "assigned_to": IdField("Owner"),
}
"""How what a stage asks for is read; custom fields are text."""


class MoveForm(Form):
    """Where to, what the person saw, and where in the column; what the stage asks for beside it (`of`)."""

    class Meta:
        """WTForms' settings, and the locale in which numbers are read."""

        locale = "en"

    stage_id = IdField(validators=[InputRequired("Choose the stage to move to.")])
    from_stage_id = IdField()
    seen_version = Whole(
        "Version", validators=[Optional(), NumberRange(0, 2**62, "The version is a number from 0 on.")]
    )
    before_id = IdField()
    after_id = IdField()
    position = Whole(
        "Position", validators=[Optional(), NumberRange(1, 10**12, "The position is 1 for the top, 2, 3, …")]
    )
    note = StringField(validators=[Length(max=10_000, message="A note has at most 10,000 characters.")])
    lost_reason = ReasonField(
        "Why it was lost", validators=[Length(max=300, message="A reason has at most 300 characters.")]
    )
    idempotency_key = StringField(
        validators=[Length(max=LONGEST_KEY, message=f"A key has at most {LONGEST_KEY} characters.")]
    )
    let_in = StringField()
    open_tasks = StringField()

    @classmethod
    def of(cls, sent: Any, locale: str, missing: Iterable[str] = ()) -> Self:
        """The form as it was sent, with the fields that it gives to the deal and those that are `missing`."""
        names = dict.fromkeys(name for name in (*sent, *missing) if name in REQUIRABLE or _is_custom(name))
        fields = {name: GATES.get(name) or Text(name.removeprefix(CUSTOM)) for name in names}
        made: type[Self] = type(cls.__name__, (cls,), fields) if fields else cls
        return made(sent, meta={"locale": locale})

    @property
    def gates(self) -> list[str]:
        """The names of the fields that it gives to the deal."""
        return [name for name in self._fields if name in REQUIRABLE or _is_custom(name)]

    def request(self, may_let_in: bool = False) -> dict[str, Any]:
        """What `Deal.move_to` takes. `may_let_in`: whether the person's word opens a full stage.

        Raises FieldError with the first fault in words.
        """
        if not self.validate():
            field, faults = next(iter(self.errors.items()))
            raise FieldError(str(field), str(faults[0]))
        seen = Seen(self.from_stage_id.data, self.seen_version.data) if self.from_stage_id.data else None
        given = {name: self[name].data for name in self.gates}
        return {
            "stage": self.stage_id.data,
            "place": Place(self.before_id.data, self.after_id.data, self.position.data),
            "note": (self.note.data or "").strip() or None,
            "lost_reason": self.lost_reason.data or None,
            "seen": seen,
            "key": (self.idempotency_key.data or "").strip() or None,
            "asked": Asked(given, may_let_in and self.let_in.data == "1"),
        }

    def blame(self, refusal: CRMError) -> list[str]:
        """The fields to ask for after `refusal`, each with what is wrong with it; none when it is about something else.

        What the person has not been asked for yet is missing, but nobody's fault.
        """
        missing = refusal.missing if isinstance(refusal, MissingFieldsError) else {}
        field = refusal.field if isinstance(refusal, FieldError) else None
        if not missing and field not in (*self.gates, "lost_reason"):
            return []
        self.validate()
        words = missing or {str(field): str(refusal)}
        for name, fault in words.items():
            if self[name].raw_data and not self[name].errors:
                self[name].errors = [fault]
        return [*self.gates, *(["lost_reason"] if "lost_reason" in words else [])]


def _is_custom(name: str) -> bool:
    return name.startswith(CUSTOM) and len(name) > len(CUSTOM)


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
