"""Measures the board, the move and the rules at two sizes in one run, so that the ratios hold on any machine.

Each round asks every installation in turn: what slows the machine down for a moment slows them all. The least of all
rounds is what the work itself costs. Milliseconds compare only within a run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.cost import Cost, table
from bench.installation import Installation

FEW = 100


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure as the command line asks, and print."""
    asked = _asked(arguments)
    with tempfile.TemporaryDirectory(prefix="crmweb-bench-") as folder:
        home = asked.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        installations = [
            Installation(home / "few", deals=FEW),
            Installation(home / f"many-{asked.deals}", deals=asked.deals),
            Installation(home / f"ruled-{asked.rules}", deals=FEW, rules=asked.rules),
        ]
        costs = _measure(installations, asked.rounds)
        for installation in installations:
            installation.close()
    print(table(f"{FEW:,} deals", f"{asked.deals:,} deals", costs[0], costs[1]))
    print()
    moves = [{"A move (drop)": each["A move (drop)"]} for each in (costs[0], costs[2])]
    print(table("0 idle rules", f"{asked.rules:,} idle rules", *moves))
    print(f"\nThe least of {asked.rounds} rounds; bytes before compression. A lane shows 25 cards at first.")


def _measure(installations: list[Installation], rounds: int) -> list[dict[str, Cost]]:
    costs: list[dict[str, Cost]] = [{} for _ in installations]
    for number in range(-3, rounds):  # the first ones warm caches
        for installation, known in zip(installations, costs, strict=True):
            for name, cost in installation.round():
                if number >= 0:
                    known[name] = cost.least(known.get(name))
        _progress(number, rounds)
    return costs


def _progress(number: int, rounds: int) -> None:
    if sys.stderr.isatty():
        print(
            f"\rround {max(0, number + 1)} of {rounds}",
            end="\n" if number + 1 == rounds else "",
            file=sys.stderr,
        )


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--deals", type=_number, default=10_000, metavar="N", help="deals of the large one (10,000)"
    )
    parser.add_argument("--rules", type=_number, default=100, metavar="N", help="idle rules (100)")
    parser.add_argument("--rounds", type=_number, default=30, metavar="N", help="rounds (30)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep the databases there for the next run"
    )
    return parser.parse_args(arguments)


def _number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number from 1 on")
    return int(text)


if __name__ == "__main__":
    main()
