"""The sides of a matter as captions and subject lines name them."""

import re
from collections.abc import Iterator

from schema.analysis import Party
from tasks.offline.matters import IN_RE, RIGHT_COLUMN
from tasks.offline.naming import ORGANISATION, split_names, trimmed
from tasks.offline.text import Page, shorten

_ROLES = (
    r"(?:third-party |cross-?|counter-?)?(?:plaintiff|defendant|petitioner|respondent|appellant|"
    r"appellee|claimant|complainant|movant|applicant|pursuer|defender|debtor|creditor|decedent|deceased|intervenor|ward|"
    r"conservatee|garnishee|relator|kläger|beklagte)"
)
_ROLE_LINE = re.compile(
    rf"^(?P<name>[^\n]{{0,150}}?)[\s,;]{{0,4}}\b(?P<role>{_ROLES})(?:\(?e?s\)?|in|r)?"
    r"(?:\s{0,2}[/-]\s{0,2}[A-Za-z-]{1,30})?[.,;:]?\s{0,3}$",
    re.IGNORECASE,
)
_ROLE_INSIDE = re.compile(rf",\s{{0,3}}(?P<role>{_ROLES}s?)\s{{0,2}}[,.;]\s", re.IGNORECASE)
_VERSUS_INSIDE = re.compile(r"[\s,](?:v|vs|V|VS)\.\s|\s-\s?(?:against|v\.?)\s?-\s")
_VERSUS_LINE = re.compile(
    r"^\W{0,3}(?:v|vs|versus|-?\s?against\s?-?|-\s?v\.?\s?-|gegen)\W{0,3}$", re.IGNORECASE
)
_COURT = re.compile(
    r"\bcourt\b|\bdivision\b|\b(?:county|district|state|commonwealth) of\b[^,]{0,80}$|"
    r"\bfiled\b|\bclerk\b|\battorneys? (?:for|at)\b|\btel(?:ephone)?\b|\bfax\b|@|\b[0-9]{5}\b",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![0-9])\(?[0-9]{3}\)?[ .-][0-9]{3}[.-][0-9]{4}(?![0-9])")
_SUBJECT_LABEL = re.compile(r"^(?:re|subject)\s?:\s{0,3}", re.IGNORECASE)
_COUNSEL = re.compile(r"\b(?:attorneys?|counsel) (?:for|at)\b", re.IGNORECASE)
_CAPTION_OPENS = re.compile(r"^in (?:re|the matter)\b|\bof$", re.IGNORECASE)
_BETWEEN_LINE = re.compile(r"^(?:b ?e ?t ?w ?e ?e ?n|-?\s?and\s?-?)\W{0,3}$", re.IGNORECASE)
_AND_UNKNOWN = re.compile(
    r"[;,]?\s(?:and\s)?"
    r"(?:(?:JOHN |JANE )?(?:DOES?|ROES?)|(?:ABC|XYZ) (?:CORP\w*|COMPAN\w+|ENTIT\w+))"
    r"\.?\s(?:[0-9IVX]|NOS?\.?|ONE)[^;,]{0,40}[;,]?"
)
_NEXT_COMPANY = re.compile(
    r"(\b(?:LLC|L\.L\.C\.|INC\.|Inc\.|CORP\.|LTD\.|LLP|N\.A\.))\s(?=[A-Z]{2,20} [A-Z])"
)
_SMALL_IN_NAMES = frozenset({"of", "and", "the", "for", "de", "la", "van", "von", "der", "del"})
_RIGHT_HALF = 36
"""Columns of indent from which a line of a caption is what stands right of the parties."""
_A_V_B = re.compile(rf"(?P<a>{ORGANISATION})\s{{1,2}}(?:v|vs)\.?\s{{1,2}}(?P<b>{ORGANISATION})")


