"""Page text as the rules see it.

Every page is cleaned character by character, never changing its length, so that
a span found in the clean text can be quoted verbatim from the original.

All patterns of this package have bounded repeats: whatever a page holds, reading
it takes time proportional to its length.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

PAGE_LIMIT = 200_000
"""Characters of a page that are read; a page of print has about 3,000."""
DOCUMENT_LIMIT = 2_000_000
"""Characters of a document that are read."""

OCR_DIGIT = "[0-9OoIl|]"
"""A digit, or a letter that OCR reads for one."""

_AS_DIGIT = str.maketrans("OoIilLıİ|", "001111111")
# Each letter as patterns that ignore case take it: for `I` that is four.

_CLEAN: dict[int, str] = {
    **dict.fromkeys((*range(32), *range(127, 161), *range(55296, 57344)), " "),
    **dict.fromkeys((*range(8192, 8204), 8239, 8287, 8288, 12288, 65279), " "),
    **dict.fromkeys((10, 11, 12, 13, 133, 8232, 8233), "\n"),
    **dict.fromkeys((8216, 8217, 700, 180), "'"),
    **dict.fromkeys((8220, 8221, 8222), '"'),
    **dict.fromkeys((8208, 8209, 8210, 8211, 8212, 8722), "-"),
}
_ROW_STARTS = re.compile(r"[0-9]{1,4}[/.-][0-9]|_|[^\w\"'($€£§]")
_ROW_ENDS = re.compile(r"[0-9][.,][0-9]{2}\)?$")
_LINE_NUMBER = re.compile(rf"^[ ]{{0,4}}(?P<number>{OCR_DIGIT}{{1,2}})(?=[ ]|$)", re.MULTILINE)
NUMBERED_LINES = 8
"""Lines in a row that must be numbered before their numbers count as the paper's."""
_UNQUOTABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")

_SENTENCE_END = re.compile(r"[.!?][\"')]{0,2}\s{1,3}(?=[\"'(]?[A-ZÀ-Þ0-9])")
_NO_SENTENCE_END = re.compile(
    r"(?:^|[\s(.])(?:[A-Z]|mr|mrs|ms|dr|hon|no|nos|inc|corp|co|ltd|llc|st|ave|blvd|jr|sr|esq|v|vs|"
    r"art|sec|para|pp?|cal|dept|approx|ext|re|nr|abs|bzw|ca|"
    r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|u\.s)$",
    re.IGNORECASE,
)


def digits(text: str) -> str:
    """Read `text` as digits, taking the letters that OCR confuses with them as meant."""
    return text.translate(_AS_DIGIT)


def plain(text: str) -> str:
    """One line of ordinary characters, spaces collapsed."""
    return " ".join(text.translate(_CLEAN).split())


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words, with an ellipsis when cut."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head).rstrip(" ,;") + "…"


