"""Lifecycle signals, sent once, after the COMMIT, never inside the transaction.

Sender: `crmweb.services.DealService`. Subscribe with `CRMLifecycleEvent.ON_DEAL_WON.connect(function)`; the signal
holds `function` strongly. A subscriber that fails is logged with its name and breaks nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from blinker import ANY, Signal

F = TypeVar("F", bound=Callable[..., Any])
log = logging.getLogger("crmweb.signals")


class LifecycleSignal(Signal):
    """A blinker signal that keeps its subscribers alive."""

    def connect(self, receiver: F, sender: Any = ANY, weak: bool = False) -> F:
        return super().connect(receiver, sender, weak)


class CRMLifecycleEvent:
    """The documents' three events.

    ON_DEAL_STAGE_CHANGE: `deal, old_stage, new_stage, user_email`, after any stage change of an existing deal.
    ON_DEAL_WON, ON_DEAL_LOST: `deal, user_email`, after it when the new stage is closed_won or closed_lost.
    """

    ON_DEAL_STAGE_CHANGE = LifecycleSignal("Any stage change of an existing deal")
    ON_DEAL_WON = LifecycleSignal("A deal entered a closed_won stage")
    ON_DEAL_LOST = LifecycleSignal("A deal entered a closed_lost stage")


class Event(NamedTuple):
    """A signal and its payload, waiting for the COMMIT."""

    signal: LifecycleSignal
    payload: dict[str, Any]


_sender: Any = None


def speak_for(sender: Any) -> Any:
    """Make `sender` (a class) the sender of every event; usable as a decorator."""
    global _sender
    _sender = sender
    return sender


def announce(events: Iterable[Event]) -> bool:
    """Send each event to each subscriber, whatever any of them does; whether all went well."""
    all_went_well = True
    for event in events:
        for receiver in event.signal.receivers_for(_sender):
            try:
                receiver(_sender, **event.payload)
            except Exception:
                all_went_well = False
                name = getattr(receiver, "__qualname__", repr(receiver))
                log.exception("The subscriber %s failed on “%s”.", name, event.signal.__doc__)
    return all_went_well
