"""The ear that all browser tests have: what a browser complains about fails them, unless they announced it."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support import pages
from tests.support.console import Console

COMPLAINTS = (
    ("document.body.setAttribute('style', 'color: red')", "inline style violates"),
    (
        "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
        "inline script violates",
    ),
    ("document.body.append(Object.assign(new Image(), {src: 'https://elsewhere.example/x.png'}))", "img-src"),
    ("setTimeout(() => missing())", "missing is not defined"),
    ("fetch('/no-such-file')", "404"),
)


def test_a_broken_policy_an_error_and_a_missing_file_are_all_heard(page: Page, console: Console) -> None:
    pages.sign_in_as(page)
    page.goto("/deals")
    for act, heard in COMPLAINTS:
        console.expect(heard)
        page.evaluate(f"async () => {{ await {act} }}")
    assert not console.verdict()
    assert len(console.complaints) == len(COMPLAINTS)
