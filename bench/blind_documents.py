"""A blind set for the analyst: documents by someone who has not read its rules.

Made like those of bench/legal_documents.py (same seed, same text) from the templates of
`templates/blind.txt`, `blind_2.txt` or `blind_3.txt`, each the layout of another kind of
paper. A set is blind until rules are mended by it: the first two are so no longer. What stands
before the first are pools of names, `kind = name|name`. A template begins with
`@@ type; option; role = person`: roles that say the same are parted by `/`, `?` stands
before one that need not be named, and a person in quotes is called so. Its pages are parted
by `%%`. A line longer than `width` is wrapped unless it has columns or begins with `~`;
`numbered` is pleading paper. `men a b` and `women c` say who is which, and `kin kid a` that
the child bears the parent's name. Fields:

`[[d hearing+30 long]]` a date thirty days after the document's own, and how it is written
`[[d end~start+364@31 long]]` counted from another date, and moved to that day of its month:
31 is the last, and `w` moves a weekend to Monday; `day 31` moves the document's own
`[[m total =fees+costs plain]]` a sum; `[[m fee 100-900/5 whole]]` one drawn in steps of 5
`[[p a]]`, `[[o a]]`, `[[f a]]` a person, company, law firm and so on; `[[P a]]` in capitals
`[[tab 40]]` what follows stands in column 40
`[[let fee 100-900]]` a sum that is reckoned with before it is written
`[[case 2:YY-cv-0####]]` the case number; `[[# 555-01##]]` figures that mean nothing here
`[[pick county=A|B]]` one of several words, again as `[[= county]]`

What a date or sum is, and on which page, is written down as the field is, so the truth is
what stands there: days without a year count where the document tells the year.
"""

import random
import re
import textwrap
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

from bench.legal_documents import (
    LegalDocument,
    _with_noise,  # pyright: ignore[reportPrivateUsage]
)
from schema.analysis import DocumentType

TEMPLATES = Path(__file__).parent / "templates"
BlindSet = Literal["blind", "blind_2", "blind_3"]

_POOLS = {
    "first": "Grace|Miguel|Priya|Tyrone|Hannah|Walter|Mei|Svetlana|Omar|Judith|Kevin|Lashonda|"
    "Pedro|Ingrid|Dale|Roxanne|Arturo|Beth|Cornelius|Yusuf|Marguerite|Todd|Anh|Renee",
    "men": "Miguel|Tyrone|Walter|Omar|Kevin|Pedro|Dale|Arturo|Cornelius|Yusuf|Todd",
    "middle": "||J. |Lee |M. ",
    "last": "Okafor|Ruiz|Patel|Washington|Schroeder|Lindholm|Chen|Volkova|Haddad|Baumgartner|"
    "Murphy|Garcia-Lopez|De La Cruz|Van Houten|Price|Hill|Easton|Nguyen|MacDougall|O'Shea|Kim|"
    "St. James|Trujillo|Boone",
    "company": "Tidewater Hauling, Inc.|ABC Rentals|Kestrel Property Management LLC|"
    "Northgate Foods Corporation|Delgado & Sons Construction|First Choice Auto Body, Inc.|"
    "Medallion Health Partners, LLP|Evergreen Casualty Company|Pacific Rim Logistics, L.L.C.|"
    "Sunrise Senior Living of Elm Grove|Halvorsen Engineering Group, Ltd.|Quick Mart #114, Inc.",
    "bank": "Commerce Bank of the Plains|Great Lakes Trust Company, N.A.|Citizens Savings & Loan|"
    "Keystone Community Bank|Valley Federal Credit Union",
    "firm": "Hargrove, Petty & Lunn LLP|The Law Office of Dana Whitfield|Morales Injury Law, APC|"
    "Ostrander Vick PLLC|Bell & Tanaka|Greer Sandoval Hirsch, P.C.",
    "insurer": "Lone Star Mutual Insurance Co.|Evergreen Casualty Company|Farm & Home Insurance",
    "solicitors": "Hobley Marsden Solicitors LLP|Thwaite & Crane|Pryce Lockwood Legal Limited",
    "limited": "Brackley Joinery Limited|Corrib Heating & Plumbing Ltd|Aldgate Facilities Ltd",
    "garage": "Dave's Truck & Auto|Northside Service Center, Inc.|First Choice Auto Body, Inc.",
    "trustee": "Western Default Services, Inc.|Sagebrush Trustee Corps|MTC Reconveyance Company",
    "engineers": "Halvorsen Engineering Group, Ltd.|Basu Structural Consultants|KLR Associates",
    "street": "W. 9th St.|Larkspur Court|Highway 41 South|N. Meridian Ave.|Old Post Road|"
    "Martin Luther King Jr. Blvd.|County Road 12|E Pine St|Hawthorne Terrace",
    "town": "Bellwood|Cedar Falls|Mount Vernon|Salem|Granger|Pine Bluff|Newport|La Grange",
}
_ORGANISATIONS = {
    "o": "company", "b": "bank", "f": "firm", "i": "insurer", "s": "solicitors", "u": "limited",
    "g": "garage", "t": "trustee", "e": "engineers",
}  # fmt: skip
_HIS_OR_HER = {"he": "she", "his": "her", "him": "her", "title": "Ms."}
_SHORT_MONTHS = (
    "Jan.", "Feb.", "March", "April", "May", "June",
    "July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec.",
)  # fmt: skip

