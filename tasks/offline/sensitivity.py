"""What in a document must be handled with care: numbers, children, health, privilege, seals."""

import re
from collections.abc import Sequence

from schema.analysis import DocumentType, Sensitivity
from tasks.offline.dates import FoundDate
from tasks.offline.text import Page

PAGES = 500

_SAYS: tuple[tuple[Sensitivity, re.Pattern[str]], ...] = (
    (
        Sensitivity.SOCIAL_SECURITY_NUMBER,
        re.compile(
            r"(?<![0-9-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9-])|"
            r"\b(?:ssn|social security (?:no|number|#))\W{0,6}[0-9xX*]{3}",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.FINANCIAL_ACCOUNT,
        re.compile(
            r"\b(?:account|acct|routing|card|iban)\.?\s{0,2}(?:no|number|nr|#)?\s{0,2}"
            r"(?:ending (?:in|with))?[.:#]{0,2}\s{0,4}(?=[0-9xX*-]{4,30})"
            r"[xX*-]{0,20}[0-9]{4,17}(?![0-9/])",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.IDENTITY_DOCUMENT,
        re.compile(
            r"\b(?:passport|driver'?s? licen[sc]e|identification card)\s{0,2}(?:no|number|#)"
            r"[.:]{0,2}\s{0,3}[A-Z]{0,3}[0-9]{4,12}",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.MINOR_NAMED,
        re.compile(
            r"(?:(?i:minor child(?:ren)?|minor son|minor daughter|the child|minor)"
            r"(?:,|:|\s(?i:is|are|named))\s{1,4}[A-Z][a-z]{2,20}\b)|"
            r"\b[A-Z][a-z]{2,20}(?: [A-Z][\w.'-]{0,20}){0,3},? (?i:a minor)\b|"
            r"(?i:\b(?:son|daughter|child),? [A-Z][a-z]{2,20},? (?:age|aged|born)\b)"
        ),
    ),
    (
        Sensitivity.ABUSE,
        re.compile(
            r"\b(?:domestic violence|domestic abuse|child abuse|"
            r"sexual(?:ly)? (?:assault|abuse)\w{0,3}|rape|order of protection|restraining order)\b",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.PRIVILEGED,
        re.compile(
            r"attorney[\s-]{1,2}client privilege|attorney work product|"
            r"\bprivileged (?:and|&) confidential|\bwork product (?:doctrine|privilege)|"
            r"\bprivileged communication",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.SEALED,
        re.compile(
            r"\b(?:filed |lodged )?under seal\b|\bsealed (?:by|pursuant|document|record)",
            re.IGNORECASE,
        ),
    ),
    (
        Sensitivity.CONFIDENTIAL,
        re.compile(
            r"(?:^|\n)[ ]{0,60}(?:[A-Z][A-Z ]{0,30} )?CONFIDENTIAL\b|(?i:personal and confidential)"
        ),
    ),
)
_MEDICAL = re.compile(
    r"\b(?:diagnos\w{2,4}|patient|surger(?:y|ies)|fractur\w{1,3}|medication|prescri(?:bed|ption)|"
    r"physical therapy|hospital(?:ized)?|symptoms|medical (?:expenses|records?|treatment)|"
    r"physician|psychiatr\w{2,4}|psycholog\w{2,4}|chemotherapy|injur(?:y|ies))\b",
    re.IGNORECASE,
)


def find_sensitivity(
    pages: Sequence[Page], kind: DocumentType, dates: Sequence[FoundDate]
) -> list[Sensitivity]:
    """The flags the words support, in the order of the taxonomy; three medical words make one."""
    flags: set[Sensitivity] = set()
    medical: set[str] = set()
    for page in pages[:PAGES]:
        text = page.text
        flags |= {flag for flag, pattern in _SAYS if flag not in flags and pattern.search(text)}
        if len(medical) < 3:
            medical |= {word.lower()[:7] for word in _MEDICAL.findall(text)}
    if kind is DocumentType.MEDICAL_RECORD or len(medical) >= 3:
        flags.add(Sensitivity.MEDICAL)
    if any(found.what == "born" for found in dates):
        flags.add(Sensitivity.DATE_OF_BIRTH)
    return [flag for flag in Sensitivity if flag in flags]
