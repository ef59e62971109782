"""Passwords: which are refused and why, and that looking one up never tells whether there is one."""

from __future__ import annotations

import time

import pytest

from crmweb import passwords
from crmweb.errors import FieldError


@pytest.mark.parametrize(
    "password", ["tall ship at dawn", "Ñandú, Ñandú!", "pipeline-demo", " spaces count ", "two by two " * 11]
)
def test_any_characters_will_do_when_there_are_enough(password: str) -> None:
    assert passwords.check(password, "Ann Berg", "ann@example.org") == password


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "At least 8 characters; 0 so far"),
        ("sh0rt!!", "At least 8 characters; 7 so far"),
        ("x9" * 64 + "y", "At most 128 characters"),
        ("null\x00byte", "cannot be typed"),
        ("password", "first that others would try"),
        ("PassWord123", "first that others would try"),
        ("Ann Berg", "first that others would try"),
        ("annberg123", "first that others would try"),
        ("ann@example.org", "first that others would try"),
        ("aaaaaaaaaaaa", "Repeats and runs"),
        ("abababababab", "Repeats and runs"),
        ("12345678", "Repeats and runs"),
        ("9876543210", "Repeats and runs"),
        ("qwertyuiop", "Repeats and runs"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused_in_words(password: str, reason: str) -> None:
    with pytest.raises(FieldError, match=reason) as refused:
        passwords.check(password, "Ann Berg", "ann@example.org", field="new")
    assert refused.value.field == "new"


def test_a_password_matches_its_own_hash_alone_to_the_letter() -> None:
    kept = passwords.hash_password("tall ship at dawn")
    assert passwords.is_match("tall ship at dawn", kept)
    assert not passwords.is_match("tall ship at dawn ", kept)
    assert not passwords.is_match("Tall ship at dawn", kept)
    assert passwords.hash_password("tall ship at dawn") != kept


@pytest.mark.parametrize(
    "kept", [None, "", "no hash at all", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$broken"]
)
def test_nothing_matches_where_no_password_is_kept(kept: str | None) -> None:
    assert not passwords.is_match("", kept)
    assert not passwords.is_match("tall ship at dawn", kept)


def test_to_look_for_nobody_takes_as_long_as_for_somebody() -> None:
    kept = passwords.hash_password("tall ship at dawn")
    known, nobody = (min(_seconds(each) for _ in range(5)) for each in (kept, None))
    assert 0.7 < known / nobody < 1.4


def test_a_hash_of_another_cost_is_outdated() -> None:
    assert not passwords.is_outdated(passwords.hash_password("tall ship at dawn"))
    assert passwords.is_outdated("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43)


def _seconds(kept: str | None) -> float:
    began = time.process_time()
    assert not passwords.is_match("another one", kept)
    return time.process_time() - began
