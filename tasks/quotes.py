"""Does the page say so? An analyst's quotes against the text they are said to be from.

A quote counts when its page holds the same letters and figures in the same order. What
may differ is how they are set: spaces and line ends, hyphens, typographic quotes and
dashes, ligatures, capitals, filler (`....`, `____`), and an ellipsis where the analyst
left something out. What OCR garbles may differ a little: one letter in twenty, six at
most, with six right letters between two, so that no word inside it, not even a `no`, is lost;
and never a figure, except for a letter that looks like it.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from schema.analysis import Analysis, Quoted

LETTERS_PER_EDIT = 20
MOST_EDITS = 6
ELLIPSIS_LIMIT = 1000
"""Characters that an ellipsis may stand for."""
MOST_CELLS = 50_000_000
"""Letters of quotes compared with letters of pages, of one document: some seconds' work."""
_CANDIDATES = 100
_NEAR_CANDIDATES = 12
_Q = TypeVar("_Q", bound=Quoted)

_LEFT_OUT = re.compile(r"\[?(?:\u2026|\.(?:\s?\.){2,})\]?|_{3,}")
_LEADERS = re.compile(r"\u2026|\.(?:\s?\.){2,}|_{2,}")
_MARKS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u00b4`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        # Hyphens, dashes and soft hyphens: a word parted at a line's end is one word.
        **dict.fromkeys("-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad\u00ac"),
    }
)
_LOOKS_LIKE = str.maketrans({"o": "0", "l": "1", "i": "1", "|": "1", "s": "5", "b": "8"})
_AMBIGUOUS = frozenset("o0l1i|s5b8")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\xa0\u200b-\u200f\u2060\ufeff]+")


def with_quotes_checked(analysis: Analysis, pages: Sequence[str]) -> Analysis:
    """The analysis with every quote marked `supported` or not, and its page put right.

    A quote that stands on the page before or after the one named is moved there; one
    that is found on none of the three keeps its page and is marked, never dropped. On
    pages that repeat themselves comparing has an end: then only what is there letter by
    letter is found.
    """
    texts = [PageText(page) for page in pages]
    work = Work()

    def checked(quoted: _Q) -> _Q:
        page = page_of(quoted.quote, texts, near=quoted.page, work=work)
        return quoted.model_copy(
            update={"supported": page is not None, "page": page or quoted.page}
        )

    return analysis.model_copy(
        update={
            "key_facts": [checked(one) for one in analysis.key_facts],
            "timeline": [checked(one) for one in analysis.timeline],
            "obligations": [checked(one) for one in analysis.obligations],
        }
    )


@dataclass
class Work:
    """What may still be spent on comparing letter by letter."""

    cells: int = MOST_CELLS

    def take(self, cells: int) -> bool:
        """Whether so much is left; then it is spent."""
        self.cells -= cells
        return self.cells >= 0


def page_of(
    quote: str, pages: Sequence["PageText"], *, near: int, work: Work | None = None
) -> int | None:
    """The page that holds the quote: `near`, else the one before or after; None if none does.

    A quote that runs over from one page to the next belongs to the first.
    """
    parts = [part for part in (_squashed(part) for part in _LEFT_OUT.split(quote)) if part]
    if not any(c.isalnum() for part in parts for c in part):
        return None
    work = work or Work()
    for number in (near, near - 1, near + 1):
        if 1 <= number <= len(pages) and _holds(pages[number - 1].squashed, parts, work):
            return number
    for number in (near, near - 1):
        if 1 <= number < len(pages):
            over = pages[number - 1].squashed[-600:] + pages[number].squashed[:600]
            if _holds(over, parts, work):
                return number
    return None


@dataclass(frozen=True)
class PageText:
    """The text of a page, made comparable once, when it is first needed."""

    text: str

    @cached_property
    def squashed(self) -> str:
        """The page without anything that may differ."""
        return _squashed(self.text)


def _squashed(text: str) -> str:
    text = unicodedata.normalize("NFKC", _LEADERS.sub(" ", text).translate(_MARKS))
    return _SPACE.sub("", text.translate(_MARKS).casefold())


def _holds(page: str, parts: Sequence[str], work: Work) -> bool:
    """Whether the parts stand on the page in this order, none far from the one before."""
    reached = _exactly(page, parts[0], 0, len(page)) or list(_nearly(page, parts[0], work))
    for part in parts[1:]:
        within = ELLIPSIS_LIMIT + len(part)
        further = {end for at in reached for end in _exactly(page, part, at, at + within)}
        if not further:
            starts = reached[:_NEAR_CANDIDATES]
            further = {
                at + end for at in starts for end in _nearly(page[at : at + within], part, work)
            }
        reached = sorted(further)[:_CANDIDATES]
    return bool(reached)


def _exactly(page: str, part: str, begin: int, stop: int) -> list[int]:
    """Where a part ends that stands between two places, letter by letter."""
    found: list[int] = []
    at = page.find(part, begin, stop)
    while at >= 0 and len(found) < _CANDIDATES:
        found.append(at + len(part))
        at = page.find(part, at + 1, stop)
    return found


def _nearly(page: str, part: str, work: Work) -> Iterator[int]:
    """With `edits` misread letters, one of `edits` + 1 pieces is whole: look around those."""
    edits = min(MOST_EDITS, len(part) // LETTERS_PER_EDIT)
    if edits == 0 and part.isascii() and not any(c in _AMBIGUOUS for c in part):
        return
    alike_page, alike_part = page.translate(_LOOKS_LIKE), part.translate(_LOOKS_LIKE)
    size = max(1, len(part) // (edits + 1))
    starts: Counter[int] = Counter()
    for offset in range(0, size * (edits + 1), size):
        ends = _exactly(alike_page, alike_part[offset : offset + size], 0, len(page))
        starts.update(end - size - offset for end in ends)
    # Where a page repeats itself, most pieces agree on the right place.
    for start, _ in starts.most_common(_NEAR_CANDIDATES):
        begin = max(0, start - edits)
        window = page[begin : start + len(part) + 2 * edits]
        if not work.take(len(window) * len(part)):
            return
        end = _aligned(window, part, edits)
        if end is not None:
            yield begin + end


_FAR = 1_000
_RIGHT_BETWEEN = 6
"""Right letters between two errors."""


def _aligned(window: str, part: str, edits: int) -> int | None:
    """Where `part` ends in `window` when it stands there with at most `edits` edits.

    Rows are letters of the part, cells are places in the window, and each cell keeps the
    least cost by what came last: `free` (enough right letters, or nothing yet), `right` (some
    right letters since an error, by their number), `other` (a letter taken for another), `gap`
    (one too many or too
    few) or `both`, which is how `rn` becomes `m`. Only from `free` may a new error begin.
    """
    width = len(window) + 1
    far = [_FAR] * width
    free = [0 if at <= 2 * edits else _FAR for at in range(width)]  # it may begin a little later
    right = [far] * (_RIGHT_BETWEEN - 1)
    other, gap, both = far, far, far
    for row, letter in enumerate(part, start=1):
        now_free, now_other, now_gap, now_both = (far.copy() for _ in range(4))
        now_right = [far.copy() for _ in right]
        may_lack = 1 if not _counts(part, row - 1) else _FAR
        for at in range(max(0, row - 2 * edits), min(width, row + 3 * edits + 1)):
            now_gap[at] = free[at] + may_lack
            now_both[at] = other[at] + may_lack
            if at == 0:
                continue
            before = at - 1
            if _alike(letter, window[before]):
                now_free[at] = min(free[before], right[-1][before])
                now_right[0][at] = min(other[before], gap[before], both[before])
                for count in range(1, len(right)):
                    now_right[count][at] = right[count - 1][before]
            elif not (letter.isdigit() or window[before].isdigit()):
                now_other[at] = free[before] + 1
                now_both[at] = min(now_both[at], gap[before] + 1)
            if not _counts(window, before):
                now_gap[at] = min(now_gap[at], now_free[before] + 1)
                now_both[at] = min(now_both[at], now_other[before] + 1)
        free, right, other, gap, both = now_free, now_right, now_other, now_gap, now_both
        if min(map(min, (free, *right, other, gap, both))) > edits:
            return None
    ends = [min(costs) for costs in zip(free, *right, other, gap, both, strict=True)]
    least = min(ends)
    return ends.index(least) if least <= edits else None


def _alike(wanted: str, found: str) -> bool:
    return wanted == found or wanted.translate(_LOOKS_LIKE) == found.translate(_LOOKS_LIKE)


def _counts(text: str, at: int) -> bool:
    """Whether losing this letter changes a number: a figure, or the point between two."""
    letter = text[at]
    if letter.isdigit() or letter in "$€£%":
        return True
    between = 0 < at < len(text) - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()
    return letter == "." and between
