"""The invented legal documents: what is held to be true of them stands on their pages."""

from decimal import Decimal
from pathlib import Path

import pytest

from bench.legal_documents import TEMPLATES, TemplateSet, documents

SETS: list[TemplateSet] = ["development", "held_out"]


def blocks(which: TemplateSet) -> list[str]:
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


def test_no_layout_of_the_held_out_set_is_one_of_the_development_set() -> None:
    def lines(block: str) -> set[str]:
        return {line.strip() for line in block.split("\n") if len(line.split()) > 7}

    development = set[str]().union(*map(lines, blocks("development")))
    for block in blocks("held_out"):
        shared = lines(block) & development
        assert len(shared) <= 1, shared


def test_noise_changes_letters_and_never_the_truth() -> None:
    clean = next(documents("development", seed=4, per_template=1))
    noisy = next(documents("development", seed=4, per_template=1, noise=0.05))
    assert noisy.pages != clean.pages
    assert (noisy.dates, noisy.amounts) == (clean.dates, clean.amounts)
