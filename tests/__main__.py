"""`python -m tests`: all tests, those that need a browser beside all others, because a machine has two cores.

The first half writes as it goes, the second when it has ended. With arguments it is pytest, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

PYTEST = (sys.executable, "-m", "pytest")
WITHOUT_BROWSER = ("tests/unit", "tests/integration", "--output=test-results/other")
WITH_BROWSER = ("tests/e2e", "--output=test-results/e2e", "-o", "cache_dir=.pytest_cache/e2e")
INTERRUPTED = 130


def main() -> int:
    """Run both halves; answers the worse exit code."""
    if sys.argv[1:]:
        return subprocess.run([*PYTEST, *sys.argv[1:]], check=False).returncode
    color = "--color=yes" if sys.stdout.isatty() else "--color=no"
    with tempfile.TemporaryFile("w+") as written:
        browser = subprocess.Popen([*PYTEST, *WITH_BROWSER, color], stdout=written, stderr=subprocess.STDOUT)
        other = subprocess.Popen([*PYTEST, *WITHOUT_BROWSER, color])
        try:
            other.wait()
            if browser.poll() is None:
                print("Now waiting for the browser tests.", flush=True)
            browser.wait()
        except KeyboardInterrupt:  # it reached both of them, too
            other.wait()
            browser.wait()
            return INTERRUPTED
        written.seek(0)
        print(written.read(), flush=True)
    return max(other.returncode, browser.returncode, key=abs)


if __name__ == "__main__":
    sys.exit(main())
