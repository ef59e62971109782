"""Letting a deal sleep: until a day, because of something. Nobody is told meanwhile that it is quiet."""

from __future__ import annotations

from typing import Any

from crmweb import clock
from crmweb.errors import FieldError
from crmweb.forms.fields import Day, Text
from crmweb.forms.records import EditForm, RecordForm
from crmweb.models import Deal


class SnoozeForm(EditForm):
    """Until when, and why."""

    model = Deal

    snoozed_until = Day("Snooze until")
    snooze_reason = Text("Because", required="Write why, so that others know: “on leave until May”.")

    def validate(self, extra_validators: Any = None) -> bool:
        """The same, and the day must be one to come."""
        super().validate(extra_validators)
        if not self.snoozed_until.errors and (
            not self.snoozed_until.data or self.snoozed_until.data <= clock.today()
        ):
            self.blame("snoozed_until", "Choose a day after today.")
        return not self.errors

    def write(self, deal: Deal) -> None:
        """Let the locked deal sleep. Raises EditConflict, FieldError."""
        if deal.status != "open":
            raise FieldError("snoozed_until", "Only an open deal can sleep; this one is closed by now.")
        for name, value in self.edits(deal).items():
            setattr(deal, name, value)


class WakeForm(RecordForm):
    """The end of a sleep: it says nothing else."""

    model = Deal

    def write(self, deal: Deal) -> None:
        """Wake the locked deal."""
        deal.snoozed_until = deal.snooze_reason = None
