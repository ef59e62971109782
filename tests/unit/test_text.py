"""Text and choices, as every field of every record takes them."""

from __future__ import annotations

from typing import Any

import pytest

from crmweb.errors import CustomFieldValidationError, FieldError
from crmweb.models.base import choice, text
from crmweb.models.custom import Fixed, custom_fields


def test_text_is_trimmed() -> None:
    assert text("name", "  Forklift fleet\n") == "Forklift fleet"


@pytest.mark.parametrize("written", [None, "", "   ", "\t\n"])
def test_empty_text_is_none_or_refused(written: str | None) -> None:
    """D5: the documents' own implementation accepted an empty name."""
    assert text("note", written, required=False) is None
    with pytest.raises(FieldError, match=r"^Name is missing\.$"):
        text("name", written)


@pytest.mark.parametrize("written", [7, b"bytes", ["list"], True])
def test_only_text_is_text(written: Any) -> None:
    with pytest.raises(FieldError, match="must be text"):
        text("name", written)


def test_text_longer_than_its_field_is_refused_with_both_numbers() -> None:
    assert text("name", "x" * 200) == "x" * 200
    assert text("name", " " + "x" * 200 + " ") == "x" * 200
    with pytest.raises(FieldError, match="201 characters; at most 200 fit"):
        text("name", "x" * 201)


@pytest.mark.parametrize("written", ["nul\x00", "half \ud83d", "\udc80"])
def test_characters_that_no_database_keeps_are_refused(written: str) -> None:
    with pytest.raises(FieldError, match="cannot be stored"):
        text("name", written)


@pytest.mark.parametrize("written", ["Ünïcödé", "日本", "😀", "<script>", "'; DROP TABLE deals;--", "a\nb"])
def test_every_other_text_is_kept_as_it_is(written: str) -> None:
    assert text("name", written) == written


@pytest.mark.parametrize("written", ["closed", "", None, 7, [], {}])
def test_a_choice_is_one_of_those_that_there_are(written: Any) -> None:
    with pytest.raises(FieldError, match="not one of open, closed_won"):
        choice("status", written, ("open", "closed_won"))


# Custom fields ---------------------------------------------------------------------------------------------------


def test_custom_fields_are_names_with_json_primitives() -> None:
    """D46: numbers can be saved."""
    fields = {"plan": "gold", "seats": 12, "rate": 0.25, "vip": True, "code": None, "größe": "XL"}
    assert custom_fields(fields) == fields
    assert custom_fields(None) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"nested": {"a": 1}}, {"list": [1]}, {"nan": float("nan")}, {"inf": float("inf")}, {"object": object()},
        {"": 1}, {"  ": 1}, {7: 1}, {"a.b": 1}, {"x" * 101: 1}, {"long": "x" * 5001}, {"nul": "\x00"}, {"nul\x00": 1},
        {"half": "\ud83d"}, {"huge": 10**400}, {"huge": -(2**63)},
    ],
)  # fmt: skip
def test_other_custom_fields_are_refused_by_name(fields: dict[Any, Any]) -> None:
    with pytest.raises(CustomFieldValidationError) as refused:
        custom_fields(fields)
    assert refused.value.field.startswith("custom_fields")


def test_a_whole_number_in_a_custom_field_is_one_that_every_reader_of_json_reads_alike() -> None:
    assert custom_fields({"most": 2**53, "least": -(2**53)})
    for number in (2**53 + 1, 10**5000):
        with pytest.raises(CustomFieldValidationError, match="too large"):
            custom_fields({"seats": number})


def test_custom_fields_are_a_mapping_of_at_most_fifty() -> None:
    with pytest.raises(CustomFieldValidationError, match="mapping"):
        custom_fields([("plan", "gold")])
    assert len(custom_fields({str(n): n for n in range(50)}) or ()) == 50
    with pytest.raises(CustomFieldValidationError, match="51 custom fields; at most 50"):
        custom_fields({str(n): n for n in range(51)})


def test_custom_fields_do_not_change_in_place() -> None:
    """Such a change would reach neither the database nor the history."""
    fixed = custom_fields({"plan": "gold"})
    assert isinstance(fixed, Fixed)
    for change in (
        lambda: fixed.update(plan="silver"), lambda: fixed.pop("plan"), lambda: fixed.__setitem__("plan", 1),
        lambda: fixed.__delitem__("plan"), fixed.clear, lambda: fixed.setdefault("new", 1),
        lambda: fixed.__ior__({"plan": 1}), fixed.popitem,
    ):  # fmt: skip
        with pytest.raises(TypeError, match="as a whole"):
            change()
    assert fixed == {"plan": "gold"}
