"""A process that moves deals, as one web process would: `python -m tests.support.mover` with its task as JSON.

It says each key once its move is acknowledged. Started again with the same task and a later `start`, it makes the
same moves with the same keys from there on, as a browser does that never heard the answer.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import asdict, dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from crmweb import changes, config, create_app
from crmweb.models import Deal
from crmweb.models.deal import Place


@dataclass(frozen=True)
class Task:
    """Which deals to move among which stages, how often; `name` makes the keys, and the order of the moves, its own."""

    settings: dict[str, str]
    deals: list[str]
    stages: list[str]
    moves: int
    name: str
    start: int = 0

    def command(self, start: int = 0) -> list[str]:
        """The command line of this process."""
        task = {**asdict(self), "start": start}
        return [sys.executable, "-m", "tests.support.mover", json.dumps(task)]


def main(task: Task) -> None:
    """Make the moves."""
    chance = random.Random(task.name)
    plan = [
        (chance.choice(task.deals), chance.choice(task.stages), chance.random()) for _ in range(task.moves)
    ]
    with create_app(config.read({}, **task.settings)).app_context():
        for number, (deal, stage, luck) in enumerate(plan[task.start :], task.start):

            def work(session: Session, deal: str = deal, stage: str = stage, luck: float = luck) -> None:
                place = Place(position=1 + int(luck * 4))
                Deal.locked(session, UUID(deal)).move_to(stage, key=f"{task.name}-{number}", place=place)  # noqa: B023

            changes.commit(work)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Task(**json.loads(sys.argv[1])))
