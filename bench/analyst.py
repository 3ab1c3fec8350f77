"""How well the offline analyst understands: `python -m bench.analyst [--set blind]`.

Invented legal documents with exact truth (bench/legal_documents.py). Type and the
document's own date as shares that are right; all dates, sums and parties as recall and
precision over documents together. Dates and sums count once a document, by value; a
party is found when its name is, and counts again with its role. Figures of `held_out`
and `blind` are written to bench/results; `--noise` adds misread letters. The documents of
`blind` are by someone who has not read the rules (bench/blind_documents.py): there, dates
and sums count again with their pages, and the targets, set for `held_out`, are only shown.
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from typing import cast, get_args

from rich.console import Console
from rich.table import Table

from bench.blind_documents import BlindDocument, BlindSet, blind_documents
from bench.legal_documents import LegalDocument, TemplateSet, documents
from bench.results import Figure, write_results
from schema.analysis import Analysis, DocumentType
from tasks.offline_analyst import ANALYST, analyse_offline

PER_TEMPLATE = 12
SEED = 20_260
NOISE = 0.004
TARGETS = {"type": 0.9, "dates recall": 0.95, "dates precision": 0.95,
           "amounts recall": 0.95, "amounts precision": 0.95}  # fmt: skip

DocumentSet = TemplateSet | BlindSet
SETS = (*get_args(TemplateSet), *get_args(BlindSet))
BLIND = frozenset(get_args(BlindSet))

console = Console()


@dataclass(frozen=True)
class Scored:
    """One document, what the analyst said of it, and hits by subject: (hits, true, said)."""

    document: LegalDocument
    analysis: Analysis
    hits: dict[str, tuple[int, int, int]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.analyst", description=__doc__)
    parser.add_argument("--set", choices=SETS, default="held_out")
    parser.add_argument("--failures", action="store_true", help="what was wrong, of development")
    parser.add_argument("--noise", type=float, default=NOISE, help="share of misread letters")
    chosen = parser.parse_args()
    which = cast("DocumentSet", chosen.set)
    clean, seconds = _scored(which, 0.0)
    noisy, _ = _scored(which, cast("float", chosen.noise))
    figures = {"clean": _figures(clean), "noisy": _figures(noisy)}
    _print(which, figures, clean, seconds)
    if chosen.failures and which == "development":
        _print_failures(noisy if chosen.noise and chosen.noise != NOISE else clean)
    if which != "development":
        written = {
            f"{subject}, {kind}": Figure(round(value, 4), "share")
            for kind, values in figures.items()
            for subject, value in values.items()
        }
        written["pages per second"] = Figure(
            round(sum(len(one.document.pages) for one in clean) / seconds, 1), "1/s"
        )
        name = "analyst" if which == "held_out" else f"analyst_{which}"
        print(f"written to {write_results(name, written)}")
    if which in BLIND:
        return 0
    return 1 if any(figures["clean"][subject] < least for subject, least in TARGETS.items()) else 0


def _scored(which: DocumentSet, noise: float) -> tuple[list[Scored], float]:
    made: list[LegalDocument] = (
        list(
            blind_documents(
                cast("BlindSet", which), seed=SEED, per_template=PER_TEMPLATE, noise=noise
            )
        )
        if which in BLIND
        else list(
            documents(cast("TemplateSet", which), seed=SEED, per_template=PER_TEMPLATE, noise=noise)
        )
    )
    begun = time.perf_counter()
    said = [analyse_offline(one.pages, file_name="scan_0001.pdf") for one in made]
    seconds = time.perf_counter() - begun
    return [_score(one, analysis) for one, analysis in zip(made, said, strict=True)], seconds


def _score(document: LegalDocument, analysis: Analysis) -> Scored:
    currency = document.currency if isinstance(document, BlindDocument) else "USD"
    true_parties, said_parties = _parties(document, analysis)
    hits = {
        "dates": _hits(document.dates, {one.on for one in analysis.dates}),
        "amounts": _hits(
            {(value, currency) for value in document.amounts},
            {(Decimal(one.value), one.currency) for one in analysis.amounts},
        ),
        "case number": _hits({document.case_number} - {None}, {analysis.case_number} - {None}),
        "parties": _hits({n for n, _ in true_parties}, {n for n, _ in said_parties}),
        "parties with roles": _hits(true_parties, said_parties),
    }
    if isinstance(document, BlindDocument):
        hits["dates with pages"] = _hits(
            document.dated, {(one.on, one.page) for one in analysis.dates}
        )
        hits["amounts with pages"] = _hits(
            {(value, currency, page) for value, page in document.paid},
            {(Decimal(one.value), one.currency, one.page) for one in analysis.amounts},
        )
    return Scored(document, analysis, hits)


def _parties(
    document: LegalDocument, analysis: Analysis
) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Parties that are true, and that were said."""
    said = {(_name(one.name), one.role.lower()) for one in analysis.parties}
    true = {(_name(name), role) for name, role in document.parties}
    if not isinstance(document, BlindDocument):
        return true, said
    meant = {
        (_in_any_order(name), word): role
        for name, role in document.parties
        for word in document.roles[name]
    }
    optional = {_in_any_order(name) for name in document.optional}
    true = {(_in_any_order(name), role) for name, role in document.parties}
    keys = {(_in_any_order(name), role) for name, role in said}
    return true, {(n, meant.get((n, role), role)) for n, role in keys if n not in optional}


