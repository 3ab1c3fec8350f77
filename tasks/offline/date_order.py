"""Whether 03/04/2024 is the third of April or the fourth of March."""

import re
from collections.abc import Sequence
from itertools import islice

from tasks.offline.country import Country, country_of
from tasks.offline.text import OCR_DIGIT, Page, digits

_DATES = 200
_IN_FIGURES = re.compile(
    rf"(?<![0-9A-Za-z/.-])(?P<a>{OCR_DIGIT}{{1,2}})(?P<s>/)(?P<b>{OCR_DIGIT}{{1,2}})/[0-9]{{2,4}}"
    r"(?![0-9/])"
)
_ASKED_ORDER = re.compile(
    r"\b(?P<order>dd?|mm?|jj?)\s?[/.-]\s?(?:dd?|mm?)\s?[/.-]\s?(?:yy|aa)(?:yy|aa)?\b", re.IGNORECASE
)
_DAY_FIRST = frozenset({Country.BRITAIN, Country.IRELAND, Country.AUSTRALIA})


def is_day_first(pages: Sequence[Page], language: str) -> bool:
    """Whether 03/04/2024 is the third of April.

    A form that says how it is filled in decides, then another date of the document, then its
    country, then its language.
    """
    day_first = month_first = False
    for page in pages[:20]:
        asked = _ASKED_ORDER.search(page.text)
        if asked:
            return asked["order"][0].lower() in "dj"
        for match in islice(_IN_FIGURES.finditer(page.text), _DATES):
            day_first |= int(digits(match["a"])) > 12
            month_first |= int(digits(match["b"])) > 12
    if day_first != month_first:
        return day_first
    return language in {"de", "fr", "es", "it"} or country_of(pages) in _DAY_FIRST
