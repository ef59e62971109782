"""What doctor knows without a database."""

from __future__ import annotations

import pytest

from crmweb.doctor import Finding
from crmweb.doctor.database import is_sound


@pytest.mark.parametrize("version", [(3, 51, 3), (3, 53, 4), (3, 44, 6), (3, 50, 7), (4, 0, 0)])
def test_a_mended_sqlite_passes(version: tuple[int, ...]) -> None:
    assert is_sound(version)


@pytest.mark.parametrize("version", [(3, 51, 2), (3, 40, 1), (3, 44, 5), (3, 44, 7), (3, 50, 6)])
def test_an_sqlite_with_the_wal_race_does_not(version: tuple[int, ...]) -> None:
    assert not is_sound(version)


def test_a_finding_without_records_is_its_sentence() -> None:
    assert str(Finding("admins", "Nobody is an active admin.")) == "Nobody is an active admin."


def test_a_finding_names_its_records_and_counts_the_rest() -> None:
    few = Finding("chain", "The stage history has a gap in 2 deals:", ("a", "b"), 2)
    many = Finding("chain", "The stage history has a gap in 1,207 deals:", ("a", "b"), 1207)
    assert str(few) == "The stage history has a gap in 2 deals: a, b."
    assert str(many) == "The stage history has a gap in 1,207 deals: a, b and 1,205 more."