def caption(page: Page) -> Iterator[Party]:
    """`X, Plaintiff, v. Y, Defendant` in one line or many, with a right column or without."""
    waiting: list[str] = []
    before_versus: str | None = None
    after_versus: str | None = None
    sides: list[Party] = []
    blank = between = False
    for line in _caption_lines(page.text[:8000]):
        side = _ROLE_LINE.match(line)
        if _VERSUS_LINE.match(line):
            before_versus = before_versus or " ".join(waiting[-2:])
            waiting = []
        elif side and not _COUNSEL.search(line):
            sides += _sides(" ".join([*waiting, side["name"]]), side["role"].lower())
            waiting = []
            if before_versus is not None and len({s.role for s in sides}) > 1:
                break
        elif not line:
            blank = True
            continue
        elif _BETWEEN_LINE.match(line):
            between = True
            waiting = []
        elif _COURT.search(line) or _CAPTION_OPENS.search(line):
            waiting = []
        else:
            if before_versus and not after_versus:
                after_versus = line
            waiting = [line] if blank else [*waiting[-2:], line]
        blank = False
    if before_versus is None:
        # A marriage has two sides and no `v.`; roles in running text are no caption.
        in_matter = IN_RE.search(page.text[:3000])
        yield from sides if (in_matter or between) and len({s.role for s in sides}) > 1 else ()
    elif sides:
        yield from sides
    elif before_versus and after_versus:
        first, second = _roles_in(page.text[:8000])
        yield from _sides(before_versus, first)
        yield from _sides(after_versus, second)


def _roles_in(text: str) -> tuple[str, str]:
    """The roles of a caption that gives none: those that the paper speaks of."""
    lowered = text.lower()
    for pair in (("plaintiff", "defendant"), ("petitioner", "respondent")):
        if all(role in lowered for role in pair):
            return pair
    return "party", "party"


def _sides(names: str, role: str) -> list[Party]:
    names = _SUBJECT_LABEL.sub("", _AND_UNKNOWN.sub("", names[:400])).split(" - ")[0]
    names = _NEXT_COMPANY.sub(r"\1; ", names)
    return [Party(name=name, role=role) for name in split_names(names) if not _is_prose(name)]


def _is_prose(name: str) -> bool:
    """Whether this is part of a sentence: more small words than a name has."""
    small = [word for word in name.split() if word[:1].islower() and word not in _SMALL_IN_NAMES]
    return len(small) >= 3 or ":" in name or bool(re.match(r"[0-9]{1,2}\.\s", name))


def _caption_lines(head: str) -> Iterator[str]:
    """The lines of the caption's left column, roles and `v.` on lines of their own; "" if blank."""
    for raw in head.split("\n")[:90]:
        line = raw.strip()
        unwritten = not line.strip("_-=* ") or _PHONE.search(line)
        if unwritten or _is_right_of_the_parties(raw, line):
            yield ""
            continue
        cut = RIGHT_COLUMN.search(line)
        line = line[: cut.start()] if cut else line
        line = _ROLE_INSIDE.sub(lambda m: f",\n{m['role']}\n", f"{line} ")
        line = _VERSUS_INSIDE.sub("\nv.\n", line)
        for part in line.split("\n"):
            stripped = part.strip(" \t_-*=:(")
            if 2 <= len(stripped) <= 160:
                yield stripped
            elif stripped.lower() == "v":
                yield "v."


def _is_right_of_the_parties(raw: str, line: str) -> bool:
    indent = len(raw) - len(raw.lstrip())
    return indent >= _RIGHT_HALF and not _ROLE_LINE.match(line) and not _VERSUS_LINE.match(line)


def a_v_b(page: Page) -> Iterator[Party]:
    """The sides that a line of text names with a `v.` between them."""
    match = _A_V_B.search(page.text[:6000])
    if match:
        for side in ("a", "b"):
            name = re.sub(r"^(?:Re|RE|In|The Matter Of)\b:?\s", "", match[side])
            name = trimmed(name.split(" - ")[0])
            if len(name) > 1:
                yield Party(name=shorten(name, 200), role="party")
