"""What the browser fetches besides pages: joined and named after its content when the app starts, sent compressed.

`static/css/*.css` become one `app.css`, in the order of their names, but 60 to 69, which the board never shows, are
`pages.css`. A page's script is `static/js/<page>.js` with its
parts `<page>-*.js`, which import from it alone; they become one file too. Templates write
`asset_url("app.css")`. A name changes with its content, so browsers may keep a file for ever. To add a file, put it
into `static/`: nothing else is needed.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import brotli
from flask import Flask, Response, abort, request

from crmweb.web.access import access

STATIC = Path(__file__).resolve().parents[2] / "static"
PREFIX = "/assets/"
FOREVER = "public, max-age=31536000, immutable"
VENDORED = {"htmx.js": ("vendor/htmx-*.min.js",), "sortable.js": ("vendor/sortable-*.min.js",)}
TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}

# What a style sheet loses on its way: comments, and the space round the marks (never inside a string).
CSS_LAYOUT = re.compile(rb"""/\*.*?\*/|("[^"]*")|\s*;\s*(?=})|\s*([{};,])\s*|(:)\s+""", re.DOTALL)
SVG_COMMENT = re.compile(rb"<!--.*?-->\n?", re.DOTALL)
CSS_FONT = re.compile(rb"""(?<=url\(")\.\./fonts/([^"]+)(?="\))""")

# What a script loses: comments, the space before its lines, and what modules say to each other, being one file now.
JS_COMMENT = re.compile(rb"^\s*(?://.*|/\*\*[^/]*?\*/)\n|[ \t]+// .*$|^[ \t]+", re.MULTILINE)
IMPORT = re.compile(rb"""^import [^;]+ from "\./[\w-]+\.js";\n""", re.MULTILINE)
EXPORT = re.compile(rb"^export (?=const|let|function|async|class)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    url: str
    type: str
    body: bytes

    @property
    def codings(self) -> tuple[str, ...]:
        """How it can be compressed, the smallest first; a font is compressed in itself."""
        return () if self.type == TYPES["woff2"] else ("br", "gzip")

    def packed(self, coding: str) -> bytes:
        """The body in one of its codings, as small as that gets."""
        return _packed(self.body, coding)


def build(folder: Path = STATIC) -> dict[str, Asset]:
    """All assets of `folder` by their plain name ("app.css"). KeyError names a font that a style sheet lacks."""
    built: dict[str, Asset] = {}
    for name, paths in _files(folder).items():
        body = b"\n".join(map(_part, paths))
        built[name] = _asset(name, CSS_FONT.sub(lambda found: built[found[1].decode()].url.encode(), body))
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
        if found.codings:
            response.headers["Vary"] = "Accept-Encoding"
            best = max(found.codings, key=request.accept_encodings.quality)
            if _takes(best):
                response.set_data(found.packed(best))
                response.headers["Content-Encoding"] = best
        return response

    app.jinja_env.globals["asset_url"] = lambda name: fresh()[name].url
    app.add_url_rule(PREFIX + "<name>", "assets", send)
    app.after_request(_compress_page)


def _files(folder: Path) -> dict[str, list[Path]]:
    """The files of each asset, in order; the fonts first, since the style sheet names them."""
    files = {path.name: [path] for path in sorted([*folder.glob("fonts/*.woff2"), *folder.glob("*.svg")])}
    files["pages.css"] = sorted(folder.glob("css/6*.css"))
    files["app.css"] = [path for path in sorted(folder.glob("css/*.css")) if path not in files["pages.css"]]
    for name, globs in VENDORED.items():
        files[name] = [path for glob in globs for path in folder.glob(glob)]
    for path in sorted(folder.glob("js/*.js"), key=lambda path: path.stem):
        files.setdefault(f"{path.stem.partition('-')[0]}.js", []).append(path)
    return files


def _edited(folder: Path) -> int:
    return max(path.stat().st_mtime_ns for path in folder.rglob("*"))


def _part(path: Path) -> bytes:
    body = path.read_bytes()
    if path.suffix == ".css":
        return CSS_LAYOUT.sub(lambda found: found[found.lastindex] if found.lastindex else b"", body).strip()
    if path.suffix == ".svg":
        return SVG_COMMENT.sub(b"", body)
    if path.parent.name == "js":
        body = EXPORT.sub(b"", JS_COMMENT.sub(b"", body))
        if IMPORT.search(body):  # a part becomes a block: its own names stay its own
            body = b"{\n" + IMPORT.sub(b"", body) + b"}"
    return body


def _asset(name: str, body: bytes) -> Asset:
    stem, _, suffix = name.rpartition(".")
    url = f"{PREFIX}{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{suffix}"
    return Asset(url, TYPES[suffix], body)


@lru_cache(maxsize=256)
def _packed(body: bytes, coding: str) -> bytes:
    # Done when first asked for: the smallest takes long, and commands that serve nothing should not wait for it.
    smallest: bytes = brotli.compress(body, quality=11) if coding == "br" else gzip.compress(body, 9, mtime=0)
    return smallest


def _takes(coding: str) -> bool:
    return request.accept_encodings.quality(coding) > 0


def _compress_page(response: Response) -> Response:
    if response.mimetype != "text/html" or response.is_streamed or response.direct_passthrough:
        return response
    response.vary.add("Accept-Encoding")
    if (response.content_length or 0) <= 1024 or response.content_encoding:
        return response
    best = max(("br", "gzip"), key=request.accept_encodings.quality)
    if _takes(best):
        # A word of random length that readers skip hides how well a secret in the page was compressed (BREACH).
        skipped = secrets.token_hex(1 + secrets.randbelow(49))
        pack = _with_brotli if best == "br" else _with_gzip
        response.set_data(pack(response.get_data(), skipped))
        response.headers["Content-Encoding"] = best
    return response


def _with_brotli(body: bytes, skipped: str) -> bytes:
    """The page, an eighth smaller than with gzip at the same cost; `skipped` (1 to 256 signs) is a metadata block."""
    packer = brotli.Compressor(quality=5)
    page = packer.process(body) + packer.flush()
    # Its head (RFC 7932, 9.2): not the last block, no data, one byte with the length less one.
    head = (0b010110 | (len(skipped) - 1) << 6).to_bytes(2, "little")
    return bytes(page + head + skipped.encode() + packer.finish())


def _with_gzip(body: bytes, skipped: str) -> bytes:
    """The page; `skipped` is the file's name in its header."""
    packed = io.BytesIO()
    with gzip.GzipFile(skipped, "wb", 7, packed, mtime=0) as pipe:
        pipe.write(body)
    return packed.getvalue()
