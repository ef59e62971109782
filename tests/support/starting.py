"""`make run` as a newcomer types it, and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.server import CHECKOUT, PATIENCE

Process = subprocess.Popen[str]
Start = Callable[..., Process]


def start(folder: Path, port: int, **environment: str) -> Process:
    """Start Crmweb on `port` without a demo, its database and files in `folder`, unless the environment says else."""
    own = {"CRMWEB_INSTANCE": str(folder), "PORT": str(port), "WEB_CONCURRENCY": "1", "DEMO": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "crmweb.run"],
        cwd=CHECKOUT,
        env={**os.environ, **own, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stop(process: Process) -> None:
    """Let it end, and wait until it has."""
    process.terminate()
    process.wait(PATIENCE)
    assert process.stdout
    process.stdout.close()


def said_until(process: Process, words: str) -> str:
    """What the process prints up to the line that holds `words`."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"It never said “{words}”, but:\n{said}")


def last_words(process: Process) -> str:
    """All that the process prints until it has ended."""
    return process.communicate(timeout=PATIENCE)[0]
