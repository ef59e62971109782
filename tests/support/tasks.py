"""How long the browser is busy in one go: what makes a drag stutter."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Page

TASK = "ThreadControllerImpl::RunTask"
MAIN_THREAD = "CrRendererMain"


def longest_task(page: Page, act: Callable[[], object]) -> float:
    """The milliseconds of processor time of the longest task of the page's main thread while `act` goes on.

    Processor time, since a busy machine makes every task look long.
    """
    browser = page.context.browser
    assert browser
    browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    try:
        act()
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    threads = {(event["pid"], event["tid"]) for event in named if event["args"].get("name") == MAIN_THREAD}
    tasks = [
        event.get("tdur", event["dur"])
        for event in events
        if event["name"] == TASK and "dur" in event and (event["pid"], event["tid"]) in threads
    ]
    assert tasks, "the browser told of no task"
    return max(tasks) / 1000
