"""Is everything in order? One checker for operators, backups and tests.

What concerns the database as such is in `database`; the invariants, one query each, are in `deals` and `records`. To
add a check: one function there, its name in `CHECKS`, and a test that breaks what it guards and sees it found.
"""

from __future__ import annotations

from sqlalchemy import Connection

from crmweb.doctor import database, deals, records
from crmweb.doctor.findings import Finding

__all__ = ["CHECKS", "Finding", "errors", "examine"]

CHECKS = (*database.CHECKS, *deals.CHECKS, *records.CHECKS)


def examine(connection: Connection) -> list[Finding]:
    """Everything that is wrong in the database, worst first. Reads only.

    An unreadable file or tables of another release end it early: no query after that would mean anything.
    """
    found: list[Finding] = []
    for check in database.CHECKS:
        found += check(connection)
        if any(finding.is_fatal for finding in found):
            return found
    for check in (*deals.CHECKS, *records.CHECKS):
        found += check(connection)
    return sorted(found, key=lambda finding: finding.is_warning)


def errors(found: list[Finding]) -> list[Finding]:
    """Those of the findings that are more than warnings."""
    return [finding for finding in found if not finding.is_warning]