_POOL = re.compile(r"(?m)^([a-z]+) = (.+)$")
_FIELD = re.compile(r"\[\[(.+?)\]\]")
_COLUMNS = re.compile(r"\S {4,}\S")
_PAD = re.compile(r" (?P<side>[<>])(?P<width>[0-9]+)$")
_DATE = re.compile(
    r"(?P<name>[a-z0-9]+)(?:~(?P<base>[a-z0-9]+))?"
    r"(?:(?P<offset>[+-][0-9]+)|=(?P<fixed>[0-9-]+))?(?:@(?P<day>[0-9]+|w))?$"
)
_RANGE = re.compile(r"(?P<low>[0-9.]+)(?:-(?P<high>[0-9.]+))?(?:/(?P<step>[0-9.]+))?$")
_TERM = re.compile(r"(?P<sign>[+-]?)(?P<name>[a-z][a-z0-9]*)(?:\*(?P<times>[0-9.]+))?")


@dataclass(frozen=True)
class BlindDocument(LegalDocument):
    """A document of the blind set: what it counts in, what stands where, and roles' other words."""

    currency: str
    dated: frozenset[tuple[date, int]]
    """Every date with its page."""
    paid: frozenset[tuple[Decimal, int]]
    """Every sum with its page."""
    roles: Mapping[str, frozenset[str]]
    """Words as good as the role in `parties`, by the party's name."""
    optional: frozenset[str]
    """Names that may be called parties, or not."""


def blind_documents(
    which: BlindSet = "blind", *, seed: int, per_template: int, noise: float = 0.0
) -> Iterator[BlindDocument]:
    """`per_template` documents of every template of a set; `noise` is the share of bad letters."""
    before, *blocks = (TEMPLATES / f"{which}.txt").read_text(encoding="utf-8").split("@@ ")
    pools = _POOLS | dict(_POOL.findall(before))
    lists = {kind: names.split("|") for kind, names in pools.items()}
    for number, block in enumerate(blocks):
        for copy in range(per_template):
            chance = random.Random(f"{seed}/{which}/{number}/{copy}")  # noqa: S311
            writing = _Writing(chance, lists)
            document = writing.document(block, name=f"{number:02}-{copy}")
            if noise:
                noisy = _with_noise(document, writing.chance, noise)
                document = replace(document, pages=noisy.pages)
            yield document


