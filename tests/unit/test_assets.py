"""What the browser fetches is joined, named after its content, compressed, and kept for ever."""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import TYPE_CHECKING

import brotli
import pytest
from flask import Flask

from crmweb.web import assets

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "css/10-first.css": "/* what it is */\n@layer base {\n  p { color: red }\n}\n",
        "css/20-second.css": '@font-face { src: url("../fonts/voice.woff2") }\n',
        "css/60-inbox.css": "b { color: red }\n",
        "fonts/voice.woff2": "a font",
        "js/board.js": "// what it is\n/** Why. */\nexport const say = (it) => console.log(it);\nconst mine = 1;\n",
        "js/board-keys.js": 'import { say } from "./board.js";\nconst mine = 2;\nsay(mine);\n',
        "js/shell.js": "const menus = 0;\n",
        "vendor/htmx-4.0.1.min.js": "htmx\n//# sourceMappingURL=htmx.min.js.map",
        "vendor/sortable-1.15.7.min.js": "sortable",
        "icons.svg": "<svg></svg>",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def app(folder: Path) -> Flask:
    app = Flask(__name__, static_folder=None)
    assets.init_app(app, folder)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_style_sheets_are_one_file_in_the_order_of_their_names_without_comments(folder: Path) -> None:
    css = assets.build(folder)["app.css"].body.decode()
    assert css.index("@layer base") < css.index("@font-face")
    assert "what it is" not in css


def test_the_board_does_not_carry_the_style_of_other_pages(folder: Path) -> None:
    built = assets.build(folder)
    assert b"b{color:red}" in built["pages.css"].body
    assert b"b{color:red}" not in built["app.css"].body


def test_a_vendored_script_loses_its_version_in_the_name(folder: Path) -> None:
    assert assets.build(folder)["htmx.js"].body.startswith(b"htmx")


def test_a_name_changes_with_the_content_and_only_then(folder: Path) -> None:
    before = assets.build(folder)
    (folder / "css/10-first.css").write_text("p { color: blue }")
    after = assets.build(folder)
    assert before["app.css"].url != after["app.css"].url
    assert before["htmx.js"].url == after["htmx.js"].url
    assert re.fullmatch(r"/assets/app\.[0-9a-f]{12}\.css", after["app.css"].url)


def test_a_font_is_named_in_the_style_sheet_as_it_is_served(folder: Path) -> None:
    built = assets.build(folder)
    assert f'url("{built["voice.woff2"].url}")' in built["app.css"].body.decode()


def test_a_pages_script_and_its_parts_are_one_file_and_keep_their_names_apart(folder: Path) -> None:
    built = assets.build(folder)
    assert built["board.js"].body.decode() == (
        "const say = (it) => console.log(it);\nconst mine = 1;\n\n{\nconst mine = 2;\nsay(mine);\n}"
    )
    assert "board-keys.js" not in built
    assert built["shell.js"].body == b"const menus = 0;\n"


def test_a_missing_font_stops_the_start_and_is_named(folder: Path) -> None:
    (folder / "fonts/voice.woff2").unlink()
    with pytest.raises(KeyError, match=r"voice\.woff2"):
        assets.build(folder)


def test_an_asset_is_kept_for_ever_and_compressed_for_who_takes_it(app: Flask, client: FlaskClient) -> None:
    url = app.jinja_env.globals["asset_url"]("app.css")
    plain = client.get(url)
    packed = client.get(url, headers={"Accept-Encoding": "gzip, deflate, br, zstd"})
    assert plain.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.content_type == "text/css; charset=utf-8"
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "br"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert brotli.decompress(packed.data) == plain.data


@pytest.mark.parametrize("wish", ["gzip, deflate", "br;q=0, gzip", "br;q=0.5, gzip;q=0.8"])
def test_who_does_not_take_or_want_brotli_gets_gzip(app: Flask, client: FlaskClient, wish: str) -> None:
    url = app.jinja_env.globals["asset_url"]("app.css")
    packed = client.get(url, headers={"Accept-Encoding": wish})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == client.get(url).data


