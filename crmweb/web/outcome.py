"""What follows when something was saved: where it goes on, what is told there, and how it is taken back."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from flask import flash, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from crmweb.forms.records import RecordForm
from crmweb.queries.runs import Failure
from crmweb.web.htmx import see_other


def saved(form: RecordForm, url: str) -> Response:
    """Go on to `url`, where a toast tells of each rule that did not run."""
    flash_failures(form.failures)
    return see_other(url)


def flash_failures(failures: Iterable[Failure], did: str = "Saved.") -> None:
    """Tell on the next page of each rule that did not run, with the way to its log."""
    for failure in failures:
        log = url_for("rules.show", rule_id=failure.rule_id, _anchor="runs")
        flash(Markup('{} {} <a href="{}">See the log</a>').format(did, failure.words, log), "refusal")


def with_undo(words: str, change_set_id: UUID, more: str = "", deal_id: UUID | None = None) -> dict[str, str]:
    """A toast that offers to take the change set back; `more` stands behind its words, `deal_id` is what was moved."""
    return {
        "words": words, "more": more, "change_set_id": str(change_set_id), "deal_id": str(deal_id or ""),
    }  # fmt: skip


def flash_with_undo(words: str, change_set_id: UUID) -> None:
    """The same on the next page."""
    flash(with_undo(words, change_set_id), "undo")  # type: ignore[arg-type]
