"""Make `static/fonts/hanken-grotesk.woff2`: a subset of Hanken Grotesk Variable (OFL-1.1, no reserved name).

    npm pack @fontsource-variable/hanken-grotesk@5.3.0 && tar xzf fontsource-variable-hanken-grotesk-5.3.0.tgz
    pip install "fonttools[woff]==4.68.0"
    python tools/make_fonts.py package/files

Weights 400–700, and the letters of the languages of Europe that write Latin. The package splits these into two files;
joined into one they share the plain letters that accented ones are composed of: 13.9 kB in one request. The plain ones
alone would be 9.1 kB, but a board with one Malmö on it would take 17.6 in two requests: too many for its budget.
Kerning is left out: it costs a third of the bytes and moves nothing that one sees at 13 px.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

FONT = Path(__file__).resolve().parents[1] / "static" / "fonts" / "hanken-grotesk.woff2"
# The letters of Esperanto, Maltese, Welsh and Greenlandic, and rare signs, come from the system's font.
LETTERS = {
    *range(0x20, 0x7F),
    *map(ord, "\N{NO-BREAK SPACE}¡£¥§«°·»¿×–—‘’‚“”„…€−"),
    *range(0xC0, 0x100),
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
    """Make the font from the package's `files` folder."""
    font = open_font(folder / "hanken-grotesk-latin-wght-normal.woff2")
    add_letters(font, open_font(folder / "hanken-grotesk-latin-ext-wght-normal.woff2"), LETTERS)
    subset(font, LETTERS).flavor = "woff2"
    font.save(FONT)
    print(f"{FONT}: {FONT.stat().st_size:,} bytes\nunicode-range: {unicode_range(set(font.getBestCmap()))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