@dataclass
class _Writing:
    """One document while it is written: who and what it names, and the truth so far."""

    chance: random.Random
    lists: Mapping[str, Sequence[str]]
    page: int = 1
    stretch: float = 1.0
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    days: dict[str, date] = field(default_factory=dict[str, date])
    sums: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    dated: set[tuple[date, int]] = field(default_factory=set[tuple[date, int]])
    paid: set[tuple[Decimal, int]] = field(default_factory=set[tuple[Decimal, int]])

    def document(self, block: str, *, name: str) -> BlindDocument:
        head, _, body = block.partition("\n")
        kind, *rest = [part.strip() for part in head.split(";")]
        self.options = {key: value for key, _, value in (one.partition(" ") for one in rest)}
        options = self.options
        year = int(options.get("year", self.chance.randrange(2012, 2025)))
        own = date(year, 1, 20) + timedelta(days=self.chance.randrange(330))
        self.days["own"] = (
            _moved(own, options["day"])
            if "day" in options
            else own - timedelta(days=max(0, own.weekday() - 4))  # no Sundays in court
        )
        self.stretch = self.chance.uniform(1.0, 1.08)
        pages: list[str] = []
        for self.page, page in enumerate(body.split("\n%%\n"), start=1):
            written = _FIELD.sub(self._written, page.strip("\n"))
            pages.append(_laid_out(written, int(options["width"]), "numbered" in options))
        named = [one.split(" = ") for one in rest if " = " in one]
        named = [(words.split("/"), self._party(who)) for words, who in named]
        return BlindDocument(
            name=f"{kind} {name}",
            type=DocumentType(kind),
            pages=tuple(pages),
            document_date=self.days["own"],
            dates=frozenset(on for on, _ in self.dated),
            amounts=frozenset(value for value, _ in self.paid),
            case_number=self.names.get("case"),
            parties=frozenset((who, role) for (role, *_), who in named if role[0] != "?"),
            currency=options.get("currency", "USD"),
            dated=frozenset(self.dated),
            paid=frozenset(self.paid),
            roles={who: frozenset(words) for words, who in named},
            optional=frozenset(who for (role, *_), who in named if role[0] == "?"),
        )

    def _party(self, who: str) -> str:
        return who.strip('"') if who.startswith('"') else self._name(*who.split())

    def _written(self, match: re.Match[str]) -> str:
        pad = _PAD.search(match[1])
        text = self._text(match[1][: pad.start()] if pad else match[1])
        if not pad:
            return text
        width = int(pad["width"])
        return text.ljust(width) if pad["side"] == "<" else text.rjust(width)

    def _text(self, asked: str) -> str:
        kind, _, rest = asked.partition(" ")
        match kind:
            case "d":
                text = self._date(*rest.split())
            case "m":
                text = self._sum(*rest.split())
            case "let":
                name, how = rest.split()
                self.sums[name], text = self._value(how), ""
            case "case":
                text = self._once("case", rest)
            case "#":
                text = self._figures(rest)
            case "tab":
                text = f"\t{rest}\t"
            case "time":
                text = self._time(rest)
            case "pick":
                name, _, words = rest.partition("=")
                text = self.names.setdefault(f"pick {name}", self.chance.choice(words.split("|")))
            case "=":
                text = self.names[f"pick {rest}"]
            case "he" | "his" | "him" | "title":
                his = {"title": "Mr."}.get(kind, kind)
                text = his if self._is_he(rest) else _HIS_OR_HER[kind]
            case "addr":
                key, _, part = rest.partition(" ")
                address = self._once(f"addr {key}", "")
                text = address.split()[0] if part else address
            case _:
                name = self._name(kind.lower(), *rest.split())
                text = name.upper() if kind.isupper() else name
        return text

    def _date(self, name: str, style: str) -> str:
        asked = _DATE.match(name)
        if asked is None:
            raise ValueError(f"not a date: {name}")
        if asked["fixed"]:
            self.days[asked["name"]] = date.fromisoformat(asked["fixed"])
        elif asked["name"] not in self.days:
            days = int(asked["offset"]) * (1 if asked["base"] else self.stretch)
            counted = self.days[asked["base"] or "own"] + timedelta(days=round(days))
            self.days[asked["name"]] = _moved(counted, asked["day"])
        on = self.days[asked["name"]]
        self.dated.add((on, self.page))
        return written_date(on, style)

    def _sum(self, name: str, *how: str) -> str:
        style = next((one for one in how if one[0] not in "=0123456789"), "$")
        asked = next((one for one in how if one[0] in "=0123456789"), "")
        if name not in self.sums:
            self.sums[name] = self._value(asked)
        value = self.sums[name]
        below_zero = any(word in style for word in ("paren", "minus", "trailing", "cr"))
        self.paid.add((-value if below_zero else value, self.page))
        return written_sum(value, style)

    def _value(self, asked: str) -> Decimal:
        if asked.startswith("="):
            value = Decimal(0)
            for sign, name, times in _TERM.findall(asked[1:]):
                value += self.sums[name] * Decimal(times or 1) * (-1 if sign == "-" else 1)
            return value.quantize(Decimal("0.01"))
        drawn = _RANGE.match(asked)
        if drawn is None:
            raise ValueError(f"not a sum: {asked!r}")
        low, high = Decimal(drawn["low"]), Decimal(drawn["high"] or drawn["low"])
        step = Decimal(drawn["step"] or "0.01")
        steps = int((high - low) / step)
        return (low + step * self.chance.randint(0, steps)).quantize(Decimal("0.01"))

    def _name(self, kind: str, key: str, part: str = "") -> str:
        name = self._once(f"{kind} {key}", "")
        if not part:
            return name
        first, *middle, last = name.replace("De La ", "De_La_").replace("Van ", "Van_").replace(
            "St. ", "St._").split()  # fmt: skip
        last = last.replace("_", " ")
        return {
            "first": first,
            "given": " ".join([first, *middle]),
            "last": last,
            "turned": f"{last}, {' '.join([first, *middle])}",
            "initials": f"{first[0]}.{last[0]}.",
            "mail": re.sub("[^a-z.@0-9]", "", f"{first[0]}{last}@example.com".lower()),
        }[part]

    def _is_he(self, key: str) -> bool:
        return self._name("p", key).split()[0] in self.lists["men"]

    def _once(self, key: str, pattern: str) -> str:
        if key not in self.names:
            self.names[key] = self._new(key, pattern)
        return self.names[key]

    def _new(self, key: str, pattern: str) -> str:
        kind, _, who = key.partition(" ")
        used = " ".join(self.names.values())
        pick = self.chance.choice
        if kind == "case":
            return self._figures(pattern)
        if kind == "addr":
            return f"{self.chance.randrange(12, 9800)} {pick(self.lists['street'])}"
        if kind == "p":
            firsts = [name for name in self.lists["first"] if name not in used]
            for sex in ("men", "women"):
                if who in self.options.get(sex, "").split():
                    men = self.lists["men"]
                    firsts = [name for name in firsts if (name in men) is (sex == "men")]
            first = pick(firsts)
            *children, parent = self.options.get("kin", "none").split()
            last = (
                self._name("p", parent, "last")
                if who in children
                else pick([name for name in self.lists["last"] if name not in used])
            )
            return f"{first} {pick(self.lists['middle'])}{last}"
        kind = _ORGANISATIONS.get(kind, kind)
        return pick([name for name in self.lists[kind] if name not in used])

    def _figures(self, pattern: str) -> str:
        own = self.days["own"]
        pattern = pattern.replace("YYYY", f"{own:%Y}").replace("YY", f"{own:%y}")
        return re.sub("#", lambda _: str(self.chance.randrange(10)), pattern)

    def _time(self, style: str) -> str:
        hour, minute = self.chance.randrange(8, 18), self.chance.randrange(0, 60, 5)
        afternoon, clock = hour >= 12, f"{(hour - 1) % 12 + 1}:{minute:02}"
        return {
            "24": f"{hour}:{minute:02}",
            "sec": f"{hour}:{minute:02}:{self.chance.randrange(60):02}",
            "ampm": f"{clock} {'PM' if afternoon else 'AM'}",
        }.get(style, f"{clock} {'p.m.' if afternoon else 'a.m.'}")


