"""What a person writes onto a timeline: notes and tasks, and changes of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from crmweb import clock, config
from crmweb.errors import FieldError
from crmweb.forms.fields import Day, Paragraphs, Reference, Text
from crmweb.forms.records import EditForm, RecordForm
from crmweb.models import Activity, User

PLAIN_NOTE = "Note"
"""The subject of a note that has none of its own."""
END_OF_WORK = time(17)
"""When on its day, in the company's zone, a task is due."""


def due_on(day: date | None) -> datetime | None:
    """The moment (UTC) at which a task of this day is due."""
    if day is None:
        return None
    return datetime.combine(day, END_OF_WORK, ZoneInfo(config.settings.timezone)).astimezone(UTC)


def day_due(moment: datetime | None) -> date | None:
    """The day of a due moment, in the company's zone."""
    return None if moment is None else clock.day_of(moment)


class NoteForm(RecordForm):
    """A note: just its text."""

    model = Activity

    description = Paragraphs("Note", name="note", required="Write the note first.")

    def add(self, session: Session, **link: Any) -> Activity:
        """The new note, on `deal` or `entity`."""
        note = Activity(type="note", subject=PLAIN_NOTE, description=self.description.data, **link)
        session.add(note)
        return note


class TaskForm(RecordForm):
    """Something to do, and by when."""

    model = Activity

    subject = Text("Task", required="What is to do? Write it in a few words.")
    due_on = Day("Due")

    def add(self, session: Session, person_id: UUID, **link: Any) -> Activity:
        """The new task for the person, on `deal` or `entity`."""
        due = due_on(self.due_on.data)
        task = Activity(type="task", subject=self.subject.data, due_at=due, assigned_to_id=person_id, **link)
        session.add(task)
        return task


class ActivityForm(EditForm):
    """Changes of a note, a task or another activity; `keep_for` leaves out what its kind does not have."""

    model = Activity

    subject = Text("Subject", required=True)
    description = Paragraphs("Note", name="note")
    due_on = Day("Due")
    assigned_to_id = Reference("For", missing="This person is not active any more. Choose somebody else.")

    def keep_for(self, kind: str, subject: str) -> None:
        """Leave out the fields that an activity of this kind and subject does not have."""
        if kind != "task":
            del self.due_on, self.assigned_to_id
        if kind == "note" and subject == PLAIN_NOTE:
            del self.subject
            self.description.missing = "Write the note first."
            self.description.flags.required = True

    @property
    def compared(self) -> list[str]:
        return list(self._fields)

    def stored(self, record: Any) -> dict[str, Any]:
        """What the activity holds; of when it is due, the day."""
        return {
            name: day_due(record.due_at) if name == "due_on" else getattr(record, name)
            for name in self.compared
        }

    def write(self, session: Session, activity: Activity) -> None:
        """Change the locked `activity`. Raises EditConflict, FieldError."""
        for name, value in self.edits(activity).items():
            if name == "due_on":
                activity.due_at = due_on(value)
            elif name == "assigned_to_id":
                activity.assigned_to = active_person(session, self.assigned_to_id)
            else:
                setattr(activity, name, value)


def active_person(session: Session, field: Reference) -> User | None:
    """Whom the field names, None for nobody. FieldError unless the person is active."""
    user = session.get(User, field.data) if field.data else None
    if field.data and (user is None or not user.is_active):
        raise FieldError("assigned_to_id", field.missing)
    return user


def finish(activity: Activity, is_done: bool) -> None:
    """Tick a task off, or take the tick back."""
    if is_done != activity.is_completed:
        activity.completed_at = clock.now() if is_done else None
