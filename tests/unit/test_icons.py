"""The sprite holds the icons that templates draw, and no others: every first view pays for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import Environment, nodes

from crmweb.web.assets import STATIC
from crmweb.web.navigation import PLACES
from tools.make_icons import ICONS

TEMPLATES = STATIC.parent / "templates"
ICON_ARGUMENT = {"icon": 0, "button": 2, "tag": 2}
"""The macros of _ui.html that draw an icon, and which argument names it, when it is not `icon_name`."""
TABLES = {"icons", "looks"}
"""What templates call a table from kinds of things to icons; a row that says more ends with the icon."""


def trees() -> Iterator[nodes.Template]:
    jinja = Environment(autoescape=True)
    for path in sorted(TEMPLATES.rglob("*.html")):
        yield jinja.parse(path.read_text())


def names(choice: nodes.Node) -> Iterator[str]:
    """The icons that an expression may come to: a word, a choice between words, a look into a table."""
    if isinstance(choice, nodes.Const):
        yield choice.value
    elif isinstance(choice, nodes.CondExpr):
        yield from names(choice.expr1)
        yield from names(choice.expr2) if choice.expr2 else ()
    elif isinstance(choice, nodes.Getitem):
        yield from names(choice.node)
    elif isinstance(choice, nodes.Dict):
        for row in choice.items:
            yield from names(row.value)
    elif isinstance(choice, nodes.Tuple):
        yield from names(choice.items[-1])


def arguments(call: nodes.Call) -> Iterator[nodes.Node]:
    """What a call names its icon with: `ui.icon("x")`, `ui.tag("Lost", "", "x")`, `ui.button("Won", icon_name="x")`."""
    macro = call.node.attr if isinstance(call.node, nodes.Getattr) else getattr(call.node, "name", "")
    if macro in ICON_ARGUMENT:
        place = ICON_ARGUMENT[macro]
        yield from call.args[place : place + 1]
        yield from (given.value for given in call.kwargs if given.key == "icon_name")


def drawn() -> set[str]:
    """All icons that templates are seen to draw."""
    found = {icon for _, _, icon in PLACES}
    for tree in trees():
        choices = [choice for call in tree.find_all(nodes.Call) for choice in arguments(call)]
        settings = tree.find_all(nodes.Assign)
        choices += [setting.node for setting in settings if getattr(setting.target, "name", "") in TABLES]
        found.update(name for choice in choices for name in names(choice))
    return found


def in_sprite() -> set[str]:
    return set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))


def test_every_icon_that_is_drawn_is_in_the_sprite() -> None:
    assert drawn() - in_sprite() == set(), "Add them to ICONS in tools/make_icons.py and run it."


def test_every_icon_in_the_sprite_is_drawn_somewhere() -> None:
    assert in_sprite() - drawn() == set(), "Take them out of ICONS in tools/make_icons.py and run it."


def test_the_sprite_is_what_its_tool_makes() -> None:
    assert in_sprite() == set(ICONS)
