"""What a person does in the browser, in the person's words. Everything is found by role and name, as people find it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, Response, Route, expect

DEMO_PASSWORD = "pipeline-demo"
LONG_PRESS = 320
"""Milliseconds that a finger rests on a card before it comes along; the board asks for 220."""

Spot = tuple[float, float]
_cookies: dict[str, list[dict[str, str]]] = {}


def sign_in_as(page: Page, role: str = "manager") -> None:
    """Sign in as the demo company's `admin`, `manager` or `rep`: once a run, then with the same session."""
    if role not in _cookies:
        sign_in_anew(page, role)
        _cookies[role] = page.context.cookies()  # type: ignore[assignment]
    page.context.add_cookies(_cookies[role])  # type: ignore[arg-type]


def forget_sign_ins() -> None:
    """Another server knows nothing of them."""
    _cookies.clear()


def sign_in_anew(page: Page, role: str = "manager") -> None:
    """Sign in by the form; for tests that end this session."""
    page.goto("/login")
    page.get_by_label("E-mail").fill(f"{role}@example.com")
    page.get_by_label("Password").fill(DEMO_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/login"))


def open_board(page: Page, pipeline_id: object | None = None, server: str = "") -> None:
    """Open the board of a pipeline, or the one seen last; on the run's server, or on the one whose address is given."""
    page.goto(f"{server}/pipelines/{pipeline_id}" if pipeline_id else f"{server}/")
    expect(page.get_by_role("region").first).to_be_visible()


def column(page: Page, stage: str) -> Locator:
    """The column of a stage."""
    return page.get_by_role("region", name=stage, exact=True)


def card(page: Page, deal: str) -> Locator:
    """The card of a deal, wherever it lies."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=deal, exact=True))


def cards_in(page: Page, stage: str) -> list[str]:
    """The names of the deals that a column shows, from the top."""
    cards = column(page, stage).locator("[data-deal-id]")
    return cards.evaluate_all("cards => cards.map(card => card.querySelector('a').textContent.trim())")


def count_of(page: Page, stage: str) -> int:
    """How many deals a column says it has."""
    return int(column(page, stage).get_attribute("data-count") or "")


def timeline(page: Page) -> Locator:
    """The entries of the open deal's timeline, newest first."""
    return page.get_by_role("list", name="Timeline").get_by_role("listitem")


def answered(page: Page, act: Callable[[], object]) -> Response:
    """Do `act`, which moves a card, and wait for the server's answer and for the page to show it."""
    with page.expect_response(lambda response: response.url.endswith("/stage")) as answer:
        act()
    expect(page.locator("[data-deal-id][aria-busy=true]")).to_have_count(0)
    return answer.value


def drag_card(page: Page, deal: str, stage: str, *, above: str | None = None) -> Response:
    """Drag a card with the mouse to the top of a column, or above another card; answers the server's answer."""
    return answered(page, lambda: drop_card(page, deal, stage, above=above))


def drop_card(page: Page, deal: str, stage: str, *, above: str | None = None) -> None:
    """The same without waiting for an answer, for when there will be none."""
    target = card(page, above) if above else _top_of(page, stage)
    card(page, deal).drag_to(target, target_position={"x": 40, "y": 4}, steps=10)


def lift_card(page: Page, deal: str, *, over: str) -> None:
    """Pick a card up with the mouse and hold it over another one."""
    start, end = middle(card(page, deal)), middle(card(page, over))
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)


def touch_drag_card(page: Page, deal: str, stage: str) -> Response:
    """Hold a finger on a card until it comes along, and drag it to the top of a column that is in sight."""
    end = middle(_top_of(page, stage), top=True)
    return answered(page, lambda: _stroke(page, middle(card(page, deal)), end, rest=LONG_PRESS))


def touch_drag(page: Page, grip: Locator, above: Locator) -> None:
    """Drag by a grip that is there for it, with a finger, to the upper edge of another row."""
    _stroke(page, middle(grip), middle(above, top=True))


