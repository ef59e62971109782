"""What the browser fetches besides pages: joined, named after its content and compressed when the app starts.

`static/css/*.css` become one `app.css`, in the order of their names; htmx with its extension and the modules of the
board are one file each; each other file keeps its own name. Templates write `asset_url("app.css")`. A name changes
with its content, so browsers may keep a file for ever. To add a file, put it into `static/`: nothing else is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request

from crmweb.web.access import access

STATIC = Path(__file__).resolve().parents[2] / "static"
PREFIX = "/assets/"
FOREVER = "public, max-age=31536000, immutable"

JOINED = {
    "app.css": "css/*.css",
    "htmx.js": "vendor/htmx-*.min.js vendor/hx-ptag-*.min.js",
    "sortable.js": "vendor/sortable-*.min.js",
    "board.js": "js/board.js js/board-*.js",
}
ALONE = "js/*.js fonts/*.woff2 *.svg"
TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}

# A file named in another one: url("../fonts/x.woff2") in a style sheet, from "./x.js" in a module.
REFERENCE = re.compile(rb"""(?<=["'])\.{1,2}/(?:[\w-]+/)*([\w.-]+\.(?:js|svg|woff2))(?=["'])""")

# What a style sheet loses on its way: comments, and the space round the marks (never inside a string).
CSS_LAYOUT = re.compile(rb"""/\*.*?\*/|("[^"]*")|\s*([{};,])\s*|(:)\s+""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent. `zipped` is None where compressing gains nothing (fonts)."""

    url: str
    type: str
    body: bytes
    zipped: bytes | None


def build(folder: Path = STATIC) -> dict[str, Asset]:
    """All assets of `folder` by their plain name ("app.css").

    Raises KeyError naming a file that another one refers to but that is not there, and RecursionError when
    scripts import each other in a circle (a name made from content cannot contain itself).
    """
    parts = {name: _files(folder, globs) for name, globs in JOINED.items()}
    sources = {name: b"\n".join(_part(path, name) for path in paths) for name, paths in parts.items()}
    joined = {path for paths in parts.values() for path in paths}
    sources |= {path.name: _source(path) for path in _files(folder, ALONE) if path not in joined}
    built: dict[str, Asset] = {}

    def asset(name: str) -> Asset:
        if name not in built:
            body = sources[name]
            if name.endswith((".css", ".js")):
                body = REFERENCE.sub(lambda found: asset(found[1].decode()).url.encode(), body)
            built[name] = _asset(name, body)
        return built[name]

    for name in sources:
        asset(name)
    return built


def init_app(app: Flask, folder: Path = STATIC) -> None:
    """Serve the assets under /assets/, give templates `asset_url`, and compress pages on their way out."""
    shelf = build(folder)
    by_url = {one.url: one for one in shelf.values()}
    edited = _edited(folder)

    def fresh() -> dict[str, Asset]:
        nonlocal shelf, by_url, edited
        if app.debug and edited != (now := _edited(folder)):
            shelf, edited = build(folder), now
            by_url |= {one.url: one for one in shelf.values()}
        return shelf

    @access("public")
    def send(name: str) -> Response:
        """One asset, compressed when the browser takes it."""
        found = by_url.get(PREFIX + name)
        if found is None:
            abort(404)
        response = Response(found.body, content_type=found.type)
        response.headers["Cache-Control"] = FOREVER
        if found.zipped:
            response.headers["Vary"] = "Accept-Encoding"
            if _takes_gzip():
                response.set_data(found.zipped)
                response.headers["Content-Encoding"] = "gzip"
        return response

    app.jinja_env.globals["asset_url"] = lambda name: fresh()[name].url
    app.add_url_rule(PREFIX + "<name>", "assets", send)
    app.after_request(_compress_page)


def _files(folder: Path, globs: str) -> list[Path]:
    return [path for glob in globs.split() for path in sorted(folder.glob(glob))]


def _edited(folder: Path) -> int:
    return max(path.stat().st_mtime_ns for path in folder.rglob("*"))


def _source(path: Path) -> bytes:
    body = path.read_bytes()
    if path.suffix == ".css":  # comments and layout are for the people who read the file
        body = CSS_LAYOUT.sub(lambda found: found[found.lastindex] if found.lastindex else b"", body).strip()
    return body


def _part(path: Path, name: str) -> bytes:
    """A file on its way into the joined file `name`. A module that imports from it becomes a block in it."""
    body = _source(path)
    if path.parent.name != "js":
        return body
    inside, imports = re.subn(rb'(?m)^import [^;]+ from "\./%s";\n' % re.escape(name.encode()), b"", body)
    return b"{\n%s}" % inside if imports else re.sub(rb"(?m)^export (?=const|function|async)", b"", body)


def _asset(name: str, body: bytes) -> Asset:
    stem, dot, suffix = name.rpartition(".")
    zipped = None if suffix == "woff2" else gzip.compress(body, 9, mtime=0)
    url = f"{PREFIX}{stem}.{hashlib.sha256(body).hexdigest()[:12]}{dot}{suffix}"
    return Asset(url, TYPES[suffix], body, zipped)


def _takes_gzip() -> bool:
    return request.accept_encodings.quality("gzip") > 0


def _compress_page(response: Response) -> Response:
    if response.mimetype != "text/html" or response.is_streamed or response.direct_passthrough:
        return response
    response.vary.add("Accept-Encoding")
    if "Content-Encoding" in response.headers or not _takes_gzip():
        return response
    if (response.content_length or 0) > 1024:
        # A name of random length in gzip's header hides how well a secret in the page was compressed (BREACH).
        packed = io.BytesIO()
        with gzip.GzipFile(secrets.token_hex(secrets.randbelow(50)), "wb", 6, packed, mtime=0) as pipe:
            pipe.write(response.get_data())
        response.set_data(packed.getvalue())
        response.headers["Content-Encoding"] = "gzip"
    return response
