"""The shape of the code, checked: who may import whom, who may commit, what a template may hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "crmweb"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEMPLATES = sorted((CHECKOUT / "templates").rglob("*.html"))

# From the ground up. A module imports from its own layer and from those below it.
LAYERS = (
    ("clock", "config", "errors", "passwords", "signals"),
    ("models",),
    ("extensions",),
    ("ledger", "next_steps", "noting", "queries", "rights", "throttles", "totals", "transactions"),
    ("workflow",),
    ("changes",),
    ("backup", "deliver", "doctor", "invitations", "sign_in", "ticks", "trial", "undo"),
    ("forms",),
    ("api", "cli", "commands", "run", "seeds", "services", "web", "worker"),
    # Listeners stand outside; only the application's factory, which connects everything, knows them.
    ("live", ""),
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}
# `run` starts the finished application, as the command line does.
KNOWS_THE_FACTORY = {"run"}
# The one door itself; and a savepoint, whose end commits nothing.
COMMIT_ELSEWHERE = {"changes", "savepoint"}
MOST_LINES = 250
MOST_SCRIPT_LINES = 600
SAYS_NOTHING = re.compile(r"(^|_)(utils?|helpers?|managers?|handlers?|misc|common)($|_)")


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def module_of(path: Path) -> str:
    """`crmweb/models/deal.py` is `models`, `crmweb/clock.py` is `clock`, `crmweb/__init__.py` is ``."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Each crmweb module that `path` imports, wherever in the file, with its line; not those for types alone."""
    tree = ast.parse(path.read_text())
    for node in _at_run_time(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path)
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "crmweb" else [base]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "crmweb":
                known = parts[1] if len(parts) > 1 and parts[1] in _TOP else ""
                yield known, node.lineno


_TOP = {module_of(path) for path in MODULES}


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = path.relative_to(CHECKOUT).parts[: -node.level]
    return ".".join([*package, *filter(None, [node.module])])


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from (deeper for other in child.orelse for deeper in (other, *_at_run_time(other)))
            continue
        yield child
        yield from _at_run_time(child)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    own = module_of(path)
    assert own in HEIGHT, f"Give {own} a layer in {name_of(Path(__file__))}."
    upwards = [
        f"line {line}: crmweb.{imported}"
        for imported, line in imports(path)
        if HEIGHT[imported] > HEIGHT[own] and not (own in KNOWS_THE_FACTORY and not imported)
    ]
    assert not upwards, f"{name_of(path)} imports from above: {', '.join(upwards)}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_models_know_no_framework(path: Path) -> None:
    if module_of(path) != "models":
        return
    words = re.findall(
        r"^\s*(?:from|import) (flask\w*|werkzeug|jinja2|wtforms)\b", path.read_text(), re.MULTILINE
    )
    assert not words, f"{name_of(path)} is plain SQLAlchemy; it must not import {words}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MOST_LINES, f"{name_of(path)} has {lines} lines; at most {MOST_LINES}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_changes_commits(path: Path) -> None:
    if module_of(path) == "changes":
        return
    calls = [
        f"line {node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
        and not (isinstance(node.func.value, ast.Name) and node.func.value.id in COMMIT_ELSEWHERE)
    ]
    assert not calls, f"{name_of(path)} commits by itself ({', '.join(calls)}); use changes.commit()"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert not SAYS_NOTHING.search(path.stem), f"{name_of(path)}: this name says nothing about what is inside"


def test_every_model_is_tracked_or_listed_as_untracked() -> None:
    from crmweb import ledger, models  # noqa: PLC0415  only this test needs the models

    listed = [*ledger.TRACKED, *ledger.UNTRACKED]
    known = {mapper.class_ for mapper in models.Base.registry.mappers}
    assert len(listed) == len(set(listed)), "a model is listed twice"
    assert known == set(listed), f"neither tracked nor untracked: {known ^ set(listed)}"


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_trusts_no_data(path: Path) -> None:
    text = path.read_text()
    found = re.findall(r"\|\s*safe\b|\bMarkup\b|autoescape\s+false", text)
    assert not found, f"{name_of(path)} switches escaping off: {found}"


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_holds_no_script_and_no_style(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    inline = re.findall(
        r"""<script(?![^>]*\bsrc=)[^>]*>|<style\b|\sstyle\s*=|\shx-on\b|\shx-vals\s*=\s*["']js:|\son[a-z]+\s*=|javascript:""",
        text,
        re.IGNORECASE,
    )
    filters = re.findall(r"""hx-trigger\s*=\s*["'][^"']*\w\[""", text)
    assert not inline + filters, f"{name_of(path)}: the content security policy forbids {inline + filters}"


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_a_template_loads_nothing_from_other_sites(path: Path) -> None:
    elsewhere = re.findall(
        r"""(?:src|href|action|hx-(?:get|post))\s*=\s*["'](?:https?:)?//[^"']*""", path.read_text()
    )
    assert not elsewhere, f"{name_of(path)} loads from elsewhere: {elsewhere}"


@pytest.mark.parametrize("path", [path for path in TEMPLATES if path.name.startswith("_")], ids=name_of)
def test_a_partial_says_what_it_is_and_needs(path: Path) -> None:
    first = path.read_text().lstrip()
    comment = re.match(r"\{#-?\s+(\S.*?)\s*-?#\}", first, re.DOTALL)
    assert comment, f"{name_of(path)} does not begin with a comment"
    if path.name != "_ui.html":  # macros say it one by one
        assert re.search(r"\bNeeds\b[^:.]*:", comment[1]), (
            f"{name_of(path)}: the first comment does not say what it needs"
        )


def test_the_scripts_stay_small() -> None:
    scripts = {name_of(path): len(path.read_text().splitlines()) for path in CHECKOUT.glob("static/js/*.js")}
    assert sum(scripts.values()) <= MOST_SCRIPT_LINES, (
        f"more than {MOST_SCRIPT_LINES} lines in all: {scripts}"
    )
