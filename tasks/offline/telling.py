"""The sentences that tell most: summary, key facts and timeline, in the document's words."""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from schema.analysis import KeyFact, Party, TimelineEntry
from tasks.offline.courts import Filing
from tasks.offline.dates import FoundDate
from tasks.offline.text import Page, Span, is_capitals, plain, shorten

SENTENCES = 3000
KEY_FACTS = 12
TIMELINE = 300

_TELLING = re.compile(
    r"\b(?:ordered|granted|denied|dismissed|adjudged|awarded|sustained|overruled|settle(?:d|ment)?|"
    r"shall|must|agrees?|owes?|breach(?:ed)?|alleges?|failed|terminat(?:e|ed|ion)|demand|"
    r"hearing|deadline|due|pay(?:ment|able)?|total|balance|moves|requests?|seeks|notice|"
    r"appoint(?:ed|ment)?|custody|support|damages|injur(?:y|ed|ies)|died|enclosed|confirm|"
    r"inspect(?:ed|ion)|deposit|rent|lease|evict(?:ion)?|declare|witness(?:ed)?)\b",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"^(?:(?:dear|sincerely|very truly|respectfully submitted|attorneys? for|phone|tel|fax|page|cc|"
    r"enclosures?|thank you|dated|date|via)\b|/s/|(?:by|re|from|to|subject)\s?:)|@|\bwww\.|"
    r"\bstate bar\b|\bp\.?o\.? box\b|\bcertificate of service\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"[$€£]\s?[0-9]")
_SUM = re.compile(r"[0-9][.,][0-9]{2}\s?(?:[A-Z]{2,3}|€)?$")
_DUE_AMOUNT = re.compile(
    r"total due|amount due|balance due|grand total|ending balance|closing balance|^total\b|"
    r"new balance|total amount",
    re.IGNORECASE,
)


def _scored(
    pages: Sequence[Page], dates: Sequence[FoundDate], parties: Sequence[Party]
) -> list[tuple[float, Page, Span]]:
    dated = {(d.page, pages[d.page - 1].sentence_at(d.start).start) for d in dates}
    names = [party.name.lower() for party in parties]
    scored: list[tuple[float, Page, Span]] = []
    for page in pages:
        for place, sentence in enumerate(page.sentences):
            score = _score(sentence, names) + (2.0 if place < 6 else 0.0) * (page.number == 1)
            score += 1.5 if (page.number, sentence.start) in dated else 0.0
            if _worth_reading(sentence):
                scored.append((score - 0.2 * min(page.number - 1, 10), page, sentence))
        if len(scored) >= SENTENCES:
            break
    return scored


def _worth_reading(sentence: Span) -> bool:
    text = sentence.text
    words = text.split()
    letters = sum(c.isalpha() or c == " " for c in text[:400])
    return (
        len(words) >= 5
        and len(text) <= 600
        and not is_capitals(text)
        and not _BOILERPLATE.search(text[:300])
        and letters >= 0.7 * min(len(text), 400)
    )


def _score(sentence: Span, names: Sequence[str]) -> float:
    text = sentence.text[:600]
    lowered = text.lower()
    score = min(len({word.lower() for word in _TELLING.findall(text)}), 4) * 1.0
    score += 1.0 if _AMOUNT.search(text) else 0.0
    score += min(sum(name in lowered for name in names[:6]), 2) * 0.7
    score += 0.8 if text.endswith((".", "!", "?")) else -1.5
    return score if 50 <= len(text) <= 350 else score - 1.0


class Telling:
    """The sentences of a document by how much they tell."""

    def __init__(
        self,
        pages: Sequence[Page],
        dates: Sequence[FoundDate],
        parties: Sequence[Party],
        filing: Filing,
    ) -> None:
        self._pages = pages
        self._filing = filing
        self._dates = dates
        self._scored = sorted(
            _scored(pages, dates, parties), key=lambda s: (-s[0], s[1].number, s[2].start)
        )

    def summary(self) -> str:
        """Two or three sentences as they stand; of a table, its rows; else the first lines."""
        best = [entry for entry in self._scored[:3] if entry[0] >= 1.0]
        best.sort(key=lambda s: (s[1].number, s[2].start))
        parts = [shorten(sentence.text, 600) for _, _, sentence in best]
        if len(parts) < 2:
            parts += self._rows()
        if not parts:
            lines = (plain(x.text) for page in self._pages for x in page.lines if len(x.text) > 3)
            parts = list(islice(lines, 4))
        ended = [p if p.endswith((".", "!", "?")) else f"{p};" for p in dict.fromkeys(parts)]
        return shorten(" ".join(ended).rstrip(";"), 4000) or "No readable text."

    def key_facts(self) -> list[KeyFact]:
        """Court and case number, dates one must not miss, then the telling sentences."""
        facts = [*self._of_the_court(), *self._of_dates()]
        for score, page, sentence in self._scored[:6]:
            facts += _fact(page, sentence.text, sentence) if score >= 1.0 else ()
        distinct: dict[str, KeyFact] = {}
        for fact in facts:
            distinct.setdefault(fact.fact, fact)
        return list(distinct.values())[:KEY_FACTS]

    def timeline(self, title: str) -> list[TimelineEntry]:
        """Every dated fact with its sentence, by date, then in reading order."""
        entries: dict[tuple[object, str], TimelineEntry] = {}
        for found in self._dates:
            page = self._pages[found.page - 1]
            sentence = page.sentence_at(found.start)
            beside = len(sentence.text) - (found.end - found.start)
            if beside > (12 if found.what in {"mentioned", "dated"} else 3):
                what = shorten(sentence.text, 500)
            elif found.what in {"mentioned", "dated"}:
                what = shorten(f"Document dated: {title}", 500)
            else:
                what = shorten(f"{found.what.capitalize()}: {title}", 500)
            quote = with_date(page, sentence, found)
            if quote is None:
                continue
            entry = TimelineEntry(on=found.on, what=what, quote=quote, page=found.page)
            entries.setdefault((entry.on, entry.what), entry)
            if len(entries) >= TIMELINE:
                break
        return sorted(entries.values(), key=lambda e: e.on)

    def _rows(self) -> list[str]:
        """The rows of a table that state a total, else its first rows with a sum."""
        rows = [
            plain(x.text)
            for page in self._pages[:20]
            for x in page.lines
            if _SUM.search(x.text[-20:])
        ]
        rows = [row for row in rows if len(row) <= 200 and any(c.isalpha() for c in row)]
        return ([row for row in rows if _DUE_AMOUNT.search(row)] or rows)[:3]

    def _of_the_court(self) -> Iterator[KeyFact]:
        for what, found in (("Court", self._filing.court), ("Case number", self._filing.number)):
            if found:
                page = self._pages[found.page - 1]
                yield from _fact(page, f"{what}: {found.text}", Span(found.start, found.end, ""))

    def _of_dates(self) -> Iterator[KeyFact]:
        telling = ("hearing", "trial", "deposition", "due", "died", "effective", "expires")
        for found in [d for d in self._dates if d.what in telling][:4]:
            page = self._pages[found.page - 1]
            what = f"{found.what.capitalize()}: {found.on.isoformat()}"
            quote = with_date(page, page.sentence_at(found.start), found)
            if quote:
                yield KeyFact(fact=what, quote=quote, page=page.number)


def with_date(page: Page, sentence: Span, found: FoundDate) -> str | None:
    """The words of a sentence if they hold the date, else the date alone, verbatim."""
    if sentence.start <= found.start and found.end <= min(sentence.end, sentence.start + 500):
        return page.quote(sentence.start, sentence.end)
    return page.quote(found.start, found.end)


def _fact(page: Page, fact: str, span: Span) -> Iterator[KeyFact]:
    quote = page.quote(span.start, span.end)
    if quote:
        yield KeyFact(fact=shorten(fact, 500), quote=quote, page=page.number)
