"""Ids: UUIDv7, made in Python, that sort by the time they were made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from crmweb.errors import FieldError
from crmweb.models.types import as_id, new_id


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = new_id()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_an_id_says_when_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id().int >> 80
    assert before <= made <= time.time_ns() // 1_000_000 + 1


def test_ids_sort_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_made_in_several_threads_are_all_different() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = [
            made
            for batch in threads.map(lambda _: [new_id() for _ in range(500)], range(8))
            for made in batch
        ]
    assert len({one.int >> 64 for one in made}) == 4000, "different by their time alone"


def test_the_text_of_an_id_is_as_good_as_the_id() -> None:
    made = new_id()
    assert as_id(made) == as_id(str(made)) == as_id(made.hex) == made


@pytest.mark.parametrize("written", ["", "seven", "1234", "01a1ffc6-e107", None, 7, "\x00" * 32, "é" * 32])
def test_what_is_no_id_is_refused_by_its_field(written: object) -> None:
    with pytest.raises(FieldError, match="is not an id") as refused:
        as_id(written, "stage_id")  # type: ignore[arg-type]
    assert refused.value.field == "stage_id"


def test_the_nil_id_is_an_id() -> None:
    assert as_id("00000000-0000-0000-0000-000000000000") == UUID(int=0)
