"""Counters against guessing: an attempt counts before its password is looked at, and is given back when it was right.

An account is closed to one address after few failures, so that nobody who guesses locks its owner out; to all
addresses together after more; and an address that tries many accounts is closed as well.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.models import Throttle

WINDOW = timedelta(minutes=15)
TRIES_HERE, TRIES_ANYWHERE, TRIES_OF_AN_ADDRESS = 5, 25, 50


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether an attempt may be made, how many are `left` after it, and until when (UTC) there are none."""

    left: int
    locked_until: datetime | None = None
    is_refused: bool = False


def count(session: Session, account: str, address: str) -> Attempt:
    """Count one attempt at `account` from `address`, before it is known whether it is right."""
    limits = dict(
        zip(_keys(account, address), (TRIES_HERE, TRIES_ANYWHERE, TRIES_OF_AN_ADDRESS), strict=True)
    )
    moment = clock.now()
    _ensure(session, sorted(limits), moment)
    rows = session.scalars(
        select(Throttle).where(Throttle.key.in_(limits)).order_by(Throttle.key).with_for_update()
    ).all()
    for row in rows:
        if row.since + WINDOW <= moment:
            row.failures, row.since, row.locked_until = 0, moment, None
    locked = [row.locked_until for row in rows if row.locked_until and row.locked_until > moment]
    if locked:
        return Attempt(0, max(locked), is_refused=True)
    for row in rows:
        row.failures += 1
        if row.failures >= limits[row.key]:
            row.since, row.locked_until = moment, moment + WINDOW
    left = min(limits[row.key] - row.failures for row in rows)
    return Attempt(left, None if left else moment + WINDOW)


def give_back(session: Session, account: str, address: str) -> None:
    """The attempt was right: the account starts afresh, the address gets this one back."""
    *of_account, of_address = _keys(account, address)
    session.execute(delete(Throttle).where(Throttle.key.in_(of_account)))
    row = session.get(Throttle, of_address, with_for_update=True)
    if row is not None:
        row.failures, row.locked_until = max(row.failures - 1, 0), None


def _keys(account: str, address: str) -> tuple[str, str, str]:
    # Hashed, so that a key always fits and nothing that was typed into the wrong field is kept.
    whom = hashlib.sha256(account.strip().casefold().encode()).hexdigest()
    place = _network(address)
    return f"account {whom} from {place}", f"account {whom}", f"address {place}"


def _network(address: str) -> str:
    # Whoever has one IPv6 address mostly has the 2^64 beside it.
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((known, 64), strict=False)) if known.version == 6 else address


def _ensure(session: Session, keys: list[str], moment: datetime) -> None:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    rows = dialect.insert(Throttle).values([{"key": key, "failures": 0, "since": moment} for key in keys])
    session.execute(rows.on_conflict_do_nothing(index_elements=["key"]))