def _hits(true: Set[object], said: Set[object]) -> tuple[int, int, int]:
    return len(true & said), len(true), len(said)


def _name(name: str) -> str:
    """A name without titles and punctuation."""
    words = "".join(c if c.isalnum() else " " for c in name.replace("'", "").casefold()).split()
    return " ".join(w for w in words if w not in {"mr", "mrs", "ms", "dr", "esq", "hon", "the"})


def _in_any_order(name: str) -> str:
    """A name that is the same as `Doe, Jane` and as `Jane Doe`."""
    return " ".join(sorted(_name(name).split()))


def _figures(scored: Sequence[Scored]) -> dict[str, float]:
    right = [one for one in scored if one.analysis.type is one.document.type]
    dated = [one for one in scored if one.analysis.document_date == one.document.document_date]
    figures = {"type": len(right) / len(scored), "document date": len(dated) / len(scored)}
    for subject in scored[0].hits:
        # Parties that a template does not name are not known to be wrong.
        counted = [one for one in scored if one.document.parties or "parties" not in subject]
        hits, true, said = (sum(one.hits[subject][at] for one in counted) for at in range(3))
        figures[f"{subject} recall"] = hits / max(true, 1)
        figures[f"{subject} precision"] = hits / max(said, 1)
    return figures


def _print(
    which: str, figures: dict[str, dict[str, float]], clean: Sequence[Scored], seconds: float
) -> None:
    table = Table(title=f"{ANALYST} on {which}: {len(clean)} documents, {seconds:.1f} s")
    table.add_column("")
    for column in ("clean", "noisy", "target"):
        table.add_column(column, justify="right")
    for subject, value in figures["clean"].items():
        target = TARGETS.get(subject)
        noisy = figures["noisy"][subject]
        table.add_row(subject, f"{value:.3f}", f"{noisy:.3f}", f"{target}" if target else "")
    console.print(table)
    by_type: dict[DocumentType, list[bool]] = defaultdict(list)
    for one in clean:
        by_type[one.document.type].append(one.analysis.type is one.document.type)
    rows = sorted(by_type.items(), key=lambda item: item[0].value)
    console.print("; ".join(f"{kind.value} {sum(r)}/{len(r)}" for kind, r in rows))


def _print_failures(scored: Iterable[Scored]) -> None:
    seen: Counter[str] = Counter()
    for one in scored:
        document, said = one.document, one.analysis
        wrong: list[str] = []
        if said.type is not document.type:
            wrong.append(f"type: {said.type.value}")
        if said.document_date != document.document_date:
            wrong.append(f"own date: {said.document_date}, not {document.document_date}")
        found = {fact.on for fact in said.dates}
        wrong += [f"date missed {on}" for on in document.dates - found]
        wrong += [f"date invented {on}" for on in found - document.dates]
        sums = {amount.value for amount in said.amounts}
        wrong += [f"sum missed {value}" for value in document.amounts - sums]
        wrong += [f"sum invented {value}" for value in sums - document.amounts]
        if document.parties and one.hits["parties with roles"][0] < len(document.parties):
            parties = [(party.name, party.role) for party in said.parties]
            wrong.append(f"parties: {sorted(document.parties)}, said {parties}")
        template = document.name.rsplit("-", 1)[0]
        seen[template] += 1 if wrong else 0
        if wrong and seen[template] <= 2:
            console.print(f"[bold]{document.name}[/bold]", *wrong, sep="\n  ", markup=True)


if __name__ == "__main__":
    raise SystemExit(main())
