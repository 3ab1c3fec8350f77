"""The invented legal documents: what is held to be true of them stands on their pages."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from bench.blind_documents import (
    BlindDocument,
    BlindSet,
    blind_documents,
    written_date,
    written_sum,
)
from bench.legal_documents import TEMPLATES, TemplateSet, documents

SETS: list[TemplateSet] = ["development", "held_out"]
BLIND_SETS: list[BlindSet] = ["blind", "blind_2", "blind_3"]


def blocks(which: TemplateSet | BlindSet) -> list[str]:
    return (Path(TEMPLATES) / f"{which}.txt").read_text("utf-8").split("@@ ")[1:]


@pytest.mark.parametrize("which", SETS)
def test_the_same_seed_gives_the_same_documents_and_another_others(which: TemplateSet) -> None:
    first = list(documents(which, seed=1, per_template=1))
    assert first == list(documents(which, seed=1, per_template=1))
    other = list(documents(which, seed=2, per_template=1))
    assert all(one.pages != two.pages for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("which", SETS)
def test_every_sum_year_and_party_of_the_truth_stands_on_the_pages(which: TemplateSet) -> None:
    for document in documents(which, seed=3, per_template=2):
        text = " ".join(document.pages)
        assert "<<" not in text
        for value in document.amounts:
            written = {f"{abs(value):,.2f}", f"{abs(value):,.0f}"}
            assert any(one in text for one in written), (document.name, value)
        for on in document.dates:
            assert f"{on:%y}" in text
        for name, _ in document.parties:
            assert name.casefold() in text.casefold(), (document.name, name)
        assert document.document_date in document.dates
        assert all(value == Decimal(value).quantize(Decimal("0.01")) for value in document.amounts)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [("held_out", "development"), ("blind_2", "blind"), ("blind_3", "blind_2")],
)
def test_no_layout_of_a_later_set_is_one_of_an_earlier_set(
    later: TemplateSet | BlindSet, earlier: TemplateSet | BlindSet
) -> None:
    def lines(block: str) -> set[str]:
        return {line.strip() for line in block.split("\n") if len(line.split()) > 7}

    known = set[str]().union(*map(lines, blocks(earlier)))
    for block in blocks(later):
        shared = lines(block) & known
        assert len(shared) <= 1, shared


def test_noise_changes_letters_and_never_the_truth() -> None:
    clean = next(documents("development", seed=4, per_template=1))
    noisy = next(documents("development", seed=4, per_template=1, noise=0.05))
    assert noisy.pages != clean.pages
    assert (noisy.dates, noisy.amounts) == (clean.dates, clean.amounts)


@pytest.mark.parametrize("which", BLIND_SETS)
def test_the_same_seed_gives_the_same_blind_documents_and_another_others(which: BlindSet) -> None:
    first = list(blind_documents(which, seed=1, per_template=1))
    assert first == list(blind_documents(which, seed=1, per_template=1))
    other = list(blind_documents(which, seed=2, per_template=1))
    assert all(one.pages != two.pages for one, two in zip(first, other, strict=True))
    assert len(first) >= 24
    assert len({document.type for document in first}) >= 16


@pytest.mark.parametrize("which", BLIND_SETS)
def test_every_date_sum_party_and_number_of_a_blind_document_stands_where_the_truth_says(
    which: BlindSet,
) -> None:
    for document in blind_documents(which, seed=3, per_template=3):
        pages = [_without_line_numbers(page) for page in document.pages]
        assert not re.search(r"\[\[|\]\]|%%|@@", " ".join(pages)), document.name
        for value, page in document.paid:
            digits = f"{abs(value):,.2f}"
            forms = {digits, digits.removesuffix(".00")}
            forms |= {form.replace(",", "") for form in forms}
            forms |= {f"${abs(value) / 1000:.0f}k", f"${abs(value) / 1_000_000:.1f} million"}
            # Not as a part of a longer figure: 50.00 does not stand in 1,150.00.
            anywhere = "|".join(rf"(?<![\d,.]){re.escape(form)}(?!\d|,\d)" for form in forms)
            assert re.search(anywhere, pages[page - 1]), (document.name, value, page)
        for on, page in document.dated:
            days = {f"{on.day}", f"{on:%d}", _day_in_words(on.day)}
            months = {f"{on.month}", f"{on:%m}", f"{on:%b}".casefold()}
            words = pages[page - 1].casefold()
            assert any(re.search(rf"(?<!\d){day}(?!\d)", words) for day in days), document.name
            assert any(month in words for month in months), (document.name, on, page)
            year = f"{on:%y}" in words or "two thousand" in words
            # Without a year, the one that is nearest to the document's own date is meant.
            near = abs((on - document.document_date).days) < 183
            assert year or near, (document.name, on, page)
        text = " ".join(pages).casefold()
        for name in {name for name, _ in document.parties} | document.optional:
            turned = re.sub(r"[^\w.'&#, -]", "", name).casefold()
            assert turned in text or set(turned.split()) <= set(re.split(r"[ ,]+", text)), name
        assert document.case_number is None or document.case_number.casefold() in text
        assert document.document_date in document.dates
        _is_consistent(document)


def _is_consistent(document: BlindDocument) -> None:
    assert document.dates == {on for on, _ in document.dated}
    assert document.amounts == {value for value, _ in document.paid}
    assert {page for _, page in document.dated | document.paid} <= set(
        range(1, len(document.pages) + 1)
    )


def _without_line_numbers(page: str) -> str:
    """A page as one line, without what stands in the margin of pleading paper."""
    if page.startswith(" 1"):
        page = re.sub(r"(?m)^[ \d]\d(  |$)", "", page)
    return " ".join(page.replace(">", "").split())


def _day_in_words(day: int) -> str:
    words = written_date(date(2020, 1, day), "words")
    return words.partition(" ")[0]


def test_noise_changes_letters_of_a_blind_document_and_never_its_truth() -> None:
    clean = next(blind_documents(seed=4, per_template=1))
    noisy = next(blind_documents(seed=4, per_template=1, noise=0.05))
    assert noisy.pages != clean.pages
    assert (noisy.dated, noisy.paid) == (clean.dated, clean.paid)


@pytest.mark.parametrize(
    ("day", "style", "written"),
    [
        (date(2021, 3, 22), "words", "twenty-second day of March, two thousand twenty-one"),
        (date(2012, 9, 30), "DAY-OF", "THIRTIETH DAY OF SEPTEMBER, A.D. 2012"),
        (date(2013, 1, 11), "day-of", "11th day of January, 2013"),
        (date(2019, 7, 4), "euslash", "04/07/2019"),
        (date(2019, 7, 4), "clerk", "2019 JUL 04"),
        (date(2019, 7, 4), "boxes", "07 / 04 / 2019"),
    ],
)
def test_days_are_written_as_people_write_them(day: date, style: str, written: str) -> None:
    assert written_date(day, style) == written


def test_sums_are_written_as_people_write_them() -> None:
    assert written_sum(Decimal("1250.00"), "words") == (
        "One Thousand Two Hundred Fifty Dollars ($1,250.00)"
    )
    assert written_sum(Decimal("1250.50"), "$paren") == "($1,250.50)"
    assert written_sum(Decimal("49000.00"), "k") == "$49k"
