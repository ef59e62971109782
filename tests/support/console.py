"""Listens to what a browser complains about: whatever a test did not announce fails it."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, ConsoleMessage, WebError


class Console:
    """The complaints of every context that it watches.

    Errors of scripts, violations of the content security policy, and requests that failed all count: Chromium writes
    each of them to its console.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._expected: list[str] = []

    def watch(self, context: BrowserContext) -> None:
        """Listen to every page that `context` opens."""
        context.on("console", self._note)
        context.on("weberror", self._note_error)

    def expect(self, part: str) -> None:
        """The coming complaint that holds `part` is wanted; a test in which it does not come fails."""
        self._expected.append(part)

    def verdict(self) -> list[str]:
        """What went wrong: complaints that nobody expected, and expected ones that did not come."""
        unexpected = [text for text in self.complaints if not any(part in text for part in self._expected)]
        missed = [part for part in self._expected if not any(part in text for text in self.complaints)]
        return unexpected + [f"expected, but did not come: {part}" for part in missed]

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def _note_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")
