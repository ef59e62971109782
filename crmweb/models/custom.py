"""Custom fields: a flat, read-only mapping of names to JSON primitives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from sqlalchemy import JSON
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from crmweb import config
from crmweb.errors import CustomFieldValidationError
from crmweb.models.base import is_storable

LARGEST = 2**53
"""Whole numbers up to it mean the same to every reader of JSON."""


class Fixed(dict[str, Any]):
    """A dict that refuses to change in place: such a change would reach neither the database nor the history."""

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("Custom fields change as a whole: record.custom_fields = {**record.custom_fields, …}")

    __setitem__ = __delitem__ = update = pop = popitem = clear = setdefault = __ior__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return (Fixed, (dict(self),))


class CustomFields(TypeDecorator[dict[str, Any]]):
    """JSON in the database, `Fixed` in Python."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def compare_values(self, x: Any, y: Any) -> bool:
        """Whether both are the same JSON: there True, 1 and 1.0 are three values."""
        # SQLAlchemy also asks about what was never set, which is no JSON at all.
        one, other = (json.dumps(value, sort_keys=True, default=repr) for value in (x, y))
        return one == other

    def process_result_value(self, value: Any, dialect: Dialect) -> dict[str, Any] | None:
        return None if value is None else Fixed(value)


def custom_fields(value: Any) -> Fixed | None:
    """`value` as custom fields; CustomFieldValidationError when it is not a flat mapping of JSON primitives."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise CustomFieldValidationError("custom_fields", "Custom fields are a mapping of names to values.")
    most = config.settings.max_custom_fields_per_entity
    if len(value) > most:
        raise CustomFieldValidationError(
            "custom_fields", f"{len(value)} custom fields; at most {most} are allowed."
        )
    for key, entry in value.items():
        _check(key, entry)
    return Fixed(value)


def _check(key: Any, entry: Any) -> None:
    """CustomFieldValidationError unless `key` can be a name and `entry` a JSON primitive that every database keeps."""
    name = f"custom_fields.{key}"
    if not isinstance(key, str) or not key.strip() or len(key) > 100 or "." in key or not is_storable(key):
        raise CustomFieldValidationError(name, f"“{key}” cannot be a custom field's name.")
    if not (entry is None or isinstance(entry, str | bool | int | float)):
        raise CustomFieldValidationError(
            name, f"{key}: text, a number, yes or no; not {type(entry).__name__}."
        )
    if isinstance(entry, float) and not math.isfinite(entry):
        raise CustomFieldValidationError(name, f"{key}: “{entry}” is not a number.")
    if isinstance(entry, int) and abs(entry) > LARGEST:
        raise CustomFieldValidationError(name, f"{key}: the number is too large.")
    if isinstance(entry, str) and len(entry) > 5000:
        raise CustomFieldValidationError(name, f"{key} has {len(entry)} characters; at most 5000 fit.")
    if isinstance(entry, str) and not is_storable(entry):
        raise CustomFieldValidationError(name, f"{key} contains a character that cannot be stored.")
