"""Who must do what, and by when: sentences that bind someone, and deadlines that stand alone."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from schema.analysis import Obligation
from tasks.offline.dates import FoundDate
from tasks.offline.telling import with_date
from tasks.offline.text import Page, Span, is_capitals, shorten

OBLIGATIONS = 60
SENTENCES_PER_PAGE = 400

_BINDS = re.compile(
    r"\b(?P<modal>shall(?! not be liable)|must|(?:is|are) (?:hereby |further )?"
    r"(?:ordered|directed|required|commanded|obligated|obliged) to|"
    r"agrees? to|promises? to|undertakes? to|covenants? to|"
    r"will (?=pay|deliver|provide|produce|serve|file|return|vacate|transfer|submit|execute))"
    r"(?:\s{1,3}(?P<verb>[A-Za-z]{2,20}))?",
    re.IGNORECASE,
)
_ORDERED_THAT = re.compile(
    r"^.{0,80}?\b(?:ordered|adjudged|decreed|agreed|directed)(?:\s(?:and|,)?\s?(?:adjudged|decreed|"
    r"agreed))*,? that:?\s{1,3}",
    re.IGNORECASE,
)
_ORDERED_TO_PAY = re.compile(
    r"\bordered that (?P<who>[A-Z][^,;]{2,80}?) (?P<what>(?:pay|deliver|produce|file|serve|vacate|"
    r"return|transfer|provide|appear|refrain)\b.{3,400})",
    re.IGNORECASE,
)
_YOU_ARE_BOUND = re.compile(
    r"\b(?P<who>you) are (?:hereby )?(?:commanded|required|ordered|directed|"
    r"notified that you must) (?:to )?(?P<what>[a-z].{3,400})",
    re.IGNORECASE,
)
_REQUESTS = re.compile(
    r"(?:^|[.,;]\s|\bto )(?P<what>(?:please|kindly) (?:pay|remit|send|return|provide|sign|review|"
    r"respond|reply|wire|settle|let|contact|confirm|forward|submit|make|preserve|produce|call)\b"
    r".{3,400})",
    re.IGNORECASE,
)
_PAYABLE = re.compile(r"\b(?:payable|due|to be (?:paid|filed|made|returned))\b", re.IGNORECASE)
_NUMBERED = re.compile(
    r"^\W{0,3}(?:[0-9]{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\)?\s{1,5}|^[§•*-]\s{0,3}[0-9.]{0,6}\s{0,3}"
)
_LEADS_IN = re.compile(
    r"^(?:(?:rent|services|fee|term|compensation|payment|deposit|security deposit|position|"
    r"confidentiality|premises|[A-Z][A-Za-z ]{2,40})\.\s{1,3}(?=[A-Z])|(?:and|that|"
    r"upon [^,]{2,60},|within [^,]{2,60},|in addition,|accordingly,|further,|thereafter,)\s{1,3})",
)
_NEXT_NUMBER = re.compile(r"[.;]\s{1,3}\(?[0-9a-z]{1,2}[.)]?$")
_TIME_FIRST = re.compile(
    r"(?:within|upon|on or before|no later than|not later than|after|before|by|if|when)\b",
    re.IGNORECASE,
)
_NAME_LAST = re.compile(r"(?P<who>(?:the )?(?:[A-Z][\w.'-]{0,30} ?){1,5})$")
_PRONOUNS = frozenset({"it", "this", "that", "which", "these", "those", "there", "what", "who"})
_NO_ONE_BOUND = frozenset(
    {"mean", "include", "constitute", "inure", "survive", "prevail", "govern", "apply", "remain",
     "begin", "commence", "expire", "terminate", "continue", "become", "have", "bear", "control"}
)  # fmt: skip
_NO_DUTY = re.compile(
    r"^I (?:hereby )?certify\b|\bwhich will\b|"
    r"\bshall be (?:deemed|construed|governed|binding|null|void|entitled|interpreted|considered)\b",
    re.IGNORECASE,
)
_DEADLINE = re.compile(
    r"\b(?P<words>(?:within|no later than|not later than|at least|not less than|not more than) "
    r"(?:the )?(?:[a-z-]{2,20}\s?)?\(?[0-9a-z-]{1,14}\)?\s?(?:business |calendar |court |working )?"
    r"(?:days?|weeks?|months?|years?|hours?)"
    r"(?: (?:of|after|from|before|prior to|following|thereafter)"
    r"(?: (?!(?:you|it|he|she|they|we|shall|must|will|is|are|or|and|to)\b)"
    r"(?-i:[a-z]{1,20}\b)){0,9})?)",
    re.IGNORECASE,
)
_BY = re.compile(
    r"\b(?:by|before|no later than|not later than|on or before|until|due(?: on)?)\W{0,3}"
    r"(?:noon on |5:00 p\.m\. on )?$",
    re.IGNORECASE,
)
_DUE_WORDS = frozenset({"due", "hearing", "trial", "deposition"})
_NO_DEADLINE_WORDS = re.compile(
    r"\b(?:was|were|had been|been) (?:\w+ )?due\b|\bpast due\b", re.IGNORECASE
)


def find_obligations(
    pages: Sequence[Page], dates: Sequence[FoundDate], dated: date | None
) -> list[Obligation]:
    """Obligations in reading order, then deadlines, hearings and trials no sentence explains.

    Hearings that were over when the document was `dated` bind no one.
    """
    found: dict[str, Obligation] = {}
    explained: set[tuple[int, int]] = set()
    by_page: dict[int, list[FoundDate]] = {}
    for one in dates:
        by_page.setdefault(one.page, []).append(one)
    for page in pages:
        here = by_page.get(page.number, [])
        for sentence in page.sentences[:SENTENCES_PER_PAGE]:
            inside = [d for d in here if sentence.start <= d.start and d.end <= sentence.end]
            for obligation in _in_sentence(page, sentence, inside):
                found.setdefault(obligation.what, obligation)
                explained |= {(d.page, d.start) for d in inside}
        if len(found) >= OBLIGATIONS:
            break
    for one in dates:
        past = one.what != "due" and dated is not None and one.on < dated
        if one.what in _DUE_WORDS and not past and (one.page, one.start) not in explained:
            for obligation in _deadline(pages[one.page - 1], one):
                found.setdefault(obligation.what, obligation)
    return list(found.values())[:OBLIGATIONS]


def _in_sentence(page: Page, sentence: Span, dates: Sequence[FoundDate]) -> Iterator[Obligation]:
    text = _LEADS_IN.sub("", _NUMBERED.sub("", sentence.text[:900]))
    if len(text.split()) < 4 or is_capitals(text) or _NO_DUTY.search(text):
        return
    quote = page.quote(sentence.start, sentence.end)
    bound = _who_and_what(text)
    if quote is None or bound is None:
        return
    who, what = bound
    deadline = _DEADLINE.search(text)
    yield Obligation(
        who=shorten(who, 200) if who else None,
        what=shorten(_NEXT_NUMBER.sub("", what).strip(" ,;."), 500),
        due=_due(page, dates),
        deadline=shorten(deadline["words"].strip(), 200) if deadline else None,
        quote=quote,
        page=page.number,
    )


def _who_and_what(text: str) -> tuple[str | None, str] | None:
    for pattern in (_YOU_ARE_BOUND, _ORDERED_TO_PAY):
        match = pattern.search(text)
        if match:
            return match["who"], match["what"]
    text = _LEADS_IN.sub("", _ORDERED_THAT.sub("", text, count=1))
    match = _BINDS.search(text)
    if match is None:
        asked = _REQUESTS.search(text)
        if asked:
            return None, asked["what"]
        return (None, text) if _PAYABLE.search(text) and _DEADLINE.search(text) else None
    verb = (match["verb"] or "").lower()
    who = text[: match.start()].rsplit(":", 1)[-1].strip(" ,;")
    if _TIME_FIRST.match(who):
        named = _NAME_LAST.search(who)
        who = named["who"] if named else who
    if verb in _NO_ONE_BOUND or not who or who.lower() in _PRONOUNS:
        return None
    if verb == "be" or not _is_someone(who):
        return None, text
    return who, text[match.start("verb") :] if match["verb"] else text[match.end() :]


def _is_someone(who: str) -> bool:
    """A short subject with a name or a role in it, not a clause."""
    words = who.split()
    return len(words) <= 12 and (
        words[0][:1].isupper() or words[0].lower() in {"the", "each", "you"}
    )


def _due(page: Page, dates: Sequence[FoundDate]) -> date | None:
    """The date the sentence sets as its limit."""
    for found in dates:
        before = page.text[max(0, found.start - 30) : found.start]
        if found.what == "due" or _BY.search(before):
            return found.on
    return next((d.on for d in dates if d.what in _DUE_WORDS), None)


def _deadline(page: Page, found: FoundDate) -> Iterator[Obligation]:
    sentence = page.sentence_at(found.start)
    quote = with_date(page, sentence, found)
    if quote is None or _NO_DEADLINE_WORDS.search(sentence.text[:600]):
        return
    beside = len(sentence.text) - (found.end - found.start)
    what = sentence.text if beside > 3 else f"{found.what.capitalize()}: {found.on.isoformat()}"
    yield Obligation(what=shorten(what, 500), due=found.on, quote=quote, page=page.number)
