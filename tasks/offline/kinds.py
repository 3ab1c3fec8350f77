"""What kind of document it is."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from schema.analysis import DocumentType as T
from tasks.offline.headings import heading_of, type_in
from tasks.offline.phrases import phrase_scores
from tasks.offline.text import Page, is_capitals
from tasks.offline.titles import SUBJECT, Kind, subtype_of

_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".heic", ".webp", ".tif", ".tiff"})


def kind_of(pages: Sequence[Page], file_name: str) -> Kind:
    """Decide the type from its headings, then from the phrases of the first and last pages.

    Certainty: a heading that says it 0.8, and phrases that agree up to 1;
    phrases alone up to 0.75, less when another type is close; the file name
    alone 0.3; nothing 0.1.
    """
    texts = [page.text[:30_000] for page in (*pages[:3], *pages[3:][-1:])]
    scores = phrase_scores(texts)
    heading, said = heading_of(pages, scores)
    said = _refined(said, scores) if said else None
    subject = SUBJECT.search(texts[0][:6000]) if texts else None
    subtype = subtype_of(heading.text if heading else "", subject["subject"] if subject else "")
    if said and heading and not _is_letter(said, scores):
        agreeing = min(scores.get(said, 0.0), 4.0) / 4.0
        rival = max((s for t, s in scores.items() if t is not said), default=0.0)
        if scores.get(said, 0.0) or rival < 6 or is_capitals(heading.text):
            return Kind(said, round(0.8 + 0.2 * agreeing, 2), subtype, heading.text)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    if ranked and ranked[0][1] >= 2:
        best, score = ranked[0]
        lead = score - (ranked[1][1] if len(ranked) > 1 else 0.0)
        certainty = 0.35 + 0.2 * min(score, 6) / 6 + 0.2 * min(lead, 4) / 4
        return Kind(best, round(certainty, 2), subtype, None)
    named = type_in(re.sub(r"[_\W]+", " ", PurePath(file_name).stem), anywhere=True)
    if named:
        return Kind(named, 0.3, subtype, None)
    letters = sum(c.isalpha() for text in texts for c in text[:2000])
    if letters < 20 and PurePath(file_name).suffix.lower() in _IMAGE_SUFFIXES:
        return Kind(T.PHOTO, 0.3, None, None)
    return Kind(T.OTHER, 0.1, subtype, None)


_REFINED: dict[T, tuple[tuple[T, float], ...]] = {
    T.REPORT: ((T.POLICE_REPORT, 4), (T.MEDICAL_RECORD, 8)),
    T.FORM: ((T.TAX_FORM, 4),),
    T.CONTRACT: ((T.LEASE, 4),),
}
"""What a general heading becomes when the text plainly speaks of a narrower kind: how plainly."""


def _refined(said: T, scores: dict[T, float]) -> T:
    for narrower, least in _REFINED.get(said, ()):
        if scores.get(narrower, 0.0) >= max(least, scores.get(said, 0.0)):
            return narrower
    return said


def _is_letter(said: T, scores: dict[T, float]) -> bool:
    """A greeting and a closing make a letter, whatever a line in capitals announces."""
    return said is not T.LETTER and scores.get(T.LETTER, 0.0) >= 6 > 2 * scores.get(said, 0.0)
