"""`python -m tests`: all tests, in three processes for two cores, of which none is idle until the last one ends.

One runs the tests that need a browser, two share the others file by file. The first writes as it goes, the others when
all have ended. With arguments it is pytest, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

PYTEST = (sys.executable, "-m", "pytest")
INTERRUPTED = 130


def main() -> int:
    """Run all parts; answers the worst exit code."""
    if sys.argv[1:]:
        return subprocess.run([*PYTEST, *sys.argv[1:]], check=False).returncode
    first, *others = commands()
    with ExitStack() as files:
        written = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in others]
        running = [
            subprocess.Popen(other, stdout=file, stderr=subprocess.STDOUT)
            for other, file in zip(others, written, strict=True)
        ]
        running.insert(0, subprocess.Popen(first))
        if not all_ended(running):
            return INTERRUPTED
        for file in written:
            file.seek(0)
            print(file.read(), flush=True)
    return max((process.returncode for process in running), key=abs)


def commands() -> list[list[str]]:
    """What to run at the same time; each has folders of its own for what it leaves behind."""
    color = "--color=yes" if sys.stdout.isatty() else "--color=no"
    integration = sorted(map(str, Path("tests/integration").glob("test_*.py")))
    parts = {"unit": ["tests/unit", *integration[::2]], "other": integration[1::2], "e2e": ["tests/e2e"]}
    return [
        [*PYTEST, *part, color, f"--output=test-results/{name}", "-o", f"cache_dir=.pytest_cache/{name}"]
        for name, part in parts.items()
    ]


def all_ended(running: list[subprocess.Popen[bytes]]) -> bool:
    """Wait until all have ended; whether nobody interrupted them."""
    try:
        running[0].wait()
        if any(process.poll() is None for process in running):
            print("Now waiting for the other tests.", flush=True)
        for process in running:
            process.wait()
    except KeyboardInterrupt:  # it reached all of them, too
        for process in running:
            process.wait()
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
