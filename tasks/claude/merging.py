"""One analysis from those of a document's parts.

Lists are joined without what is there twice. What the document is as a whole (type, title,
dates of its own, summary) comes from one more question about the parts, `Whole`; without its
answer, from the part that is surest of it.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from unicodedata import category, normalize

from schema.analysis import (
    Amount,
    Analysis,
    DatedFact,
    KeyFact,
    Obligation,
    Organisation,
    Party,
    Person,
    TimelineEntry,
    Whole,
)
from schema.claude import Step

_Item = TypeVar("_Item")
_Paged = TypeVar("_Paged", DatedFact, Amount, KeyFact, TimelineEntry, Obligation)
_Named = TypeVar("_Named", Party, Person, Organisation)


@dataclass(frozen=True, slots=True)
class Part:
    """Some pages of a document, and their analysis."""

    step: Step
    analysis: Analysis

    def account(self) -> dict[str, Any]:
        """What the whole is told from."""
        told = self.analysis.model_dump(
            mode="json",
            exclude_none=True,
            include={
                *("type", "subtype", "title", "document_date", "filing_date", "service_date"),
                *("court", "case_number", "parties", "summary", "language", "confidence"),
            },
        )
        facts = [{"fact": one.fact, "page": one.page} for one in self.analysis.key_facts]
        return {**told, "key_facts": facts} if facts else told


def merged(parts: Sequence[Part], whole: Whole | None) -> Analysis:
    """Join the parts, in the order of their pages."""
    first = max(parts, key=lambda part: part.analysis.confidence).analysis
    every = [_within(part) for part in parts]
    if len(every) == 1 and whole is None:
        return every[0]
    joined = first.model_copy(
        update={
            "dates": _once((one for a in every for one in a.dates), lambda d: (d.on, _key(d.what))),
            "parties": _named(one for a in every for one in a.parties),
            "people": _named(one for a in every for one in a.people),
            "organisations": _named(one for a in every for one in a.organisations),
            "amounts": _once(
                (one for a in every for one in a.amounts),
                lambda m: (m.value, m.currency, m.page, _key(m.what)),
            ),
            "key_facts": _once(
                (one for a in every for one in a.key_facts), lambda f: (_key(f.fact), f.page)
            ),
            "timeline": sorted(
                _once((one for a in every for one in a.timeline), lambda t: (t.on, _key(t.what))),
                key=lambda entry: entry.on,
            ),
            "obligations": _once(
                (one for a in every for one in a.obligations),
                lambda o: (_key(o.who or ""), _key(o.what), o.due),
            ),
            "sensitivity": _once((one for a in every for one in a.sensitivity), lambda s: s),
            "court": next((a.court for a in every if a.court), None),
            "case_number": next((a.case_number for a in every if a.case_number), None),
            "summary": "\n".join(
                f"Pages {part.step.first_page} to {part.step.last_page}: {part.analysis.summary}"
                for part in parts
            ),
        }
    )
    if whole is not None:
        joined = joined.model_copy(update=whole.model_dump())
    # Joined lists and summaries are cut to what the schema allows.
    return Analysis.model_validate(joined.model_dump())


def _within(part: Part) -> Analysis:
    """Pages outside the part were not seen: its nearest page is meant."""

    def moved(one: _Paged) -> _Paged:
        page = min(max(one.page, part.step.first_page), part.step.last_page)
        return one.model_copy(update={"page": page})

    a = part.analysis
    return a.model_copy(
        update={
            "dates": [moved(one) for one in a.dates],
            "amounts": [moved(one) for one in a.amounts],
            "key_facts": [moved(one) for one in a.key_facts],
            "timeline": [moved(one) for one in a.timeline],
            "obligations": [moved(one) for one in a.obligations],
        }
    )


def _once(items: Iterable[_Item], key: Callable[[_Item], Hashable]) -> list[_Item]:
    kept: dict[Hashable, _Item] = {}
    for item in items:
        kept.setdefault(key(item), item)
    return list(kept.values())


def _named(items: Iterable[_Named]) -> list[_Named]:
    """Each name and role once; a name without a role only if it has none elsewhere."""
    every = _once(items, lambda one: (_key(one.name), _key(one.role or "")))
    with_role = {_key(one.name) for one in every if one.role}
    return [one for one in every if one.role or _key(one.name) not in with_role]


def _key(text: str) -> str:
    """What texts that say the same have in common: their letters and figures."""
    composed = normalize("NFC", text.casefold())
    # Vowel signs of many scripts are marks, not letters.
    kept = "".join(c if c.isalnum() or category(c).startswith("M") else " " for c in composed)
    return " ".join(kept.split()) or text.strip()
