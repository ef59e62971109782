"""The test client: a browser without JavaScript."""

from __future__ import annotations

import contextvars
from typing import Any

from flask.globals import _cv_app
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from crmweb.extensions import db


class Browser(FlaskClient):
    """A client that keeps the test and the server apart, as the network does.

    Each request has an application context, and so a database session, of its own; the clock is shared. After each,
    the test's session reads the database afresh.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        changed = (record for record in db.session.dirty if db.session.is_modified(record))
        pending = [*db.session.new, *changed, *db.session.deleted]
        assert not pending, f"Save with changes.commit() before the request: {pending}"
        db.session.rollback()
        apart = contextvars.copy_context()
        apart.run(_cv_app.set, None)
        return apart.run(super().open, *args, **kwargs)
