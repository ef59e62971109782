"""Fills in the forms of a page as a person without scripts does: what is not typed is sent as the page has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.support.outside import Browser


@dataclass
class Form:
    """A form as it stands on a page. `fields`: what it would send; `offers`: the values of its lists and radios."""

    action: str
    fields: MultiDict[str, str] = field(default_factory=MultiDict)
    offers: dict[str, list[str]] = field(default_factory=dict)

    def send(self, browser: Browser, *, headers: dict[str, str] | None = None, **typed: Any) -> TestResponse:
        """Submit it with `typed` over what it holds; None leaves a field out."""
        values = self.fields.copy()
        for name, value in typed.items():
            values.poplist(name)
            if value is not None:
                values[name] = str(value)
        return browser.post(self.action, data=values, headers=headers or {})


@dataclass
class Page:
    """What a page holds for a person who fills in forms: the forms, and the sentence under each field.

    `starts`: the ids of what asks for the cursor when the page opens.
    """

    forms: list[Form] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    starts: list[str] = field(default_factory=list)

    def form(self, action: str) -> Form:
        """The one form whose action ends so."""
        found = [form for form in self.forms if form.action.endswith(action)]
        assert len(found) == 1, (
            f"{len(found)} forms for …{action} among {[form.action for form in self.forms]}"
        )
        return found[0]


def read(answer: TestResponse) -> Page:
    """The forms and errors of an answer."""
    reader = _Reader()
    reader.feed(answer.text)
    return reader.page


def form_at(browser: Browser, url: str, action: str | None = None) -> Form:
    """The form on the page at `url` that is sent to `action` (its end; none: to the page's own address)."""
    answer = browser.get(url)
    assert answer.status_code == 200, f"{url}: {answer.status}\n{answer.text}"
    return read(answer).form(action or url.partition("?")[0])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._form: Form | None = None
        self._select = self._textarea = ""
        self._text: list[str] | None = None
        self._error = ""
        self._alert = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "autofocus" in given:
            self.page.starts.append(given.get("id") or "")
        if tag == "form" and given.get("method") == "post" and "action" in given:
            self._form = Form(given["action"] or "")
            self.page.forms.append(self._form)
        elif tag == "p" and given.get("class") == "error":
            self._error, self._text = (given["id"] or "").removesuffix("-error"), []
        elif tag == "div" and given.get("class") == "form-error":
            self._alert, self._text = True, []
        elif self._form is not None and (given.get("name") or tag == "option"):
            self._note(tag, given)

    def _note(self, tag: str, given: dict[str, str | None]) -> None:
        assert self._form is not None
        name, value = given.get("name") or "", given.get("value") or ""
        if tag == "select":
            self._select = name
            self._form.offers[name] = []
        elif tag == "option":
            self._form.offers[self._select].append(value)
            if "selected" in given or len(self._form.offers[self._select]) == 1:
                self._form.fields[self._select] = value
        elif tag == "textarea":
            self._textarea, self._text = name, []
        elif tag == "input" and given.get("type") in ("radio", "checkbox"):
            self._form.offers.setdefault(name, []).append(value)
            if "checked" in given:
                self._form.fields[name] = value
        elif tag == "input":
            self._form.fields.add(name, value)

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._form is not None:
            # A browser drops the line end behind the tag.
            text = "".join(self._text or []).replace("\r\n", "\n")
            self._form.fields[self._textarea] = text.removeprefix("\n")
            self._textarea, self._text = "", None
        elif tag == "p" and self._error:
            self.page.errors[self._error] = "".join(self._text or []).strip()
            self._error, self._text = "", None
        elif tag == "div" and self._alert:
            self.page.alerts.append("".join(self._text or []).strip())
            self._alert, self._text = False, None
