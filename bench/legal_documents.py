"""Invented legal documents with exact truth, to measure an analyst: same seed, same text.

`templates/development.txt` may be read while rules are improved; `templates/held_out.txt`
only to report. In a template, `<<date:name+30|num>>` is a date thirty days after the
document's own, written in figures; `<<sum:total=a+b>>` a sum of sums; `<<PERSON:a>>` a
person in capitals. A field written twice is the same person, date or sum.
"""

import ast
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from schema.analysis import DocumentType

TEMPLATES = Path(__file__).parent / "templates"
TemplateSet = Literal["development", "held_out"]

_NAMES: dict[str, str] = {
    "first": "Amelia|Bernard|Clara|Desmond|Edith|Frederick|Gwendolyn|Harold|Imogen|Jerome|"
    "Katherine|Leonard|Miriam|Nathaniel|Octavia|Preston|Rosalind|Sebastian|Theresa|Vincent|Wilhelmina|Xavier|"
    "Yolanda",
    "last": "Abernathy|Blackwood|Castellano|Delacroix|Eastman|Fairbanks|Goldstein|Hutchinson|"
    "Ingersoll|Jankowski|Kowalczyk|Lindqvist|McAllister|Nakamura|O'Donnell|Pemberton|Quimby|"
    "Rutherford|Santiago|Thibodeaux|Underhill|Vandermeer|Whitcombe|Yarborough|Zimmerman",
    "org": "Harborview Properties, LLC|Tri-County Plumbing Supply, Inc.|Cascade Freight Lines Corp."
    "|Meridian Mutual Insurance Company|Blue Heron Roofing Co.|Ashgrove Medical Group, P.C.|"
    "Pinnacle Storage Partners, L.P.|Granite State Builders, Inc.|Larkspur Software, Inc.|"
    "Old Mill Bakery LLC|Redstone Equipment Leasing Corp.|Summit Ridge Homeowners Association",
    "bank": "First Meridian Bank|Harbor National Bank|Prairie Savings Bank|Union Trust Bank",
    "firm": "Whitlock & Barnes LLP|Law Offices of Joan Ferris|Pruitt, Dale & Osborne, P.A.|"
    "Stern Keller PLLC|Marsh & Everly LLP|The Calloway Law Group",
    "state": "Ohio|Oregon|Nevada|Vermont|Indiana|North Carolina|New Jersey|Wisconsin",
    "county": "Franklin|Washoe|Multnomah|Monroe|Durham|Essex|Dane|Chittenden|Orange",
    "city": "Fairview|Brookhaven|Kingsport|Millbrook|Ashland|Lakewood|Oakdale|Riverton",
    "street": "Chestnut Street|Willow Lane|Harbor Drive|Sycamore Avenue|Mill Road|Orchard Way|"
    "Canal Street",
}
_LISTS = {kind: names.split("|") for kind, names in _NAMES.items()}
_CASE_NUMBERS = ("24-CV-{:05}", "2023-{:06}", "CV{:06}-A", "3:22-cv-{:05}", "{:05}/2021")
_ORDINALS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}

_FIELD = re.compile(r"<<(?P<kind>[A-Za-z0-9]+):?(?P<rest>[^<>]*)>>")
_DATE_FIELD = re.compile(r"(?P<name>[a-z0-9]+)(?P<offset>[+-][0-9]+)?$")
_SUM_FIELD = re.compile(
    r"(?P<name>[a-z0-9]+)(?: (?P<low>[0-9]+)-(?P<high>[0-9]+)|=(?P<formula>[a-z0-9+.-]+))?$"
)


@dataclass(frozen=True)
class LegalDocument:
    """One document, page by page, and what is true of it."""

    name: str
    type: DocumentType
    pages: tuple[str, ...]
    document_date: date
    dates: frozenset[date]
    amounts: frozenset[Decimal]
    case_number: str | None
    parties: frozenset[tuple[str, str]]
    """Name and role of every party that the template names."""


def documents(
    which: TemplateSet, *, seed: int, per_template: int, noise: float = 0.0
) -> Iterator[LegalDocument]:
    """`per_template` documents of every template of a set; `noise` is the share of bad letters."""
    blocks = (TEMPLATES / f"{which}.txt").read_text(encoding="utf-8").split("@@ ")[1:]
    for number, block in enumerate(blocks):
        for copy in range(per_template):
            made = _Making(random.Random(f"{seed}/{which}/{number}/{copy}"))  # noqa: S311
            document = made.document(block, name=f"{number:02}-{copy}")
            yield _with_noise(document, made.chance, noise) if noise else document


