"""What follows when something was saved: where it goes on, what is told there, and how it is taken back."""

from __future__ import annotations

from uuid import UUID

from flask import flash
from werkzeug.wrappers import Response

from crmweb.forms.records import RecordForm
from crmweb.web.htmx import see_other


def saved(form: RecordForm, url: str) -> Response:
    """Go on to `url`, where a toast tells of each rule that did not run."""
    for failure in form.failures:
        flash(f"Saved. {failure}", "refusal")
    return see_other(url)


def with_undo(words: str, change_set_id: UUID, more: str = "", deal_id: UUID | None = None) -> dict[str, str]:
    """A toast that offers to take the change set back; `more` stands behind its words, `deal_id` is what was moved."""
    return {
        "words": words, "more": more, "change_set_id": str(change_set_id), "deal_id": str(deal_id or ""),
    }  # fmt: skip


def flash_with_undo(words: str, change_set_id: UUID) -> None:
    """The same on the next page."""
    flash(with_undo(words, change_set_id), "undo")  # type: ignore[arg-type]