@dataclass(frozen=True)
class Span:
    """A stretch of one page: a line without its margins, or a sentence."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Page:
    """One page: its number, the original text, and the clean text of the same length."""

    number: int
    original: str
    text: str

    @cached_property
    def lines(self) -> list[Span]:
        """Every line, blank ones included."""
        spans: list[Span] = []
        start = 0
        for raw in self.text.split("\n"):
            stripped = raw.strip()
            at = start + len(raw) - len(raw.lstrip()) if stripped else start
            spans.append(Span(at, at + len(stripped), stripped))
            start += len(raw) + 1
        return spans

    @cached_property
    def _line_starts(self) -> list[int]:
        return [line.start for line in self.lines]

    def line_index(self, offset: int) -> int:
        """The index of the line that holds `offset`."""
        return max(0, bisect_right(self._line_starts, offset) - 1)

    def column(self, offset: int) -> int:
        """How far from the left margin `offset` stands."""
        return offset - (self.text.rfind("\n", 0, offset) + 1)

    def quote(self, start: int, end: int) -> str | None:
        """The original words between two offsets; None when they cannot be stored as text."""
        words = self.original[start : min(end, start + 500)].strip()
        return None if not words or _UNQUOTABLE.search(words) else words

    @cached_property
    def sentences(self) -> list[Span]:
        """Running text in sentences; a line that stands alone is one sentence."""
        return list(self._sentences())

    @cached_property
    def _sentence_starts(self) -> list[int]:
        return [sentence.start for sentence in self.sentences]

    def sentence_at(self, offset: int) -> Span:
        """The sentence that holds `offset`, or else its line."""
        index = bisect_right(self._sentence_starts, offset) - 1
        if index >= 0 and offset < self.sentences[index].end:
            return self.sentences[index]
        return self.lines[self.line_index(offset)]

    def _sentences(self) -> Iterator[Span]:
        for start, end in self._paragraphs():
            at = start
            for stop in _SENTENCE_END.finditer(self.text, start, end):
                if _NO_SENTENCE_END.search(self.text[max(at, stop.start() - 10) : stop.start()]):
                    continue
                yield self._span(at, stop.end())
                at = stop.end()
            if at < end:
                yield self._span(at, end)

    def _span(self, start: int, end: int) -> Span:
        raw = self.text[start:end]
        at = start + len(raw) - len(raw.lstrip())
        return Span(at, start + len(raw.rstrip()), " ".join(raw.split()))

    def _paragraphs(self) -> Iterator[tuple[int, int]]:
        """Offsets of lines that run on, joined; OCR keeps no paragraphs of its own."""
        lengths = sorted(len(line.text) for line in self.lines if line.text)
        width = lengths[len(lengths) * 9 // 10] if lengths else 0
        begun: Span | None = None
        before: Span | None = None
        for line in self.lines:
            if before and begun and not (line.text and _runs_on(before.text, line.text, width)):
                yield begun.start, before.end
                begun = None
            if line.text:
                begun = begun or line
                before = line
            else:
                begun = before = None
        if begun and before:
            yield begun.start, before.end


def _runs_on(line: str, following: str, width: int) -> bool:
    if line.endswith((":", ";")) or is_capitals(line) != is_capitals(following):
        return False
    if _ROW_STARTS.match(following) or _ROW_ENDS.search(line[-12:]):
        return False
    return following[0].islower() or (len(line) >= 40 and len(line) >= width * 0.72)


def is_capitals(line: str) -> bool:
    """Whether the letters of a line are (nearly) all capitals, as in a heading."""
    letters = [c for c in line[:200] if c.isalpha()]
    return len(letters) > 2 and sum(c.isupper() for c in letters) >= 0.8 * len(letters)


def read_pages(pages: Sequence[str]) -> list[Page]:
    """Clean the pages, within the limits of a page and of a document."""
    read: list[Page] = []
    left = DOCUMENT_LIMIT
    for number, page in enumerate(pages, start=1):
        original = page[: min(PAGE_LIMIT, left)]
        left -= len(original)
        clean = original.replace("\r\n", " \n").translate(_CLEAN)
        read.append(Page(number, original, _without_line_numbers(clean)))
        if left <= 0:
            break
    return read


def _without_line_numbers(text: str) -> str:
    """Blanks instead of the numbers that pleading paper and transcripts print in the margin.

    They count up line by line and stand before nearly every line, which no list does.
    """
    numbered = list(_LINE_NUMBER.finditer(text))
    written = sum(1 for line in text.split("\n") if line.strip())
    if len(numbered) < NUMBERED_LINES or len(numbered) < 0.8 * written:
        return text
    counted = [int(digits(one["number"])) for one in numbered]
    following = sum(b in {a + 1, 1} for a, b in pairwise(counted))
    if following < 0.8 * (len(counted) - 1):
        return text
    kept: list[str] = []
    reached = 0
    for one in numbered:
        kept += [text[reached : one.start()], " " * (one.end() - one.start())]
        reached = one.end()
    return "".join([*kept, text[reached:]])


_COMMON = {
    "en": """the of and to in that is for on by with this shall was be from at are
             invoice statement balance account total date
             subtotal tax cash change due paid payment""",
    "de": """der die das und ist den dem nicht von zu mit für auf ein eine wird des
             rechnung betrag datum konto summe""",
    "fr": """le la les et est des du une dans pour que qui par sur au vous nous ce
             facture montant compte""",
    "es": """el la los las y es del una en para que por con se al su lo como
             factura fecha importe cuenta""",
    "it": """il la lo gli e è di del della una in per che con si al sono nel
             fattura importo conto""",
}
_STOP_WORDS = {language: frozenset(words.split()) for language, words in _COMMON.items()}
_WORD = re.compile(r"[^\W\d_]{1,30}")


def language_of(pages: Sequence[Page]) -> str:
    """The language most stop words vote for; `und` when few vote or the vote is close."""
    votes = dict.fromkeys(_STOP_WORDS, 0)
    for page in pages[:5]:
        for word in _WORD.findall(page.text[:20_000].lower()):
            for language, stop_words in _STOP_WORDS.items():
                votes[language] += word in stop_words
    (first, most), (_, second) = sorted(votes.items(), key=lambda vote: -vote[1])[:2]
    return first if most >= 3 and most >= 1.3 * second else "und"
