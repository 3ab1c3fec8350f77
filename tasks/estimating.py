"""What files will cost, before anything is begun: from what is in them, at the prices there are.

Pure. What cannot be known before a page is read is assumed, and the constants here say what:

    a page without text     `ASSUMED_CHARACTERS` of text, and the picture of a letter page
    an answer               tokens for each part and page; fewer if the block allows fewer
    a question              asked once; none of it is in Claude's cache
    a session               starts, reads, and waits its idle time to the end

`most` of a question is what would be set aside for it: every byte a token, the answer as long as
is allowed. So a text may be three times as long as assumed; but a page of small print, which is
shown in two pictures, costs more, and so does a question that has to be asked again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from math import ceil

from blocks.claude import Claude, Model
from schema.claude import Step, Usage
from schema.files import WITHOUT_PICTURES
from tasks.claude.pictures import fitting, patches
from tasks.claude.pricing import CENT_OF_A_CENT, most, price, tokens_of
from tasks.claude.prompt import FIXED_BYTES
from tasks.claude.questions import OVERHEAD_BYTES
from tasks.claude.steps import windows
from tasks.inspected import Inspection

ASSUMED_CHARACTERS = 2_000
"""Of a page whose text is not known yet: a letter has fewer, a dense brief 3,000."""
LETTER_PIXELS = (1700, 2200)
"""A letter page as it is drawn for a picture, at 200 dpi."""
FRAME_CHARACTERS = 150
"""The marked line before each page, and a page's share of what else stands around it."""
PART_TOKENS = 900
"""Of an answer about some pages: what the form has once, with a little thinking."""
PAGE_TOKENS = 150
"""Of the same answer, for each page: its facts, dates, sums and names."""
WHOLE_TOKENS = 600
"""Of the answer about the whole."""
ACCOUNT_CHARACTERS = 2_400
"""Of what the question about the whole is told of each part."""

OWN_CPU_PAGES_PER_SECOND = 0.4
"""RapidOCR on two cores, as measured (docs/benchmarks)."""

BYTES_PER_GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Page:
    """A page as far as it is known: the length of its text, or what is assumed until it is read."""

    characters: int
    size_bytes: int
    is_to_be_read: bool
    has_picture: bool = True
    """Whether it could be shown; a page of a text cannot."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file that can be taken in."""

    name: str
    pages: Sequence[Page]
    size_bytes: int

    @property
    def pages_to_read(self) -> int:
        """Pages without a text of their own that can be believed."""
        return sum(page.is_to_be_read for page in self.pages)


def document_of(name: str, inspection: Inspection, *, size_bytes: int) -> Document:
    """What a file that was inspected is."""
    shown = inspection.media_type not in WITHOUT_PICTURES
    return Document(name, [_page(text, shown) for text in inspection.pages], size_bytes)


def _page(text: str | None, has_picture: bool) -> Page:
    if text is None:
        return Page(ASSUMED_CHARACTERS, ASSUMED_CHARACTERS, is_to_be_read=True)
    size_bytes = len(text.encode(errors="replace"))
    return Page(len(text), size_bytes, is_to_be_read=False, has_picture=has_picture)


# Claude


@dataclass(frozen=True, slots=True)
class DocumentCost:
    """What Claude's analysis of a document costs: probably, and at most."""

    document: Document
    questions: int
    expected_dollars: Decimal
    most_dollars: Decimal
    needed_dollars: Decimal
    """The least limit of a document that it fits into: for the time it is asked, a question counts
    with the most that it can cost."""


@dataclass(frozen=True, slots=True)
class _Question:
    expected: Decimal
    most: Decimal


def cost_with_claude(document: Document, block: Claude, *, in_batch: bool) -> DocumentCost:
    """What a document's questions cost. Raises `Misconfigured` if the model has no prices."""
    asked = list(_questions(document, block, in_batch=in_batch))
    expected = sum((one.expected for one in asked), Decimal(0))
    return DocumentCost(
        document,
        questions=len(asked),
        expected_dollars=expected,
        most_dollars=sum((one.most for one in asked), Decimal(0)),
        needed_dollars=expected
        + max((one.most - one.expected for one in asked), default=Decimal(0)),
    )


def _questions(document: Document, block: Claude, *, in_batch: bool) -> Iterator[_Question]:
    parts = windows(len(document.pages), block.pages_per_call)
    for part in parts:
        yield _about_pages(document, part, block, in_batch=in_batch)
    if len(parts) > 1:
        yield _about_the_whole(len(parts), block, in_batch=in_batch)


def _about_pages(document: Document, part: Step, block: Claude, *, in_batch: bool) -> _Question:
    pages = document.pages[part.first_page - 1 : part.last_page]
    frames = FRAME_CHARACTERS * len(pages)
    pictures = sum(_is_shown(page, block) for page in pages)
    characters = FIXED_BYTES + frames + sum(page.characters for page in pages)
    return _question(
        block,
        prompt_tokens=tokens_of(characters) + pictures * picture_tokens(block.terms),
        answer_tokens=PART_TOKENS + PAGE_TOKENS * len(pages),
        text_bytes=frames + sum(page.size_bytes for page in pages),
        pictures=pictures,
        in_batch=in_batch,
    )


