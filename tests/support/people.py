"""Lets a person of the test be signed in."""

from __future__ import annotations

import re
import secrets

from flask import Flask, session
from flask_wtf.csrf import generate_csrf
from werkzeug.test import TestResponse

from crmweb import changes
from crmweb.models import User
from crmweb.queries.sign_in import form_secret
from crmweb.sign_in import begin
from tests.support.outside import Browser, apart


def sign_in(browser: Browser, person: User) -> Browser:
    """Let `person` be signed in there, without the wait that a password costs; answers the browser.

    From then on each request proves that it was meant; `browser.token = None` stops that.
    """
    token, person_id = secrets.token_urlsafe(32), person.id
    changes.commit(
        lambda session: begin(session, person_id, token, "127.0.0.1", "a test"), cause="bookkeeping"
    )
    browser.set_cookie("crmweb", token)
    browser.token = apart(_forms_token, browser.application, token)
    return browser


def _forms_token(app: Flask, token: str) -> str:
    """What each page would say to this browser; to ask for one takes as long as many a test."""
    with app.test_request_context():
        session["csrf_token"] = form_secret(token)
        made: str = generate_csrf()
        return made


def csrf_token(page: TestResponse) -> str:
    """The token that every page carries for its scripts."""
    found = re.search(r'<meta name="csrf-token" content="([^"]+)">', page.text)
    assert found, f"No CSRF token in this answer ({page.status}):\n{page.text}"
    return found[1]
