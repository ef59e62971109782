"""The people of our tests. The same four everywhere, so that a test reads as a scene.

Ann     admin: may do everything.
Marek   manager: may do everything with deals, entities, pipelines and rules; no people, no settings.
Priya   rep: the one who owns what the test is about.
Tom     rep: another one, who must be kept from what is Priya's.
"""

from __future__ import annotations

from typing import NamedTuple

from argon2 import PasswordHasher

from crmweb.models import User
from tests.support.factories import save

PASSWORD = "quick brown fox"
# As cheap as argon2 can be; what a password costs in the product is tested where passwords are.
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


class Cast(NamedTuple):
    """Everybody, saved; each signs in with PASSWORD."""

    ann: User
    marek: User
    priya: User
    tom: User


def make_cast() -> Cast:
    """Save the four people."""
    everybody = Cast(
        ann=_person("Ann Berg", "admin"),
        marek=_person("Marek Nowak", "manager"),
        priya=_person("Priya Nair", "rep"),
        tom=_person("Tom Reyes", "rep"),
    )
    save(*everybody)
    return everybody


def _person(name: str, role: str) -> User:
    first = name.partition(" ")[0].lower()
    return User(name=name, email=f"{first}@example.org", role=role, password_hash=_HASH)
