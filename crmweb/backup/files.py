"""What both kinds of backups do with files, and with migrations."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crmweb import clock
from crmweb.doctor import Finding
from crmweb.errors import CRMError
from crmweb.models import PasswordLink, Session, Throttle

CHECKOUT = Path(__file__).parents[2]
FORGOTTEN = (Session, PasswordLink, Throttle)
"""Not restored: a sign-in that was ended since, or a link that was used since, must not come back to life."""


class BackupError(CRMError):
    """No backup was made, or nothing restored, for the reason given."""


@contextmanager
def taking_its_place(target: Path) -> Iterator[Path]:
    """A file to write beside `target`, for its owner's eyes only; at the end it takes the place of `target` at once.

    When something fails it is removed, and `target` is as it was.
    """
    part = beside(target)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield part
        _to_the_disk(part)
        part.replace(target)
        _to_the_disk(target.parent)
    except OSError as reason:
        raise BackupError(f"{target} could not be written: {reason.strerror or reason}.") from reason
    finally:
        part.unlink(missing_ok=True)


def beside(file: Path) -> Path:
    """A name for unfinished work in the same folder."""
    return file.with_name(f".{file.name}.{os.getpid()}.part")


def name_to_keep(folder: Path, stem: str, suffix: str) -> Path:
    """A name, not taken, for what a restore replaces."""
    stamp = f"{clock.now():%Y%m%d-%H%M%S}"
    names = (
        folder / f"{stem}-before-restore-{stamp}{more}{suffix}"
        for more in ("", *map("-{}".format, range(2, 99)))
    )
    return next(name for name in names if not name.exists())


def refuse_faults(errors: list[Finding], source: Path, force: bool) -> None:
    """BackupError with what doctor found wrong in the backup, unless `force`."""
    if errors and not force:
        told = "\n".join(f"  {finding}" for finding in errors)
        raise BackupError(
            f"Doctor found faults in {source}:\n{told}\nNothing was restored. With --force it is."
        )


def refuse_release(standing: str, source: Path) -> None:
    """BackupError unless this release can read a backup of that standing."""
    if standing == "foreign":
        raise BackupError(f"{source} is not a backup of Crmweb. Nothing was restored.")
    if standing == "newer":
        raise BackupError(
            f"{source} was made by a newer release of Crmweb. Install that release first. Nothing was restored."
        )


def migrate(url: str) -> None:
    """Bring the database at `url` up to date, as `flask db upgrade` does. Raises BackupError."""
    upgrade = [sys.executable, "-m", "flask", "--app", "crmweb", "db", "upgrade"]
    environment = {**os.environ, "DATABASE_URL": url}
    done = subprocess.run(upgrade, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise BackupError(f"It is of an older release and could not be brought up to date: {last}")


def _to_the_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
