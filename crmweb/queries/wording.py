"""What fields are called inside a sentence: "changed the amount"."""

from __future__ import annotations

FIELDS: dict[str, dict[str, str]] = {
    "Deal": {
        "stage_id": "the stage",
        "name": "the name",
        "amount": "the amount",
        "currency": "the currency",
        "entity_id": "the contact",
        "assigned_to_id": "the owner",
        "expected_close_date": "the close date",
        "lost_reason": "the lost reason",
        "snoozed_until": "the day until which it sleeps",
        "snooze_reason": "the reason why it sleeps",
        "custom_fields": "the other fields",
    },
    "Entity": {
        "name": "the name",
        "legal_name": "the legal name",
        "kind": "the kind",
        "status": "the status",
        "phone": "the phone number",
        "email": "the e-mail",
        "note": "the note",
        "assigned_to_id": "the owner",
        "custom_fields": "the other fields",
    },
    "Activity": {
        "type": "the type",
        "subject": "the subject",
        "description": "the text",
        "assigned_to_id": "the owner",
        "due_at": "the due date",
        "completed_at": "the day it was done",
        "duration_minutes": "the length",
        "location": "the place",
    },
}
"""Record type → field → words. Fields that follow others (a deal's status and dates) have none: nobody sets them."""


def field(record_type: str, name: str) -> str:
    """The field in words; what has none of its own is the stage's, which it follows."""
    return FIELDS[record_type].get(name, "the stage" if record_type == "Deal" else name.replace("_", " "))
