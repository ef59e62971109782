"""Forms over records: the model says what is valid, and an edit never writes over somebody else's.

To make one: subclass `RecordForm` (new records) or `EditForm` (stored ones), name the `model`, and give it fields named
like the model's columns. Fields of other names are the form's own business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import String, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from wtforms import Form

from crmweb import changes, ledger
from crmweb.errors import (
    ConflictError,
    FieldError,
    InvalidStageTransitionError,
    MissingFieldsError,
    WorkflowExecutionError,
)
from crmweb.forms.fields import as_lines, plain, start_in_first_wrong
from crmweb.models.base import Record
from crmweb.models.user import Author
from crmweb.queries import runs

WAS, KEEP, ASKED = "was-", "keep_", "asked"


class RecordForm(Form):
    """A form whose values are checked by setting them on a `model` of its own, so each rule stands once."""

    model: ClassVar[type[Record]]
    renamed: ClassVar[Mapping[str, str]] = {}
    """Field that an error names → field of this form beside which it is said."""

    class Meta:
        """WTForms' settings, and the locale in which numbers are read and written."""

        locale = "en"

    def __init__(self, formdata: Any = None, *, locale: str = "en", **values: Any) -> None:
        super().__init__(formdata, data=values, meta={"locale": locale})
        self.result: Any = None
        self.failures: list[runs.Failure] = []
        columns = inspect(self.model).columns
        for name, field in self._fields.items():
            kind = columns[name].type if name in columns else None
            if isinstance(kind, String) and kind.length:
                field.flags.maxlength = kind.length

    @property
    def http_status(self) -> int:
        """The HTTP status of an answer that shows this form again."""
        return 422

    def values(self) -> dict[str, Any]:
        """The values that are the model's own, by column."""
        columns = inspect(self.model).columns
        return {name: field.data for name, field in self._fields.items() if name in columns}

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether every value can be stored; if not, `errors` say in words which cannot."""
        super().validate(extra_validators)
        probe = self.model()
        for name, value in self.values().items():
            if not self[name].errors:
                try:
                    setattr(probe, name, value)
                except FieldError as wrong:
                    self.blame(name, wrong.message)
        return not self.errors

    def blame(self, name: str, message: str) -> None:
        """Say what is wrong beside the field, or over the form when it has none of that name."""
        name = self.renamed.get(name, name)
        if name in self:
            self[name].errors = [*self[name].errors, message]
        else:
            self.form_errors.append(message)

    def save(self, work: Callable[[Session], Any], by: Author) -> bool:
        """Validate, then commit `work`. False when refused, and why is in `errors`.

        `result` keeps what `work` answers, `failures` the rules that failed although the rest stands.

        Raises NotFoundError and PermissionDeniedError, which no other entry in the form could mend.
        """
        is_saved = self._saved(work, by)
        if not is_saved:
            start_in_first_wrong(self)
        return is_saved

    def _saved(self, work: Callable[[Session], Any], by: Author) -> bool:
        if not self.validate():
            return False
        written: list[Any] = []

        def heard(session: Session) -> Any:
            written[:] = [ledger.of(session)]
            return work(session)

        try:
            self.result = self._commit(heard, by)
        except MissingFieldsError as asked:
            for name, words in asked.missing.items():
                self.blame(name, words)
        except FieldError as wrong:
            self.blame(wrong.field, wrong.message)
        except InvalidStageTransitionError as refused:
            self.blame("stage_id", refused.message)
        except WorkflowExecutionError as refused:
            self.form_errors.append(f"Not saved: “{refused.rule_name}” stopped it. {refused.cause}")
        else:
            self.failures = runs.failures(written[0].runs)
            return True
        return False

    @staticmethod
    def _commit(work: Callable[[Session], Any], by: Author) -> Any:
        try:
            return changes.commit(work, by=by)
        except IntegrityError:
            # Somebody took a unique name between our look and our write; the second look tells it in words.
            return changes.commit(work, by=by)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that two people changed: what it is now, and what this form wants. Plain values of the field."""

    theirs: Any
    yours: Any


class EditConflict(ConflictError):
    """Somebody else changed what this form changes. `now`: what the record holds, by field."""

    def __init__(self, fields: Mapping[str, Conflict], now: Mapping[str, Any]) -> None:
        super().__init__("Somebody else changed this while you were writing. Nothing was overwritten.")
        self.fields, self.now = dict(fields), dict(now)


class EditForm(RecordForm):
    """A form over a stored record. It writes only fields that the person changed.

    Beside each field goes what it held when the form was opened (`was-…`). What somebody else changed meanwhile is
    kept; what both changed is a conflict, which `keep_…` (theirs, yours) decides. A field that is not sent is not
    touched; one sent without its `was-…` is written whatever was there.
    """

    def __init__(self, formdata: Any = None, *, locale: str = "en", **values: Any) -> None:
        super().__init__(formdata, locale=locale, **values)
        self.conflicts: dict[str, Conflict] = {}
        self._kept: dict[str, str] = {}
        self._asked: set[str] = set()
        if formdata is None:
            self.before = {name: plain(self[name].data) for name in self.compared}
        else:
            self._kept = {name: formdata.get(KEEP + name, "") for name in self.compared}
            self._asked = set(formdata.getlist(ASKED))
            sent = {name: formdata.get(WAS + name) for name in self.compared}
            self.before = {name: as_lines(text).strip() for name, text in sent.items() if text is not None}

    @property
    def http_status(self) -> int:
        return 409 if self.conflicts else 422

    @property
    def compared(self) -> list[str]:
        """The fields in which two people's changes are told apart."""
        return list(self.values())

    def stored(self, record: Record) -> dict[str, Any]:
        """What `record` holds, by field."""
        return {name: getattr(record, name) for name in self.compared}

    def edits(self, record: Record, **found: Any) -> dict[str, Any]:
        """What to write to the locked `record`, by field. `found` are values that the form itself does not hold.

        Raises EditConflict.
        """
        now = self.stored(record)
        wanted = {name: self[name].data for name in now if self[name].raw_data} | found
        edits, conflicts = {}, {}
        for name, value in wanted.items():
            is_open = name in self._asked and self._kept.get(name) not in ("theirs", "yours")
            if self.keeps_theirs(name) or plain(value) == plain(now[name]):
                continue
            if name in self.before and plain(value) == self.before[name]:
                continue
            if is_open or plain(now[name]) != self.before.get(name, plain(now[name])):
                conflicts[name] = Conflict(now[name], value)
            else:
                edits[name] = value
        if conflicts:
            raise EditConflict(conflicts, now)
        return edits

    def keeps_theirs(self, name: str) -> bool:
        """Whether the person chose what somebody else wrote into the field."""
        return self._kept.get(name) == "theirs"

    def save(self, work: Callable[[Session], Any], by: Author) -> bool:
        """The same, and after a conflict the form holds the record as it is now under what the person changed."""
        try:
            return super().save(work, by)
        except EditConflict as conflict:
            self.conflicts = conflict.fields
            for name, value in conflict.now.items():
                if name not in self.conflicts and plain(self[name].data) == self.before.get(name):
                    self[name].raw_data = None
                    self[name].process(None, value)
                self.before[name] = plain(value)
            return False
