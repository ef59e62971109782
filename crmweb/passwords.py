"""Passwords: how they are hashed, and which ones are refused."""

from __future__ import annotations

import base64

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from crmweb.errors import FieldError

LEAST, MOST = 8, 128
RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1q2w3e4r5t6z7u8i9o0p",
)
# The heads of every list of leaked passwords, where the checks for runs and repeats do not find them.
COMMON = frozenset(
    "password passw0rd p@ssw0rd p@ssword password1 password12 password123 password1234 passwort passwort1 motdepasse "
    "contraseña kennwort letmein1 letmein123 welcome1 welcome123 willkommen iloveyou iloveyou1 iloveyou2 princess "
    "princess1 sunshine sunshine1 football football1 baseball baseball1 basketball superman superman1 batman123 "
    "starwars starwars1 whatever whatever1 trustno1 computer computer1 internet michelle jennifer jordan23 "
    "michael1 charlie1 dragon123 monkey123 shadow123 master123 changeme changeme1 changeme123 default1 secret123 "
    "admin123 admin1234 administrator root1234 test1234 testtest guest123 user1234 login123 hello123 hallo123 "
    "hallohallo abc12345 abcd1234 abcd12345 a1b2c3d4 aa123456 qwerty12 qwerty123 qwerty1234 qwertz123 asdf1234 "
    "q1w2e3r4 1qaz2wsx zaq12wsx 1q2w3e4r qazwsxedc 11223344 12341234 12344321 salesforce hubspot1 corporate "
    "company1 company123 business crmcrmcrm summer2024 summer2025 summer2026 winter2024 winter2025 winter2026".split()
)

# One lane and 32 MiB: about 50 ms of one core, and no more memory than the processes times 32 MiB.
_hasher = PasswordHasher(time_cost=2, memory_cost=32_768, parallelism=1)
_SALT, _HASH = (
    base64.b64encode(bytes(size)).decode().rstrip("=") for size in (_hasher.salt_len, _hasher.hash_len)
)
# No password has this hash, but comparing one with it takes as long as with a real one.
_NOBODY = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}${_SALT}${_HASH}"
)


def hash_password(password: str) -> str:
    """The argon2id hash to keep. Takes about 50 ms."""
    return _hasher.hash(password)


def is_match(password: str, kept: str | None) -> bool:
    """Whether `password` belongs to the kept hash. Without a hash the answer is no, after just as long."""
    try:
        _hasher.verify(kept or _NOBODY, password)
    except (Argon2Error, InvalidHashError):
        return False
    return kept is not None


def is_outdated(kept: str) -> bool:
    """Whether the hash was made at another cost than today's."""
    return _hasher.check_needs_rehash(kept)


def check(password: str, *personal: str, field: str = "password") -> str:
    """`password` if it may be used; `personal` are the person's own name and e-mail, which it must not be.

    Raises FieldError, on `field`, that says what is wrong with it.
    """
    plain = password.casefold()
    if len(password) < LEAST:
        raise FieldError(
            field, f"At least {LEAST} characters; {len(password)} so far. A few words are easy to remember."
        )
    if len(password) > MOST:
        raise FieldError(field, f"At most {MOST} characters fit.")
    if "\x00" in password:
        raise FieldError(field, "It contains a character that cannot be typed.")
    if plain in COMMON or plain in {word for own in personal for word in _words(own)}:
        raise FieldError(
            field, "This is one of the first that others would try. A few words in a row are better."
        )
    if len(set(plain)) <= 2 or any(plain in run * 4 or plain in run[::-1] * 4 for run in RUNS):
        raise FieldError(field, "Repeats and runs are guessed first. A few words in a row are better.")
    return password


def _words(own: str) -> set[str]:
    whole = own.casefold()
    stems = {whole, whole.replace(" ", ""), whole.partition("@")[0]}
    return {stem + tail for stem in stems for tail in ("", "1", "123")}