@pytest.mark.parametrize("refusal", ["identity", "gzip;q=0", "deflate, br;q=0"])
def test_nobody_gets_a_coding_who_did_not_ask_for_it(app: Flask, client: FlaskClient, refusal: str) -> None:
    url = app.jinja_env.globals["asset_url"]("htmx.js")
    assert "Content-Encoding" not in client.get(url, headers={"Accept-Encoding": refusal}).headers


def test_a_font_is_sent_as_it_is(app: Flask, client: FlaskClient) -> None:
    answer = client.get(
        app.jinja_env.globals["asset_url"]("voice.woff2"), headers={"Accept-Encoding": "br, gzip"}
    )
    assert (answer.content_type, answer.data) == ("font/woff2", b"a font")


@pytest.mark.parametrize("name", ["app.css", "app.000000000000.css", "nothing.js"])
def test_an_unknown_name_is_not_there(client: FlaskClient, name: str) -> None:
    assert client.get(assets.PREFIX + name).status_code == 404


def test_a_changed_file_is_seen_at_once_while_debugging(folder: Path) -> None:
    app = Flask(__name__, static_folder=None)
    app.debug = True
    assets.init_app(app, folder)
    asset_url = app.jinja_env.globals["asset_url"]
    before = asset_url("shell.js")
    (folder / "js/shell.js").write_text("changed")
    assert asset_url("shell.js") != before
    assert app.test_client().get(asset_url("shell.js")).data == b"changed"


def test_a_page_is_compressed_when_it_is_large_and_the_browser_takes_it(
    app: Flask, client: FlaskClient
) -> None:
    app.add_url_rule("/large", "large", lambda: "<p>deal</p>" * 500)
    app.add_url_rule("/small", "small", lambda: "<p>deal</p>")
    for wish, coding, unpack in (
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip, deflate", "gzip", gzip.decompress),
    ):
        packed = client.get("/large", headers={"Accept-Encoding": wish})
        assert packed.headers["Content-Encoding"] == coding
        assert packed.headers["Content-Length"] == str(len(packed.data)) != str(11 * 500)
        assert unpack(packed.data) == client.get("/large").data
    small = client.get("/small", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in small.headers
    assert small.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_the_length_of_a_compressed_page_tells_nothing_about_a_secret_in_it(
    app: Flask, client: FlaskClient, coding: str
) -> None:
    app.add_url_rule("/page", "page", lambda: "<p>deal</p>" * 500)
    lengths = {len(client.get("/page", headers={"Accept-Encoding": coding}).data) for _ in range(30)}
    assert len(lengths) > 5


def test_a_download_is_left_alone(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/export", "export", lambda: (b"x" * 5000, {"Content-Type": "text/csv"}))
    assert "Content-Encoding" not in client.get("/export", headers={"Accept-Encoding": "gzip"}).headers


def test_all_scripts_together_stay_small() -> None:
    scripts = [one for name, one in assets.build().items() if name.endswith(".js")]
    assert sum(len(one.packed("gzip")) for one in scripts) <= 40_000


def test_what_is_hatched_is_hatched_in_firefox_too() -> None:
    """Mixing the stripes' colours in oklab, as it does unless told otherwise, it draws the first stripe alone."""
    style = b"".join(one.body for name, one in assets.build().items() if name.endswith(".css")).decode()
    hatches = re.findall(r"repeating-linear-gradient\(([^,]*)", style)
    assert len(hatches) > 9
    assert set(hatches) == {"-45deg in srgb"}


def test_underlines_are_written_so_that_safari_knows_them_too() -> None:
    style = b"".join(one.body for name, one in assets.build().items() if name.endswith(".css")).decode()
    assert set(re.findall(r"text-decoration:([^;}]*)", style)) == {"none", "underline"}


def test_vendored_files_are_those_that_were_checked() -> None:
    listed = dict(
        re.findall(r"`([\w.-]+\.js)`.*`([0-9a-f]{64})`", (assets.STATIC / "vendor/README.md").read_text())
    )
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (assets.STATIC / "vendor").glob("*.js")
    }
    assert listed == found
