"""Form fields: what people type, as plain values.

`data` is None for nothing. What a value must be is the model's to say (`forms.records`); a field refuses only what it
cannot read, and shows again what was typed. Numbers are read and written in the locale of the form's meta.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from wtforms import BooleanField, Field, FieldList, FormField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import ValidationError
from wtforms.widgets import DateInput, TextArea, TextInput

from crmweb.forms.numbers import read_number, write_number

DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
YEARS = range(1900, 2201)


class Text(StringField):
    """A line of text, trimmed. `required`: whether the model wants it, or what to say when it is missing."""

    data: Any

    def __init__(self, label: str, *, required: bool | str = False, **settings: Any) -> None:
        super().__init__(label, **settings)
        self.missing = required if isinstance(required, str) else ""
        if required:
            self.flags.required = True

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = as_lines(valuelist[0]).strip() or None

    def pre_validate(self, form: Any) -> None:
        if self.missing and self.data is None and not self.process_errors:
            raise ValidationError(self.missing)

    def _value(self) -> str:
        return as_lines(self.raw_data[0]) if self.raw_data else self.data or ""


class Paragraphs(Text):
    """Text of several lines."""

    widget = TextArea()


class Number(Text):
    """A number as people write it, with or without `unit` behind it. `data` is a Decimal."""

    unit = ""

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            text = valuelist[0].strip().removesuffix(self.unit)
            self.data = read_number(text, self.meta.locale) if text else None

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else write_number(Decimal(str(self.data)), self.meta.locale)


class Percent(Number):
    """A share of 100, with or without the sign."""

    unit = "%"


class Whole(Number):
    """A whole number. `data` is an int."""

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata(valuelist)
        if valuelist and self.data is not None:
            if self.data != self.data.to_integral_value():
                raise ValueError("Whole numbers only.")
            self.data = int(self.data)


class Lines(Paragraphs):
    """A list of texts, each in a line of its own. `data` is a list, without the empty lines."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            lines = as_lines(valuelist[0]).split("\n")
            self.data = [line.strip() for line in lines if line.strip()]

    def _value(self) -> str:
        return as_lines(self.raw_data[0]) if self.raw_data else "\n".join(self.data or [])

    @staticmethod
    def words(value: Any) -> str:
        """The list in one line."""
        return ", ".join(value or []) or "nothing"


class Tick(BooleanField):
    """Yes or no. A hidden field of the same name, without a value, tells that it was asked at all."""

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = any(valuelist)

    @staticmethod
    def words(value: Any) -> str:
        """Yes or no."""
        return "yes" if value else "no"


class Day(Field):
    """A day of the calendar. A browser's date control; what is no day comes back as text, so that it is not lost."""

    def widget(self, field: Field, **settings: Any) -> Any:
        return (TextInput() if self.errors else DateInput())(field, **settings)

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        text, self.data = valuelist[0].strip(), None
        try:
            if text and DAY.fullmatch(text):
                self.data = date.fromisoformat(text)
        except ValueError as wrong:
            raise ValueError(f"“{text}” is not in the calendar.") from wrong
        if text and self.data is None:
            raise ValueError(f"“{text[:40]}” is not a day. Write it like 2026-12-31.")
        if self.data and self.data.year not in YEARS:
            raise ValueError(f"Write a year between {YEARS[0]} and {YEARS[-1]}.")

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return self.data.isoformat() if self.data else ""


class Choice(SelectField):
    """One of few. `data` is the value sent, None for the empty entry; `missing` is said when it is none of them."""

    def __init__(self, label: str, *, missing: str = "Choose one of these.", **settings: Any) -> None:
        said = {"invalid_value_message": missing, "invalid_choice_message": missing}
        super().__init__(label, **{"coerce": self.read, **said, **settings})
        # Templates know selects by this name. `required` would keep browsers from sending the empty entry.
        self.type, self.missing = "SelectField", missing

    def pre_validate(self, form: Any) -> None:
        super().pre_validate(form)
        if self.data is None and not self.validate_choice and not self.process_errors:
            raise ValidationError(self.missing)

    @staticmethod
    def read(value: Any) -> Any:
        """A value as `data` holds it."""
        return value or None

    def words(self, value: Any) -> str:
        """How the list calls a value; a dash for what it does not have."""
        return next((one.label for one in self.choices or [] if self.read(one.value) == value), "–")


class Reference(Choice):
    """A record out of a list. `data` is its id, None for the empty entry."""

    @staticmethod
    def read(value: Any) -> UUID | None:
        return value if isinstance(value, UUID) else UUID(value) if value else None


def offer(entries: Iterable[tuple[Any, str]], group: str | None = None) -> list[SelectChoice]:
    """Entries of a list: value (None for the empty one) and words."""
    return [SelectChoice(plain(value), words, optgroup=group) for value, words in entries]


def plain(value: Any) -> str:
    """A field's value as text that is equal exactly when the value is, whoever's locale it was written in."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float | Decimal):
        return format(Decimal(str(value)).normalize(), "f")
    return as_lines(str(value)).strip()


def as_lines(text: str) -> str:
    """Text with one line end, whatever the browser sent."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def start_in_first_wrong(form: Iterable[Field]) -> None:
    """Shown again, the form has the cursor in the first field with an error."""
    wrong = next((field for field in leaves(form) if field.errors), None)
    if wrong is not None:
        wrong.render_kw = {**(wrong.render_kw or {}), "autofocus": ""}


def leaves(fields: Iterable[Field]) -> Iterator[Field]:
    """All fields in their order, those in rows and groups as well."""
    for field in fields:
        if isinstance(field, FormField):
            yield from leaves(field.form)
        elif isinstance(field, FieldList):
            yield from leaves(field)
        else:
            yield field
