"""The analyst that needs no network and no model: rules that say only what the text says."""

from collections.abc import Sequence

from schema.analysis import RULES, Analysis, DatedFact
from tasks.offline.courts import find_filing
from tasks.offline.dates import find_dates, with_yearless
from tasks.offline.kinds import kind_of
from tasks.offline.money import find_amounts
from tasks.offline.obligations import find_obligations
from tasks.offline.own_date import document_date
from tasks.offline.parties import find_parties
from tasks.offline.people import find_organisations, find_people
from tasks.offline.sensitivity import find_sensitivity
from tasks.offline.telling import Telling
from tasks.offline.text import Page, language_of, read_pages
from tasks.offline.titles import title_of
from tasks.quotes import with_quotes_checked

ANALYST = f"{RULES} 2"


def analyse_offline(pages: Sequence[str], *, file_name: str) -> Analysis:
    """Analyse the text of each page by rules alone; the same text gives the same analysis.

    Never raises, whatever the pages hold. Reads at most 200,000 characters of a
    page and 2,000,000 of a document. Quotes are verbatim from their pages (and
    checked like any analyst's), and the summary is made of the document's own
    sentences and rows.

    Confidence is `0.9 * enough * (0.5 * type + 0.3 * date + 0.2 * title)`: never
    above 0.9, because rules do not understand. `type` is 0.8 to 1 when a heading
    names it, up to 0.75 from phrases alone, 0.3 from the file name; `date` is 1
    when the text labels it as the document's own, 0.6 when it does so in passing,
    0.4 for a date that merely stands there, 0.2 when there is none; `title` is 1
    for a heading, 0.9 for a subject line, 0.3 for the file name; `enough` is the
    number of words over 20, at most 1.
    """
    read = read_pages(pages)
    language = language_of(read)
    kind = kind_of(read, file_name)
    title, title_certainty = title_of(read, kind, file_name)
    dates = find_dates(read, language)
    dated, date_certainty = document_date(dates, kind.type, len(read))
    dates = with_yearless(read, dates, dated, language)
    parties = find_parties(read, kind.type)
    amounts = find_amounts(read, kind.type, language)
    filing = find_filing(read, dates)
    telling = Telling(read, dates, parties, filing)
    certainty = 0.5 * kind.certainty + 0.3 * date_certainty + 0.2 * title_certainty
    facts = {(d.on, d.what, d.page): DatedFact(on=d.on, what=d.what, page=d.page) for d in dates}
    analysis = Analysis(
        analyst=ANALYST,
        type=kind.type,
        subtype=kind.subtype,
        title=title,
        document_date=dated,
        filing_date=filing.filed,
        service_date=filing.served,
        court=filing.court.text if filing.court else None,
        case_number=filing.number.text if filing.number else None,
        dates=list(facts.values()),
        parties=parties,
        people=find_people(read, parties),
        organisations=find_organisations(read, parties),
        amounts=amounts,
        summary=telling.summary(),
        key_facts=telling.key_facts(),
        timeline=telling.timeline(title),
        obligations=find_obligations(read, dates, dated),
        language=language,
        sensitivity=find_sensitivity(read, kind.type, dates),
        confidence=round(0.9 * _enough(read) * certainty, 2),
    )
    return with_quotes_checked(analysis, pages)


def _enough(pages: Sequence[Page]) -> float:
    """How much of twenty words there is: next to no text supports next to nothing."""
    words = sum(len(page.text[:2000].split()) for page in pages[:5])
    return min(words, 20) / 20
