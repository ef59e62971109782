"""What is to be done next about a deal: by whom, and when, in the words in which people say it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy.orm import Session

from crmweb import clock
from crmweb.forms.activities import active_person, day_due, due_on
from crmweb.forms.fields import Choice, Day, Reference, Text, offer
from crmweb.forms.records import EditForm, RecordForm
from crmweb.models import Activity, Deal

ON_A_DAY = "on"


def soon(today: date) -> dict[str, tuple[str, date]]:
    """Days that people name without a calendar: key → words and day. The next week begins with its Monday."""
    return {
        "today": ("Today", today),
        "tomorrow": ("Tomorrow", today + timedelta(days=1)),
        "in_3_days": ("In 3 days", today + timedelta(days=3)),
        "next_week": ("Next week", today + timedelta(days=7 - today.weekday())),
    }


class NextStepForm(EditForm):
    """A deal's next step, new or changed. `when` names a day near by, says ON_A_DAY, or is empty: no day."""

    model = Activity
    renamed = {"due_at": "due_on"}  # noqa: RUF012

    subject = Text("What is to do?", required="What is to do? Write it in a few words.")
    when = Choice("When")
    due_on = Day("Day")
    assigned_to_id = Reference("For", missing="This person is not active any more. Choose somebody else.")

    def __init__(self, formdata: Any = None, **values: Any) -> None:
        super().__init__(formdata, **values)
        days = soon(clock.today())
        near = [(key, words) for key, (words, _) in days.items()]
        self.when.choices = offer([*near, (ON_A_DAY, "On a day"), (None, "No day")])
        if formdata and "when" in formdata and self.when.data != ON_A_DAY:
            day = days[self.when.data][1] if self.when.data in days else None
            self.due_on.data, self.due_on.raw_data = day, [day.isoformat() if day else ""]
            self.due_on.process_errors = []

    @property
    def compared(self) -> list[str]:
        return ["subject", "due_on", "assigned_to_id"]

    def stored(self, record: Any) -> dict[str, Any]:
        """What the task holds; of when it is due, the day."""
        return {
            "subject": record.subject,
            "due_on": day_due(record.due_at),
            "assigned_to_id": record.assigned_to_id,
        }

    def validate(self, extra_validators: Any = None) -> bool:
        """The same, and a day must be there when one was promised."""
        super().validate(extra_validators)
        if self.when.data == ON_A_DAY and self.due_on.data is None and not self.due_on.errors:
            self.blame("due_on", "Choose the day.")
        return not self.errors

    def add(self, session: Session, deal: Deal) -> None:
        """The new task, on the locked deal."""
        doer = active_person(session, self.assigned_to_id)
        due = due_on(self.due_on.data)
        session.add(Activity(type="task", subject=self.subject.data, due_at=due, assigned_to=doer, deal=deal))

    def write(self, session: Session, task: Activity) -> None:
        """Change the locked task. Raises EditConflict, FieldError."""
        edits = self.edits(task)
        if "subject" in edits:
            task.subject = edits["subject"]
        if "due_on" in edits:
            task.due_at = due_on(edits["due_on"])
        if "assigned_to_id" in edits:
            task.assigned_to = active_person(session, self.assigned_to_id)


class DoneForm(RecordForm):
    """The tick: it says nothing but that a task is done."""

    model = Activity
