"""Which letters can be shown, and what is shown for those that cannot.

A PDF/A may hold no letter without a glyph, and a report must not fail for a name. The fonts are
typst's own and, for letters those lack, Noto Sans from OCRmyPDF's wheel: Latin, Greek, Cyrillic.
For others (Arabic, Chinese, …) fonts that are installed on this machine serve. What no font has
is shown as □.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import typst
from fontTools.ttLib import TTFont, TTLibError

PLACEHOLDER = "□"

INSTALLED = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
"""Where fonts are installed."""

MOST_FONTS = 1000
"""Installed fonts that are looked into."""

UNBROKEN = 18
"""Letters without a space that fit the narrowest column; after that many a line may end."""

_BREAK = "\u200b"
_LONG = re.compile(rf"[^\s{_BREAK}]{{{UNBROKEN + 1},}}")
_BETWEEN_PARTS = re.compile(r"(?<=[-_./\\@=&?])(?=[^-_./\\@=&?])")
_HASH = re.compile(r"[0-9a-f]{64}")
_ALWAYS = frozenset(f"\n {_BREAK}\u200c\u200d")
"""What has no glyph and is shown all the same: ends of lines, joiners of letters."""

_NEVER = frozenset({"Cc", "Cf", "Cs", "Cn", "Co"})
"""Categories that are not shown, whatever a font has: among them the marks that turn the
direction of text, with which a name can be made to read as another."""


@dataclass(frozen=True, slots=True)
class _Font:
    path: Path
    family: str
    letters: frozenset[int]


class Letters:
    """Makes texts such that every letter can be shown, and says which fonts that takes."""

    def __init__(self, installed: Sequence[Path] = INSTALLED) -> None:
        self._installed = installed
        self._fonts = [font for font in (_font(_noto_sans()),) if font is not None]
        self.missing = False
        """Whether letters were met that no font has."""

    @property
    def font_files(self) -> list[Path]:
        """The fonts, besides those of typst."""
        return [font.path for font in self._fonts]

    @property
    def families(self) -> list[str]:
        """Their names, as typst calls them."""
        folders = sorted({path.parent for path in self.font_files})
        known = set(typst.Fonts(False, True, folders).families())
        names = dict.fromkeys(font.family for font in self._fonts)
        return [name for name in names if name in known]

    def shown(self, data: dict[str, Any]) -> dict[str, Any]:
        """The same data (dictionaries, lists, strings, numbers), with every text showable."""
        lacking = {letter for text in _texts(data) for letter in text} - _ALWAYS
        lacking = {letter for letter in lacking if not self._has(letter)}
        if wanted := {ord(one) for one in lacking if one.isprintable()}:
            self._find(wanted)
        instead = {
            ord(letter): self._instead_of(letter) for letter in lacking if not self._has(letter)
        }
        return cast("dict[str, Any]", _with_texts(data, instead))

    def _has(self, letter: str) -> bool:
        if unicodedata.category(letter) in _NEVER:
            return False
        return any(ord(letter) in font.letters for font in self._fonts)

    def _find(self, wanted: set[int]) -> None:
        """Of the installed fonts take those that have most of the letters, until all are had."""
        paths = [path for folder in self._installed for path in folder.rglob("*.[ot]t[fc]")]
        fonts = [font for path in sorted(paths)[:MOST_FONTS] if (font := _font(path)) is not None]
        while wanted and fonts:
            best = max(fonts, key=lambda font: len(font.letters & wanted))
            if not best.letters & wanted:
                break
            self._fonts.append(best)
            wanted = wanted - best.letters

    def _instead_of(self, letter: str) -> str:
        if letter in "\t\r\v\f\x85\u2028\u2029":
            return " "
        if unicodedata.category(letter) in _NEVER | {"Mn"}:
            return ""  # a mark without its letter would be a box of its own
        self.missing = True
        return PLACEHOLDER


def _noto_sans() -> Path:
    found = find_spec("ocrmypdf")  # which is large, and is not needed for its font
    folders = found.submodule_search_locations if found else None
    return Path((folders or [""])[0]) / "data" / "NotoSans-Regular.ttf"


def _font(path: Path) -> _Font | None:
    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            letters = font.getBestCmap() or {}
            family = str(cast("Any", font["name"]).getBestFamilyName() or "")
    except (OSError, TTLibError, KeyError, ValueError):
        return None  # no font that can be read
    return _Font(path, family, frozenset(letters))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in cast("dict[str, object]", value).values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in cast("list[object]", value):
            yield from _texts(one)


def _with_texts(value: object, instead: dict[int, str]) -> object:
    if isinstance(value, str):
        return _LONG.sub(_with_breaks, value.translate(instead))
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return {name: _with_texts(one, instead) for name, one in named.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(one, instead) for one in cast("list[object]", value)]
    return value


def _with_breaks(found: re.Match[str]) -> str:
    run = found.group()
    if _HASH.fullmatch(run):
        return run  # whoever copies it needs it whole
    return _BREAK.join(
        part[at : at + UNBROKEN]
        for part in _BETWEEN_PARTS.split(run)
        for at in range(0, len(part), UNBROKEN)
    )
