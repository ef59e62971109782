"""The answer to a form that was saved: where it goes on, and which rules did not run although it was."""

from __future__ import annotations

from flask import flash
from werkzeug.wrappers import Response

from crmweb.forms.records import RecordForm
from crmweb.web.htmx import see_other


def saved(form: RecordForm, url: str) -> Response:
    """Go on to `url`, where a toast tells of each rule that did not run."""
    for failure in form.failures:
        flash(f"Saved. {failure}", "refusal")
    return see_other(url)
