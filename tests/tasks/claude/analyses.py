"""Analyses to draw from: of documents in parts, where much is said twice, in like words or not."""

from datetime import date
from typing import Any, TypeVar

from hypothesis import strategies as st

from schema.analysis import (
    Amount,
    Analysis,
    DatedFact,
    DocumentType,
    KeyFact,
    Obligation,
    Organisation,
    Party,
    Person,
    Sensitivity,
    TimelineEntry,
    Whole,
)
from tasks.claude.merging import Part
from tasks.claude.steps import windows

_One = TypeVar("_One")

names = st.sampled_from(
    [
        "Paul Hargrove",
        "PAUL  HARGROVE",
        "Paul Hargrove,",
        "Ms. Okafor",
        "ms okafor",
        "Okafor",
        "***",
    ]
)
texts = (
    names
    | st.sampled_from(["", "x" * 5_000, "two\nlines", "\x85", "\u2028"])
    | st.text(max_size=12)
)
roles = st.sampled_from(["sender", "Sender", "lawyer", ""])
days = st.dates(date(2024, 3, 1), date(2024, 3, 4))
pages = st.integers(1, 40)
sums = st.decimals(-(10**9), 10**9, places=2)
currencies = st.sampled_from(["usd", "USD", "EUR"])


def perhaps(one: st.SearchStrategy[_One]) -> st.SearchStrategy[_One | None]:
    return st.none() | one


def few(one: st.SearchStrategy[_One]) -> st.SearchStrategy[list[_One]]:
    return st.lists(one, max_size=3)


_of_the_whole: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(DocumentType),
    "subtype": perhaps(texts),
    "title": texts,
    "document_date": perhaps(days),
    "filing_date": perhaps(days),
    "service_date": perhaps(days),
    "court": perhaps(texts),
    "case_number": perhaps(texts),
    "summary": texts,
    "language": st.sampled_from(["en", "und"]),
    "confidence": st.floats(0, 1),
}

wholes = st.builds(Whole, **_of_the_whole)

analyses = st.builds(
    Analysis,
    **_of_the_whole,
    analyst=st.just("claude-haiku-5-5"),
    dates=few(st.builds(DatedFact, on=days, what=texts, page=pages)),
    parties=few(st.builds(Party, name=names, role=roles)),
    people=few(st.builds(Person, name=names, role=perhaps(roles))),
    organisations=few(st.builds(Organisation, name=names, role=perhaps(roles))),
    amounts=few(st.builds(Amount, value=sums, currency=currencies, what=texts, page=pages)),
    key_facts=few(st.builds(KeyFact, quote=texts, page=pages, fact=texts)),
    timeline=few(st.builds(TimelineEntry, quote=texts, page=pages, on=days, what=texts)),
    obligations=few(
        st.builds(
            Obligation,
            quote=texts,
            page=pages,
            who=perhaps(names),
            what=texts,
            due=perhaps(days),
            deadline=perhaps(texts),
        )
    ),
    sensitivity=few(st.sampled_from(Sensitivity)),
)


@st.composite
def in_parts(draw: st.DrawFn, *, least: int = 1) -> list[Part]:
    """What is known of a document's parts, in order; some may be missing."""
    count, pages_per_call = draw(st.integers(least, 4)), draw(st.integers(1, 4))
    steps = windows(draw(st.integers(count * pages_per_call, 30)), pages_per_call)
    known = st.lists(st.sampled_from(steps), min_size=count, max_size=count, unique=True)
    return [Part(step, draw(analyses)) for step in sorted(draw(known))]