def _moved(on: date, day: str | None) -> date:
    """The date on that day of its month, or the Monday after a weekend."""
    if day is None:
        return on
    if day == "w":
        return on + timedelta(days=7 - on.weekday() if on.weekday() > 4 else 0)
    return on.replace(day=min(int(day), monthrange(on.year, on.month)[1]))


def written_date(on: date, style: str) -> str:
    """A day as people write it."""
    month, short, day = f"{on:%B}", f"{on:%b}", _ordinal(on.day)
    named_day = _ordinal_words(on.day)
    return {
        "long": f"{month} {on.day}, {on.year}",
        "long0": f"{month} {on:%d}, {on.year}",
        "upper": f"{month} {on.day}, {on.year}".upper(),
        "ordinal": f"{month} {day}, {on.year}",
        "weekday": f"{on:%A}, {month} {on.day}, {on.year}",
        "abbr": f"{_SHORT_MONTHS[on.month - 1]} {on.day}, {on.year}",
        "mail": f"{on:%a}, {on.day} {short} {on.year}",
        "gmail": f"{on:%a}, {short} {on.day}, {on.year}",
        "mil": f"{on:%d}-{short}-{on.year}".upper(),
        "dmy": f"{on.day} {month} {on.year}",
        "dmy-ord": f"{day} {month} {on.year}",
        "num": f"{on:%m/%d/%Y}",
        "n": f"{on.month}/{on.day}/{on.year}",
        "n2": f"{on:%m/%d/%y}",
        "short": f"{on.month}/{on.day}/{on:%y}",
        "iso": f"{on:%Y-%m-%d}",
        "dash": f"{on:%m-%d-%Y}",
        "dash-short": f"{on:%m-%d-%y}",
        "euslash": f"{on:%d/%m/%Y}",
        "mon": f"{short} {on.day}, {on.year}",
        "dmon": f"{on:%d} {short} {on.year}",
        "dmon2": f"{on:%d %b %y}",
        "dd-mon-yy": f"{on:%d-%b-%y}",
        "stamp": f"{short} {on:%d} {on.year}".upper(),
        "clerk": f"{on.year} {short} {on:%d}".upper(),
        "dots": f"{on.month}.{on.day}.{on:%y}",
        "dashes": f"{on.month}-{on.day}-{on:%y}",
        "boxes": f"{on:%m} / {on:%d} / {on.year}",
        "weekday-dmy": f"{on:%A} {on.day} {month} {on.year}",
        "weekday-md": f"{on:%A}, {month} {on.day}",
        "day-of-": f"{day} day of {month} {on.year}",
        "md": f"{month} {on.day}",
        "mon-d": f"{short} {on.day}",
        "md-n": f"{on.month}/{on.day}",
        "md-ord": f"{month} {day}",
        "md-slash": f"{on:%m/%d}",
        "day-of": f"{day} day of {month}, {on.year}",
        "DAY-OF": f"{named_day} day of {month}, A.D. {on.year}".upper(),
        "words": f"{named_day} day of {month}, two thousand {_words(on.year % 100)}",
    }[style]


