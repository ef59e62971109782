"""Make `static/fonts/`: two subsets of Hanken Grotesk Variable (OFL-1.1, no reserved font name), weights 400–700.

    npm pack @fontsource-variable/hanken-grotesk@5.3.0 && tar xzf fontsource-variable-hanken-grotesk-5.3.0.tgz
    pip install "fonttools[woff]==4.68.0"
    python tools/make_fonts.py package/files

`core` is what an English board needs and is preloaded; `ext` holds the accented letters and is fetched by pages that
show one. The package splits the Latin letters into two files, so `ext` is joined from both. Kerning is left out of
both: it costs a third of the bytes and moves nothing that one sees at 13 px.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FONTS = Path(__file__).resolve().parents[1] / "static" / "fonts"
PUNCTUATION = [0xA0, 0xA3, 0xA5, 0xB7, 0xD7, 0x2013, 0x2014, 0x2019, 0x201C, 0x201D, 0x2026, 0x20AC, 0x2212]
CORE = {*range(0x20, 0x7F), *PUNCTUATION}
# Letters of the languages of Europe that write Latin; signs and the letters of Esperanto, Maltese, Welsh and
# Greenlandic are left to the system's font: a third of the bytes.
EXT = {
    *map(ord, "¡§«°»¿‘‚„"),
    *(set(range(0xC0, 0x100)) - {0xD7}),
    *map(ord, "ĀāĂăĄąĆćČčĎďĐđĒēĖėĘęĚěĞğĢģĪīĮįİıĶķĹĺĻļĽľŁłŃńŅņŇňŌōŐőŒœŔŕŖŗŘřŚśŞşŠšŢţŤťŪūŮůŰűŲųŸŹźŻżŽž"),
}


def open_font(path: Path) -> TTFont:
    """The package's font with its weights cut to 400–700."""
    font = instantiateVariableFont(TTFont(path, recalcTimestamp=False), {"wght": (400, 700)})
    for name in font.getGlyphOrder():  # the subsetter wants an entry for unchanging glyphs too
        font["gvar"].variations.setdefault(name, [])
    return font


def subset(font: TTFont, letters: set[int]) -> TTFont:
    """The font with these letters (code points) alone, without hints and layout features."""
    options = Options(hinting=False, layout_features=[], notdef_outline=True, name_IDs=[1, 2, 4, 6, 13, 14])
    chosen = Subsetter(options)
    chosen.populate(unicodes=letters)
    chosen.subset(font)
    return font


def outline(font: TTFont, name: str) -> tuple[object, ...]:
    """What a glyph looks like, to find it again in the other file. Composites never equal each other."""
    glyph = font["glyf"][name]
    if glyph.isComposite() or not glyph.numberOfContours:
        return (name, id(glyph))
    return (tuple(glyph.coordinates), tuple(glyph.endPtsOfContours), font["hmtx"][name])


def add_letters(font: TTFont, other: TTFont, letters: set[int]) -> None:
    """Give `font` the letters that only `other` has, with their variations and the glyphs they are composed of."""
    theirs = {code: name for code, name in other.getBestCmap().items() if code in letters}
    missing = {code: name for code, name in theirs.items() if code not in font.getBestCmap()}
    renamed: dict[str, str] = {}
    drawn = {outline(font, name): name for name in font.getGlyphOrder()}

    def take(name: str) -> str:
        if name in renamed:
            return renamed[name]
        if (same := drawn.get(outline(other, name))) is not None:  # both files draw A and the acute accent
            renamed[name] = same
            return same
        renamed[name] = f"{name}.ext"
        glyph = copy.deepcopy(other["glyf"][name])
        if glyph.isComposite():
            for part in glyph.components:
                part.glyphName = take(part.glyphName)
        font["glyf"][renamed[name]] = glyph
        font["hmtx"][renamed[name]] = other["hmtx"][name]
        font["gvar"].variations[renamed[name]] = other["gvar"].variations.get(name, [])
        return renamed[name]

    taken = {code: take(name) for code, name in missing.items()}
    for table in filter(lambda table: table.isUnicode(), font["cmap"].tables):
        table.cmap.update(taken)
    font.setGlyphOrder(font["glyf"].glyphOrder)
    for table in (
        "HVAR",
        "GPOS",
        "GSUB",
        "GDEF",
        "MVAR",
    ):  # they number the glyphs; gvar knows the widths as well
        if table in font:
            del font[table]


def write(font: TTFont, name: str) -> None:
    """Save it as `static/fonts/hanken-grotesk-<name>.woff2`."""
    font.flavor = "woff2"
    path = FONTS / f"hanken-grotesk-{name}.woff2"
    font.save(path)
    print(f"{path}: {path.stat().st_size:,} bytes, {unicode_range(set(font.getBestCmap()))}")


def unicode_range(letters: set[int]) -> str:
    """The letters as a style sheet's `unicode-range` wants them: U+20-7E, U+A0."""
    runs: list[list[int]] = []
    for code in sorted(letters):
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return ", ".join(f"U+{first:X}" if first == last else f"U+{first:X}-{last:X}" for first, last in runs)


def main(folder: Path) -> None:
    """Make both subsets from the package's `files` folder."""
    latin, latin_ext = (
        folder / f"hanken-grotesk-{part}-wght-normal.woff2" for part in ("latin", "latin-ext")
    )
    write(subset(open_font(latin), CORE), "core")
    joined = open_font(latin)
    add_letters(joined, open_font(latin_ext), EXT)
    write(subset(joined, EXT), "ext")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