def _about_the_whole(parts: int, block: Claude, *, in_batch: bool) -> _Question:
    return _question(
        block,
        prompt_tokens=tokens_of(FIXED_BYTES + parts * ACCOUNT_CHARACTERS),
        answer_tokens=WHOLE_TOKENS,
        text_bytes=parts * ACCOUNT_CHARACTERS,
        pictures=0,
        in_batch=in_batch,
    )


def _question(
    block: Claude,
    *,
    prompt_tokens: int,
    answer_tokens: int,
    text_bytes: int,
    pictures: int,
    in_batch: bool,
) -> _Question:
    usage = Usage(
        input_tokens=prompt_tokens,
        output_tokens=min(answer_tokens, block.answer_tokens),
        cache_write_tokens=0,
        cache_read_tokens=0,
    )
    return _Question(
        price(usage, block.terms, in_batch=in_batch),
        most(
            text_bytes=FIXED_BYTES + OVERHEAD_BYTES + text_bytes,
            pictures=pictures,
            answer_tokens=block.answer_tokens,
            terms=block.terms,
            in_batch=in_batch,
        ),
    )


def _is_shown(page: Page, block: Claude) -> bool:
    if block.pictures == "all":
        return page.has_picture
    return block.pictures == "scans" and page.is_to_be_read


def picture_tokens(terms: Model) -> int:
    """What the picture of a letter page costs."""
    return patches(*fitting(*LETTER_PIXELS, terms))


@dataclass(frozen=True, slots=True)
class ClaudeCost:
    """What Claude costs for all documents."""

    questions: int
    expected_dollars: Decimal
    most_dollars: Decimal
    too_dear: Sequence[DocumentCost]
    """Documents that do not fit into the limit of one: they would wait without an analysis."""


def claude_cost(documents: Sequence[Document], block: Claude, *, in_batch: bool) -> ClaudeCost:
    """Sum up the documents. Raises `Misconfigured` if the model has no prices."""
    costs = [cost_with_claude(document, block, in_batch=in_batch) for document in documents]
    limit = Decimal(str(block.document_limit_dollars))
    return ClaudeCost(
        questions=sum(cost.questions for cost in costs),
        expected_dollars=sum((cost.expected_dollars for cost in costs), Decimal(0)),
        most_dollars=sum((cost.most_dollars for cost in costs), Decimal(0)),
        too_dear=[cost for cost in costs if cost.needed_dollars > limit],
    )


# Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What pages are read on, and what it is billed for."""

    pages_per_second: float
    dollars_per_hour: Decimal
    starting_seconds: float
    """From when a session is billed to its first page."""
    idle_seconds: float
    """How long a session waits for more before it closes."""
    session_seconds: float
    """The longest that one session lasts."""
    max_session_dollars: Decimal
    """What one session may cost."""
    max_hosts: int
    pages_per_session: int
    dollars_to_pull: Decimal = Decimal(0)
    """The traffic of a host that has read nothing: the image that it pulls."""
    dollars_per_gb: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ReadingCost:
    """What reading costs: probably, and as much as its sessions may."""

    pages: int
    sessions: int
    seconds: float
    """That are billed, of all sessions together."""
    dollars: Decimal
    most_dollars: Decimal


def reading_cost(documents: Sequence[Document], reader: Reader) -> ReadingCost:
    """What it costs to read whatever must be read."""
    pages = sum(document.pages_to_read for document in documents)
    if not pages:
        return ReadingCost(0, 0, 0.0, Decimal(0), Decimal(0))
    reading_seconds = pages / reader.pages_per_second
    sessions = max(
        min(reader.max_hosts, ceil(pages / reader.pages_per_session)),
        ceil(reading_seconds / _longest_reading(reader)),
        1,
    )
    seconds = reading_seconds + sessions * (reader.starting_seconds + reader.idle_seconds)
    fetched = sum(document.size_bytes for document in documents if document.pages_to_read)
    dollars = (
        reader.dollars_per_hour * Decimal(str(seconds)) / 3600
        + reader.dollars_to_pull * sessions
        + reader.dollars_per_gb * fetched / BYTES_PER_GB
    ).quantize(CENT_OF_A_CENT, rounding=ROUND_UP)
    return ReadingCost(
        pages,
        sessions,
        seconds,
        dollars,
        most_dollars=max(dollars, reader.max_session_dollars * sessions),
    )


def _longest_reading(reader: Reader) -> float:
    """Seconds that one session can read: until its time is over, or its money."""
    longest = reader.session_seconds
    if reader.dollars_per_hour > 0:
        left = max(reader.max_session_dollars - reader.dollars_to_pull, Decimal(0))
        longest = min(longest, float(left / reader.dollars_per_hour) * 3600)
    return max(longest - reader.starting_seconds, 1.0)
