"""Whoever speaks in a will, a power of attorney, a certificate or a licence."""

import re
from collections.abc import Iterator

from schema.analysis import DocumentType, Party
from tasks.offline.forms import name_in
from tasks.offline.naming import NAME, name_only
from tasks.offline.text import Page, shorten

_CAPITALS = r"[A-ZÀ-Þ][A-ZÀ-Þ'’-]{0,24}\.?(?: [A-ZÀ-Þ][A-ZÀ-Þ'’-]{0,24}\.?){1,4}"
_WHO = rf"(?P<name>{_CAPITALS}(?![a-z])|{NAME})"
_I = re.compile(rf"\b(?:I|We),?\s{{1,3}}{_WHO}(?=[\s,(])")
_APPOINT = re.compile(
    r"\b(?i:appoint|designate)(?:\s(?i:as))?(?:\s(?i:my\s(?:agent|attorney)[^,\n]{0,40},?))?"
    rf"\s{{1,3}}{_WHO}"
)
_AFTER_TITLE = re.compile(rf"(?i:testament|will|codicil)\s{{1,60}}(?i:of)\s{{1,60}}{_WHO}")
_CERTIFIED = re.compile(
    r"(?i:certify|certifies)\b(?:[^\"\n]{0,120}\n?[^\"\n]{0,80})?\"(?P<name>[^\"\n]{3,90})\""
)
_LAST = re.compile(
    r"(?:^|\n|\s{2})[ ]{0,8}(?:1|LN|(?i:surname|last name|family name))[ .:/]{1,6}"
    r"(?P<name>[A-Z][A-Z' -]{1,30})(?=\s{0,4}\n|\s{2})"
)
_FIRST = re.compile(
    r"(?:^|\n|\s{2})[ ]{0,8}(?:2|FN|(?i:given names?|first names?))[ .:/]{1,6}"
    r"(?P<name>[A-Z][A-Z' .-]{1,40})(?=\s{0,4}\n|\s{2})"
)


_SURNAME_BELOW = re.compile(
    r"(?:^|\n)[ ]{0,8}(?:Surname|Last [Nn]ame|Family [Nn]ame)\b[^\n]{0,60}\n[ ]{0,8}"
    r"(?P<name>[A-Z][A-Za-z' -]{1,30})(?=\s{0,4}\n|\s{2})"
)
_GIVEN_BELOW = re.compile(
    r"(?:^|\n)[ ]{0,8}(?:Given [Nn]ames?|First [Nn]ames?)\b[^\n]{0,60}\n[ ]{0,8}"
    r"(?P<name>[A-Z][A-Za-z' .-]{1,40})(?=\s{0,4}\n|\s{2})"
)


def declared(page: Page, kind: DocumentType) -> Iterator[Party]:
    """The testator, the principal and the agent, the company certified, the holder."""
    text = page.text[:5000]
    if kind is DocumentType.WILL:
        yield from _first(text, (_AFTER_TITLE, _I), "testator")
    elif kind is DocumentType.POWER_OF_ATTORNEY:
        yield from _first(text, (_I,), "principal")
        yield from _first(text, (_APPOINT,), "agent")
    elif kind is DocumentType.CERTIFICATE:
        match = _CERTIFIED.search(text)
        if match:
            yield Party(name=match["name"].strip(" ,."), role="company")
    elif kind is DocumentType.ID_DOCUMENT:
        last = _LAST.search(text) or _SURNAME_BELOW.search(text)
        first = _FIRST.search(text) or _GIVEN_BELOW.search(text)
        if last and first:
            yield Party(name=f"{first['name'].strip()} {last['name'].strip()}", role="holder")


def _first(text: str, patterns: tuple[re.Pattern[str], ...], role: str) -> Iterator[Party]:
    for pattern in patterns:
        for match in pattern.finditer(text):
            name = name_in(name_only(match["name"]))
            if name:
                yield Party(name=shorten(name, 200), role=role)
                return
