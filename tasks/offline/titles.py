"""What a document calls itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from schema.analysis import DocumentType as T
from tasks.offline.headings import COURT_LINE
from tasks.offline.text import Page, is_capitals, plain, shorten

SUBJECT = re.compile(
    r"(?:^|\n)[ ]{0,20}(?:Re|RE|Subject|SUBJECT|Betreff|Betr|Objet|Asunto|Oggetto)\s?[:.]\s{0,3}"
    r"(?P<subject>[^\n]{3,200})"
)
_SUBTYPES = re.compile(
    r"\b(order (?:granting|denying)|protective order|restraining order|scheduling order|"
    r"order to show cause|"
    r"retainer agreement|settlement agreement|lease agreement|lease|promissory note|"
    r"power of attorney|demand letter|"
    r"summons|subpoena|motion to dismiss|motion to compel|motion for summary judgment|"
    r"motion in limine|motion for continuance|motion to suppress|last will and testament|"
    r"petition for probate|petition for dissolution|police report|incident report|"
    r"notice of hearing|notice of appeal|notice of deposition|default judgment|"
    r"medical report|appraisal report|appraisal|inventory|memorandum|death certificate|"
    r"birth certificate|proof of service|certificate of service|fax)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Kind:
    """A document's type, how sure the rules are of it (0 to 1), and its subtype."""

    type: T
    certainty: float
    subtype: str | None
    heading: str | None


def subtype_of(heading: str, subject: str) -> str | None:
    """What finer kind a heading or a subject line names."""
    match = _SUBTYPES.search(heading) or _SUBTYPES.search(subject)
    return match[1].lower() if match else None


def title_of(pages: Sequence[Page], kind: Kind, file_name: str) -> tuple[str, float]:
    """What the document calls itself, and how far that can be relied on.

    The heading (1.0), else the subject line (0.9), else whom a letter greets
    or a first line in capitals (0.6), else the cleaned file name (0.3).
    """
    first = pages[0].text[:6000] if pages else ""
    subject = SUBJECT.search(first)
    by_subject = kind.type in {T.LETTER, T.EMAIL} or kind.heading is None
    if subject and by_subject and plain(subject["subject"]):
        return shorten(plain(subject["subject"]), 300), 0.9
    if kind.heading:
        return shorten(plain(kind.heading), 300), 1.0
    for line in pages[0].lines[:15] if pages else []:
        says_it = is_capitals(line.text) and 2 <= len(line.text.split()) <= 12
        says_it &= sum(c.isdigit() for c in line.text) <= 4
        if says_it and kind.type not in {T.LETTER, T.EMAIL} and not COURT_LINE.search(line.text):
            return shorten(plain(line.text), 300), 0.6
    return _from_name(file_name), 0.3


def _from_name(file_name: str) -> str:
    stem = PurePath(plain(file_name[-400:]).replace("\\", "/")).stem
    words = plain(re.sub(r"[_\s.]+", " ", stem)).strip(" -")
    return shorten(words[:1].upper() + words[1:], 300) if words else "Untitled document"