def written_sum(value: Decimal, style: str) -> str:
    """A sum as people write it; styles of brackets and minus signs make it negative."""
    full, whole = f"{value:,.2f}", f"{value:,.0f}"
    words, cents = _words(int(value)), f"{int(value * 100) % 100:02}"
    return {
        "$": f"${full}",
        "whole": f"${whole}",
        "plain": full,
        "bare": f"{whole}.",
        "paren-plain": f"({full})",
        "gbp-minus": f"-£{full}",
        "paren-bare": f"({whole}.)",
        "$nocomma": f"${value:.2f}",
        "$paren": f"(${full})",
        "minus": f"-{full}",
        "trailing": f"{full}-",
        "$minus": f"-${full}",
        "cr": f"{full} CR",
        "nocomma": f"${value:.0f}",
        "dollars": f"{whole} dollars",
        "usd": f"US${whole}",
        "k": f"${int(value / 1000)}k",
        "million": f"${value / 1_000_000:.1f} million",
        "bucks": f"{whole} bucks",
        "gbp": f"£{full}",
        "gbp-whole": f"£{whole}",
        "eur": f"€{full}",
        "eur-minus": f"-€{full}",
        "words": f"{words.title()} Dollars (${full})",
        "words-whole": f"{words.title()} Dollars (${whole})",
        "words-100": f"{words.title()} and {cents}/100 Dollars (${full})",
        "words-caps": f"{words.upper()} DOLLARS AND {cents}/100 (${full})",
        "words-check": f"{words.capitalize()} and {cents}/100 dollars  ${full}",
    }[style]


_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen",
)  # fmt: skip
_TENS = (
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip
_ODD_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth",
}  # fmt: skip


def _words(number: int) -> str:
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return _TENS[tens] + (f"-{_UNITS[units]}" if units else "")
    size, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, size)
    return f"{_words(many)} {name}" + (f" {_words(rest)}" if rest else "")


def _ordinal_words(number: int) -> str:
    before, dash, last = _words(number).rpartition("-")
    return f"{before}{dash}{_ODD_ORDINALS.get(last, f'{last}th')}"


def _ordinal(number: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 < number < 20 else ends.get(number % 10, 'th')}"


def _laid_out(page: str, width: int, numbered: bool) -> str:
    """Long lines wrapped as a typist would, and with the line numbers of pleading paper."""
    lines: list[str] = []
    for written in page.split("\n"):
        line, *columns = written.split("\t")
        for at, column in zip(columns[::2], columns[1::2], strict=True):
            line = f"{line:{int(at) - 1}} {column}"
        if line.startswith("~") or len(line) <= width or _COLUMNS.search(line):
            lines.append(line.removeprefix("~"))
            continue
        quoted = re.match(r"[> ]*> ", line)
        lines += textwrap.wrap(
            line,
            width,
            subsequent_indent=quoted[0] if quoted else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if numbered:
        lines = [f"{at % 28 + 1:2}  {line}".rstrip() for at, line in enumerate(lines)]
    return "\n".join(lines) + "\n"