def swipe(page: Page, deal: str, *, up: int) -> None:
    """Put a finger on a card and push it up at once, as one scrolls."""
    x, y = middle(card(page, deal))
    _stroke(page, (x, y), (x, y - up))


def move_by_keyboard(page: Page, deal: str, keys: str = "Shift+ArrowRight") -> Response:
    """Focus a card and press `keys`."""
    card(page, deal).get_by_role("link", name=deal, exact=True).focus()
    return answered(page, lambda: page.keyboard.press(keys))


def move_by_dialog(page: Page, deal: str, stage: str, *, note: str = "") -> Response:
    """Use the card's Move link: choose a stage, write a note, confirm."""
    page.get_by_role("link", name=f"Move {deal}", exact=True).click()
    return answered(page, lambda: fill_in_move(page, stage, note=note))


def fill_in_move(page: Page, stage: str, *, note: str = "") -> None:
    """Fill in the open move form, dialog or page, and send it."""
    form = page.get_by_role("form", name=re.compile("^Move"))
    form.get_by_role("radio", name=stage).check()
    if note:
        form.get_by_label("Note").fill(note)
    form.get_by_role("button", name=re.compile("^Move")).click()


def pause_live(page: Page) -> None:
    """The page hears nothing of other people's changes from now on, as on a slow line."""
    page.route("**/changes?*", lambda route: route.fulfill(status=304))


def hold(page: Page, addresses: str) -> list[Route]:
    """Requests to `addresses` wait from now on, until the test lets each of them go on."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(addresses, keep)
    return held


def look_again(page: Page) -> None:
    """Come back to the page from another window: it asks at once what others did."""
    page.evaluate("() => dispatchEvent(new Event('focus'))")


def announcement(page: Page) -> Locator:
    """What a screen reader is told after a success."""
    return page.get_by_role("status").first


def refusal(page: Page) -> Locator:
    """What everybody is told when something was refused."""
    return page.get_by_role("alert")


def _top_of(page: Page, stage: str) -> Locator:
    first = column(page, stage).locator("[data-deal-id]").first
    return first if first.count() else column(page, stage).get_by_role("list")


def middle(place: Locator, *, top: bool = False) -> Spot:
    """Where something is on the screen: the middle of it, or of its upper edge."""
    box = place.bounding_box()
    assert box is not None, "it is not on the screen"
    return box["x"] + box["width"] / 2, box["y"] + (4 if top else box["height"] / 2)


class Finger:
    """A finger on the screen."""

    def __init__(self, page: Page, place: Spot) -> None:
        self.session = page.context.new_cdp_session(page)
        self.place = place
        self._touch("touchStart", place)

    def over(self, place: Locator) -> None:
        """Move it in a line to the middle of something."""
        self.move(middle(place))

    def move(self, end: Spot) -> None:
        """Move it in a line."""
        (x, y), self.place = self.place, end
        for step in range(1, 13):
            way = step / 12
            self._touch("touchMove", (x + (end[0] - x) * way, y + (end[1] - y) * way))

    def let_go(self) -> None:
        """Take it off the screen."""
        self._touch("touchEnd")

    def _touch(self, kind: str, *points: Spot) -> None:
        self.session.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        )


@contextmanager
def held_card(page: Page, deal: str) -> Iterator[Finger]:
    """Hold a finger on a card until it comes along."""
    x, y = middle(card(page, deal))
    finger = Finger(page, (x, y))
    page.wait_for_timeout(LONG_PRESS)
    finger.move((x, y - 24))
    yield finger


def _stroke(page: Page, start: Spot, end: Spot, *, rest: int = 0) -> None:
    """A finger comes down, rests for so many milliseconds, moves in a line and goes up."""
    finger = Finger(page, start)
    page.wait_for_timeout(rest)
    finger.move(end)
    finger.let_go()
