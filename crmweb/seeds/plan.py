"""How the demo company came to stand where it stands: weeks of acts, told backwards from `deals` by a fixed dice.

Pure: the same moment gives the same plan. Days are working days before today, so that nobody works on a Sunday.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal

from crmweb.seeds import deals, talk
from crmweb.seeds.acts import (
    Act,
    Completed,
    Edited,
    FollowedUp,
    Gone,
    Moved,
    Noted,
    Opened,
    Planned,
    Said,
    Snoozed,
)
from crmweb.seeds.deals import Stand

LADDERS = (
    (deals.LEAD, deals.QUALIFIED, deals.PROPOSAL, deals.NEGOTIATION, deals.WON),
    (deals.UPCOMING, deals.TALKS, deals.QUOTED, deals.RENEWED),
)
DEAD_ENDS = {
    deals.RISK: (deals.UPCOMING, deals.TALKS),
    deals.ENDED: (deals.UPCOMING, deals.TALKS, deals.RISK),
}
VERY_LARGE = Decimal(250_000)
MANAGER = "MW"
FIRST_DAY = 60
"""Working days before today on which the story begins."""


class Calendar:
    """Working days of the company's zone, counted back from the day of `now` (aware)."""

    def __init__(self, now: datetime, zone: tzinfo) -> None:
        self.now, self.zone = now.astimezone(zone), zone
        self.today = self.now.date()

    def workday(self, back: int) -> date:
        """The day that lies `back` working days before today; 0 is today, whatever day it is."""
        day = self.today
        while back:
            day -= timedelta(days=1)
            back -= day.weekday() < 5
        return day

    def at(self, day: date, minutes: float) -> datetime:
        """So many minutes after midnight of that day."""
        return datetime.combine(day, time(0), self.zone) + timedelta(minutes=minutes)

    def moment(self, back: int, dice: random.Random) -> datetime:
        """A moment of business hours on that day; today: within the last two hours."""
        minutes = dice.randrange(540)
        if not back:
            return self.now - timedelta(minutes=15 + minutes // 6)
        return self.at(self.workday(back), 7.5 * 60 + minutes)

    def between(self, start: datetime, end: datetime, dice: random.Random) -> datetime:
        """A moment of business hours between the two; if there is none, soon after `start`."""
        days = [start.date() + timedelta(days=day) for day in range((end - start).days + 1)]
        day = dice.choice([day for day in days if day.weekday() < 5] or days)
        moment = self.at(day, 7.5 * 60 + dice.randrange(540))
        soon = start + min((end - start) / 2, timedelta(minutes=dice.randrange(20, 90)))
        return moment if start < moment < end else soon


def plan(calendar: Calendar) -> list[Act]:
    """Everything that happened, in order, all of it before the calendar's now."""
    acts = [act for stand in (*deals.SALES, *deals.RENEWALS) for act in _story(stand, calendar)]
    acts += _about_customers(calendar)
    return sorted(acts, key=lambda act: act.at)


def _story(stand: Stand, calendar: Calendar) -> Iterator[Act]:
    dice = random.Random(f"crmweb {stand.name}")  # noqa: S311  a story, not a secret
    stays = _stays(stand, calendar, dice)
    yield from _opening(stand, stays, calendar, dice)
    for number, (stage, start) in enumerate(stays):
        end = stays[number + 1][1] if number + 1 < len(stays) else calendar.now
        who = MANAGER if stage in (deals.RISK, deals.ENDED) else stand.owner
        if number:
            yield _move(stand, stays[number - 1][0], stage, start, dice)
        if stage == stand.stage and end == calendar.now:
            yield from _present(stand, who, start, calendar, dice)
        else:
            yield from _past(stand, stage, who, (start, end), calendar, dice)
    if stand.name in deals.ASLEEP:
        days, reason = deals.ASLEEP[stand.name]
        asleep = calendar.between(stays[-1][1], calendar.now, dice)
        yield Snoozed(asleep, stand.owner, stand.name, calendar.today + timedelta(days=days), reason)
    if stand.name in talk.COMPLAINTS:
        complaint = talk.Saying("call", talk.COMPLAINTS[stand.name], "Promised an answer within a day.", 6)
        yield Said(calendar.between(stays[-1][1], calendar.now, dice), "TO", stand.name, complaint)


def _stays(stand: Stand, calendar: Calendar, dice: random.Random) -> list[tuple[str, datetime]]:
    """The stages that the deal was in, and when it came there."""
    ladder = next((steps for steps in LADDERS if stand.stage in steps), LADDERS[0])
    if stand.stage in DEAD_ENDS:
        path = [*DEAD_ENDS[stand.stage], stand.stage]
    elif stand.stage == deals.LOST:
        path = [*ladder[: dice.choice((1, 2, 3, 3, 4))], stand.stage]
    else:
        path = [*ladder[: ladder.index(stand.stage) + 1]]
    if deals.PROPOSAL in path[:-1] and dice.random() < 0.2:
        there = path.index(deals.PROPOSAL)
        path[there:there] = [deals.PROPOSAL, deals.QUALIFIED]
    back, stays = stand.since, []
    for stage in reversed(path):
        stays.append((stage, calendar.moment(back, dice)))
        back += dice.randint(1, max(1, min(8, (FIRST_DAY - back) // max(1, len(path) - len(stays)))))
    return stays[::-1]


def _opening(
    stand: Stand, stays: list[tuple[str, datetime]], calendar: Calendar, dice: random.Random
) -> Iterator[Act]:
    """The deal as it was made, and what was corrected since: amounts grow, closing days slip."""
    first, start = stays[0]
    end = stays[-1][1] if len(stays) > 1 else calendar.now
    closes = None if stand.closes is None else calendar.today + timedelta(days=stand.closes)
    amount, expected = stand.amount, closes
    if amount and (amount > VERY_LARGE or dice.random() < 0.15):
        amount = (amount * Decimal("0.5")).quantize(Decimal(100))
        yield Edited(calendar.between(start, end, dice), stand.owner, stand.name, amount=stand.amount)
    if expected and dice.random() < 0.2:
        expected -= timedelta(days=dice.choice((7, 14, 21)))
        yield Edited(calendar.between(start, end, dice), stand.owner, stand.name, closes=closes)
    yield Opened(start, stand.owner, stand.name, stand.customer, first, amount, stand.currency, expected)


def _move(stand: Stand, old: str, new: str, at: datetime, dice: random.Random) -> Moved:
    ladder = next((steps for steps in LADDERS if new in steps), ())
    if new in (deals.LOST, deals.ENDED):
        return Moved(at, stand.owner, stand.name, new, dice.choice(talk.LOST) or None, stand.lost)
    if new == deals.RISK:
        return Moved(at, stand.owner, stand.name, new, talk.AT_RISK)
    if old in ladder and ladder.index(new) < ladder.index(old):
        return Moved(at, stand.owner, stand.name, new, talk.MOVED_BACK)
    notes = talk.MOVED_ON[ladder.index(new)] if ladder is LADDERS[0] else ("", "As agreed last year.")
    who = MANAGER if dice.random() < 0.1 else stand.owner
    return Moved(at, who, stand.name, new, dice.choice(notes) or None)


def _past(
    stand: Stand,
    stage: str,
    who: str,
    stay: tuple[datetime, datetime],
    calendar: Calendar,
    dice: random.Random,
) -> Iterator[Act]:
    """What happened in a stage that the deal has left: some talk, perhaps a task that was done."""
    sayings = _sayings(stage)
    for saying in dice.sample(sayings, dice.choice((0, 0, 1, 1, 2))):
        yield Said(calendar.between(*stay, dice), who, stand.name, saying)
    if dice.random() < 0.12:
        subject, planned = dice.choice(talk.TASKS), calendar.between(*stay, dice)
        yield Planned(planned, who, stand.name, subject, planned + timedelta(days=2))
        yield Completed(calendar.between(planned, stay[1], dice), who, stand.name, subject)


def _present(
    stand: Stand, who: str, start: datetime, calendar: Calendar, dice: random.Random
) -> Iterator[Act]:
    """What happened since the deal came where it is: open deals have talk, and mostly a next step."""
    if stand.lost or stand.stage in (deals.WON, deals.RENEWED):
        return
    saying = dice.choice(_sayings(stand.stage))
    if dice.random() < 0.6:
        yield Said(calendar.between(start, calendar.now, dice), who, stand.name, saying)
    if dice.random() < 0.6:
        planned = calendar.between(start, calendar.now, dice)
        due = calendar.at(calendar.today + timedelta(days=dice.randint(-2, 9)), 9 * 60)
        due = due if due > planned else planned + timedelta(days=1)
        yield Planned(planned, who, stand.name, dice.choice(talk.TASKS), due)


def _sayings(stage: str) -> tuple[talk.Saying, ...]:
    ladder = next((steps for steps in LADDERS if stage in steps), ())
    return talk.SAYINGS[ladder.index(stage)] if ladder else talk.LATE


def _about_customers(calendar: Calendar) -> Iterator[Act]:
    dice = random.Random("crmweb customers")  # noqa: S311
    for number, (customer, text) in enumerate(talk.ABOUT_CUSTOMERS.items()):
        yield Noted(calendar.moment(30 - 4 * number, dice), ("AB", "PR", "MD")[number % 3], customer, text)
    for number, (customer, reason) in enumerate(talk.GONE.items()):
        yield Gone(calendar.moment(1 + 2 * number, dice), "LF", customer, reason)
    for back in (15, 6, 1):
        yield FollowedUp(calendar.moment(back, dice), MANAGER, keep=6)
