"""One file that holds everything, made while people work; and the way back.

`make` and `restore` know the two databases by their dialect: `sqlite` copies pages, `postgresql` calls PostgreSQL's own
programs. Both refuse with a BackupError in words, and then nothing was changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from crmweb.backup import postgresql, sqlite
from crmweb.backup.files import BackupError
from crmweb.doctor import Finding

__all__ = ["BackupError", "Made", "Restored", "make", "restore"]


@dataclass(frozen=True, slots=True)
class Made:
    """A backup was made; `errors` are what doctor found wrong in it."""

    size: int
    errors: list[Finding]


@dataclass(frozen=True, slots=True)
class Restored:
    """A backup was restored. `kept` holds what was there before; `errors` are what doctor found wrong."""

    kept: Path | None
    errors: list[Finding]


def make(engine: Engine, target: Path, force: bool = False) -> Made:
    """Write everything as of one moment to `target`, which appears only when it is whole and on the disk.

    Data that disagrees with itself is kept all the same: a backup with a fault is better than none. Raises BackupError
    when `target` exists (unless `force`) or cannot be written, and when the database cannot be read.
    """
    _refuse_target(target, force)
    errors = _kind(engine).make(engine, target)
    return Made(target.stat().st_size, errors)


def restore(engine: Engine, source: Path, keep_in: Path, force: bool = False) -> Restored:
    """Put what `source` holds in the place of everything in the database, in one step; signs everybody out.

    What was there is kept in a file in `keep_in` first. A backup of an older release is brought up to date. Raises
    BackupError when `source` is no whole backup of this kind of database, or of a newer release; and, without `force`,
    when doctor finds something wrong in it.
    """
    if not source.is_file():
        raise BackupError(f"There is no file {source}.")
    if not os.access(source, os.R_OK):
        raise BackupError(f"{source} may not be read.")
    return Restored(*_kind(engine).restore(engine, source, keep_in, force))


def _kind(engine: Engine) -> Any:
    return sqlite if engine.dialect.name == "sqlite" else postgresql


def _refuse_target(target: Path, force: bool) -> None:
    if target.is_dir():
        raise BackupError(f"{target} is a folder. Name a file in it.")
    if target.exists() and not target.is_file():
        raise BackupError(f"{target} is no ordinary file. Choose another name.")
    if not target.parent.is_dir():
        raise BackupError(f"There is no folder {target.parent}.")
    if not os.access(target.parent, os.W_OK):
        raise BackupError(f"The folder {target.parent} may not be written.")
    if target.exists() and not force:
        raise BackupError(f"{target} exists. Choose another name, or overwrite it with --force.")