@dataclass
class _Making:
    """The names, dates and sums of one document while it is written."""

    chance: random.Random
    named: dict[str, str] = field(default_factory=dict[str, str])
    dates: dict[str, date] = field(default_factory=dict[str, date])
    sums: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    style: str = "long"

    def document(self, block: str, *, name: str) -> LegalDocument:
        head, _, body = block.partition("\n")
        kind, *roles = [part.strip() for part in head.split("|")]
        self.dates["own"] = date(2015, 1, 1) + timedelta(days=self.chance.randrange(3900))
        self.style = self.chance.choices(("long", "num", "dmy", "abbr"), (60, 15, 10, 15))[0]
        text = _FIELD.sub(self._written, body)
        return LegalDocument(
            name=f"{kind} {name}",
            type=DocumentType(kind),
            pages=tuple(page.strip("\n") + "\n" for page in text.split("\f")),
            document_date=self.dates["own"],
            dates=frozenset(self.dates.values()),
            amounts=frozenset(self.sums.values()),
            case_number=self.named.get("caseno:c"),
            parties=frozenset(self._parties(roles)),
        )

    def _parties(self, roles: Sequence[str]) -> Iterator[tuple[str, str]]:
        for role, who in (pair.split("=") for pair in roles if "=" in pair):
            before, _, key = who.rpartition(" ")
            yield f"{before} {self._name(*key.split(':'))}".strip(), role

    def _written(self, match: re.Match[str]) -> str:
        kind, rest = match["kind"], match["rest"]
        if kind == "page":
            return "\f"
        key, _, style = rest.partition("|")
        if kind == "date":
            return self._date(key, style or self.style)
        if kind == "sum":
            return self._sum(key, style)
        name = self._name(kind.lower(), key)
        return name.upper() if kind.isupper() else name

    def _date(self, key: str, style: str) -> str:
        asked = _DATE_FIELD.match(key)
        if asked is None:
            raise ValueError(f"not a date field: {key}")
        if asked["name"] not in self.dates:
            days = int(asked["offset"]) * self.chance.uniform(1.0, 1.1)
            self.dates[asked["name"]] = self.dates["own"] + timedelta(days=round(days))
        on = self.dates[asked["name"]]
        written = {
            "num": f"{on:%m/%d/%Y}", "short": f"{on:%m/%d/%y}", "iso": f"{on:%Y-%m-%d}",
            "dmy": f"{on.day} {on:%B %Y}", "mail": f"{on.day} {on:%b %Y}",
            "abbr": f"{on:%b} {on.day}, {on.year}",
            "day-of": f"{on.day}{_ORDINALS.get(on.day, 'th')} day of {on:%B}, {on.year}",
        }  # fmt: skip
        return written.get(style, f"{on:%B} {on.day}, {on.year}")

    def _sum(self, key: str, style: str) -> str:
        asked = _SUM_FIELD.match(key)
        if asked is None:
            raise ValueError(f"not a sum field: {key}")
        name = asked["name"]
        if name not in self.sums:
            if asked["formula"]:
                value = sum(self._terms(asked["formula"]), Decimal(0))
            else:
                cents = self.chance.randrange(100 * int(asked["low"]), 100 * int(asked["high"]))
                value = Decimal(cents) / 100
            if style == "round":
                value = value.quantize(Decimal(100)) if value > 500 else value.quantize(Decimal(1))
            self.sums[name] = -value if style == "minus" else value
        value = self.sums[name]
        if style == "minus":
            return f"-{abs(value):,.2f}"
        if style == "plain":
            return f"{value:,.2f}"
        return f"${value:,.0f}" if style == "round" else f"${value:,.2f}"

    def _terms(self, formula: str) -> Iterator[Decimal]:
        for sign, term in re.findall(r"([+-]?)([a-z0-9.]+)", formula):
            value = self.sums[term] if term in self.sums else Decimal(str(ast.literal_eval(term)))
            yield -value if sign == "-" else value

    def _name(self, kind: str, key: str) -> str:
        if kind in {"first", "last"}:
            first, *_, last = self._name("person", key).split()
            return first if kind == "first" else last
        if kind in {"weekday", "wd"}:
            on = self.dates[key] if key in self.dates else self.dates["own"]
            return f"{on:%A}" if kind == "weekday" else f"{on:%a}"
        if kind == "mail":
            first, *_, last = self._name("person", key).split()
            return f"{first[0]}.{last}@example.com".lower().replace("'", "")
        known = f"{kind}:{key}"
        if known not in self.named:
            self.named[known] = self._new_name(kind)
        return self.named[known]

    def _new_name(self, kind: str) -> str:
        pick = self.chance.choice
        number = self.chance.randrange(100_000)
        figures = {
            "zip": f"{number:05}",
            "phone": f"({200 + number % 700}) 555-{number % 10_000:04}",
            "ein": f"{10 + number % 80}-{1_000_000 + number}",
            "no4": f"{number % 10_000:04}",
            "no": f"{number + 100_000}",
        }
        if kind in figures:
            return figures[kind]
        if kind == "person":
            middle = pick(("", "", f"{pick('ABCDEFGHJKLMRSTW')}. "))
            return f"{pick(_LISTS['first'])} {middle}{pick(_LISTS['last'])}"
        if kind == "street":
            return f"{10 + number % 9000} {pick(_LISTS['street'])}"
        if kind == "caseno":
            return pick(_CASE_NUMBERS).format(number)
        return pick([name for name in _LISTS[kind] if name not in self.named.values()])


_LOOKALIKES = {
    "0": "O", "O": "0", "1": "l", "l": "1", "I": "l", "m": "rn", "e": "c", "a": "o", "h": "b",
    ".": "", ",": ".", " ": "", "c": "e", "i": "l", "S": "5", "u": "ii", "'": "",
}  # fmt: skip


def _with_noise(document: LegalDocument, chance: random.Random, rate: float) -> LegalDocument:
    """Letters misread, spaces lost, and in every second document columns run together."""
    together = chance.random() < 0.5

    def noisy(page: str) -> str:
        letters = re.sub(r"(?<=\S) {2,}", " ", page) if together else page
        return "".join(
            _LOOKALIKES.get(letter, letter) if chance.random() < rate else letter
            for letter in letters
        )

    pages = tuple(noisy(page) for page in document.pages)
    return replace(document, pages=pages)
