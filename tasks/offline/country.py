"""In which country a paper was written, where several things on it say so."""

import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import islice

from tasks.offline.text import Page


class Country(StrEnum):
    """Countries whose papers are in English, and differ in money or in the order of a date."""

    UNITED_STATES = "US"
    CANADA = "CA"
    BRITAIN = "GB"
    IRELAND = "IE"
    AUSTRALIA = "AU"


_CUES: dict[Country, re.Pattern[str]] = {
    Country.UNITED_STATES: re.compile(
        r"\b(?:A[KLRZ]|C[AOT]|DE|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|RI|"
        r"S[CD]|T[NX]|UT|V[AT]|W[AIVY]),? [0-9]{5}\b|\b(?:IRS|SSN|Social Security|ZIP|Esq|Notary|"
        r"United States|Plaintiff|PLAINTIFF|(?:State|STATE) (?:of|OF) [A-Z]\w+|U\.S\.)"
    ),
    Country.CANADA: re.compile(
        r"\b[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]\b|\b(?:Canada|CANADA|Canadian|Ontario|ONTARIO|Alberta|"
        r"ALBERTA|British Columbia|BRITISH COLUMBIA|Manitoba|MANITOBA|Saskatchewan|SASKATCHEWAN|"
        r"Nova Scotia|NOVA SCOTIA|New Brunswick|NEW BRUNSWICK|Newfoundland|Qu[eé]bec|QU[EÉ]BEC|"
        r"Toronto|TORONTO|Vancouver|VANCOUVER|Calgary|CALGARY|Edmonton|Ottawa|OTTAWA|Montr[eé]al|"
        r"Winnipeg|Halifax|Mississauga|GST|HST|[Cc]hequing|Interac|Scotiabank|CIBC|"
        r"RCMP|CRA|RRSP|King's Bench|CAD|"
        r"(?:[A-Z][a-z]+|[A-Z]{3,15}), (?:ON|BC|AB|QC|MB|SK|NS|NB|NL|PEI))\b"
    ),
    Country.BRITAIN: re.compile(
        r"£|\b[A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2}\b|(?i:\.co\.uk\b|\+44\b|\b(?:england|wales|"
        r"scotland|northern ireland|london|hmrc|hm revenue|hm courts|nhs|sort code|vat|plc|"
        r"solicitors?|county court at|king's bench|queen's bench|national insurance|cheque|"
        r"council tax|"
        r"assured shorthold|employment tribunals?|gov\.uk|postcode|"
        r"united kingdom|sheriff court|high court of justice|companies house|"
        r"crown court|claimant)\b)"
    ),
    Country.IRELAND: re.compile(
        r"€|\b[A-Z][0-9]{2} ?[A-Z0-9]{4}\b|(?i:\.ie\b|\+353\b|\b(?:ireland|dublin|cork|galway|"
        r"limerick|waterford|kildare|eircode|garda|gardaí|revenue commissioners|pps|hse|an post|"
        r"circuit court|iban ie[0-9]{2}|vat|solicitors?|co\. [a-z]{4,9})\b)"
    ),
    Country.AUSTRALIA: re.compile(
        r"\b(?i:australia|\.com\.au|abn|pty|new south wales|queensland|gst|melbourne|sydney|"
        r"brisbane|perth)\b|\b(?:NSW|VIC|QLD|WA|TAS) [0-9]{4}\b"
    ),
}
_SIGNS = frozenset("£€")
_ENOUGH = 2
"""Different cues that must speak for a country other than the United States."""


def country_of(pages: Sequence[Page]) -> Country | None:
    """The country most different cues speak for; None when next to nothing does."""
    text = "\n".join(page.text[:20_000] for page in pages[:5])
    votes = {
        country: sum(
            _ENOUGH if cue_found in _SIGNS else 1
            for cue_found in {match[0].lower() for match in islice(cue.finditer(text), 200)}
        )
        for country, cue in _CUES.items()
    }
    most = max(votes.values())
    leading = [country for country, count in votes.items() if count == most]
    if most == 0 or (most < _ENOUGH and Country.UNITED_STATES not in leading):
        return None
    return leading[0]
