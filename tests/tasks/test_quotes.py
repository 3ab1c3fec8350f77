import time
from datetime import date

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from schema.analysis import Analysis, DocumentType, KeyFact, Obligation, TimelineEntry
from tasks.quotes import PageText, Work, page_of, with_quotes_checked

PAGE = """IT IS HEREBY ORDERED that defendant Acme Logistics, Inc. shall pro-
duce all documents \u201cwithout objection\u201d no later than March 22, 2024 and
shall pay sanctions of $1,250.00 to plaintiff\u2019s counsel. The first
ofﬁcer did not testify . . . . . . . . . 12
"""


def stands(quote: str, *pages: str, near: int = 1) -> int | None:
    return page_of(quote, [PageText(page) for page in pages or (PAGE,)], near=near)


@pytest.mark.parametrize(
    "quote",
    [
        "shall pay sanctions of $1,250.00",
        "shall produce all documents",
        "shall pro-duce all docu\u00adments",
        'documents "without objection" no later',
        "plaintiff's counsel",
        "The first officer did not testify",
        "IT IS HEREBY ORDERED THAT DEFENDANT",
        "it is hereby ordered \u2026 no later than March 22, 2024",
        "all documents [...] and shall pay sanctions",
        "did not testify ..... 12",
        "nolaterthanMarch22,2024",
    ],
)
def test_how_the_words_are_set_does_not_matter(quote: str) -> None:
    assert stands(quote) == 1


@pytest.mark.parametrize(
    "quote",
    [
        "defendant Acme Logistlcs, Inc. shall produce al documents",
        "counsel. The fiist officer did not testify",
        "without objection no 1ater than March 22, 2O24 and shall pay",
        "no later than Marcb 22, 2024 and shall pay sanctions",
    ],
)
def test_a_few_misread_letters_do_not_matter(quote: str) -> None:
    assert stands(quote) == 1


@pytest.mark.parametrize(
    "quote",
    [
        "defendant shall pay the costs of the proceedings",
        "shall pay sanctions of $1,260.00 to plaintiff's counsel",
        "shall pay sanctions of $125,000 to plaintiff's counsel",
        "shall pay sanctions of $1250.00.00 to plaintiff's counsel",
        "no later than March 21, 2024 and shall pay sanctions",
        'shall not produce all documents "without objection" no later than March 22, 2024',
        "The first officer did testify",
        "and shall pay sanctions \u2026 without objection",
        "",
        " \u2026 ",
        "***",
    ],
)
def test_other_words_other_figures_and_a_lost_not_are_unsupported(quote: str) -> None:
    assert stands(quote) is None


def test_a_quote_on_the_page_before_or_after_is_put_right_and_no_farther() -> None:
    pages = ("", "", PAGE, "", "")
    quote = "shall pay sanctions of $1,250.00"
    assert [stands(quote, *pages, near=near) for near in range(1, 6)] == [None, 3, 3, 3, None]


def test_a_quote_that_runs_over_belongs_to_the_first_page() -> None:
    pages = ("The tenant shall pay", "the rent by the first of the month.")
    assert stands("shall pay the rent", *pages, near=1) == 1
    assert stands("shall pay the rent", *pages, near=2) == 1


def test_a_page_number_that_does_not_exist_is_no_page() -> None:
    assert stands("shall pay sanctions", near=7) is None


def test_every_quote_of_an_analysis_is_marked_and_none_is_dropped() -> None:
    said, unsaid = "shall pay sanctions of $1,250.00", "shall pay a million"
    analysis = Analysis(
        analyst="a test",
        type=DocumentType.COURT_ORDER,
        title="",
        summary="",
        language="en",
        confidence=0.5,
        key_facts=[
            KeyFact(fact="sanctions", quote=said, page=1, supported=False),
            KeyFact(fact="a million", quote=unsaid, page=1, supported=True),
        ],
        timeline=[TimelineEntry(on=date(2024, 3, 22), what="due", quote=said, page=2)],
        obligations=[Obligation(what="pay", quote=unsaid, page=1, supported=True)],
    )
    checked = with_quotes_checked(analysis, [PAGE, ""])
    assert [fact.supported for fact in checked.key_facts] == [True, False]
    assert [(one.supported, one.page) for one in checked.timeline] == [(True, 1)]
    assert [one.supported for one in checked.obligations] == [False]
    assert with_quotes_checked(checked, [PAGE, ""]) == checked


# Without filler: a cut through `....` is no longer an ellipsis.
TEXT = st.text(st.sampled_from("abcdeloi015 sSbB8\n-,;:$§()\u201c\u2019ﬁéüß/%"), max_size=300)


@settings(max_examples=200)
@given(before=TEXT, quote=TEXT, after=TEXT)
def test_whatever_stands_on_a_page_is_supported(before: str, quote: str, after: str) -> None:
    quote = f"{quote}x"
    assert stands(quote, before + quote + after) == 1


@pytest.mark.parametrize(
    ("page", "quote"),
    [
        ("a", "ab" * 200),
        ("ab", "\u2026".join(["ab"] * 150) + "\u2026zz"),
        ("x", "x\u2026x\u2026x\u2026x\u2026x\u2026x\u2026y"),
        (
            "the tenant shall pay rent ",
            "\u2026".join(["the tenant shal pay rent the tenant shall pay"] * 10) + "\u2026zz",
        ),
    ],
)
def test_a_hostile_quote_is_looked_for_in_time(page: str, quote: str) -> None:
    started = time.process_time()
    assert stands(quote[:500], (page * 200_000)[:200_000]) in {None, 1}
    assert time.process_time() - started < 60


WORDS = st.lists(
    st.sampled_from(["tenant", "landlord", "rent", "shall", "pay", "deliver", "notice", "court"]),
    min_size=12,
    max_size=40,
)


@settings(max_examples=100)
@given(words=WORDS, every=st.integers(40, 60), width=st.integers(30, 80), data=st.data())
def test_a_page_broken_into_lines_and_slightly_misread_still_supports(
    words: list[str], every: int, width: int, data: st.DataObject
) -> None:
    quote = " ".join(words)[:250]  # so that no more than six letters are misread
    wrong = data.draw(st.sampled_from("xqz"))
    letters = list(quote)
    for at in range(every // 2, len(letters) - 1, every):
        letters[at] = wrong if letters[at] != " " else " "
    misread = "".join(letters)
    page = "\n".join(misread[at : at + width] for at in range(0, len(misread), width))
    assert stands(quote, "Page 3\n" + page + "\nFooter") == 1


@settings(max_examples=100)
@given(
    dollars=st.integers(1_000, 999_999),
    other=st.integers(1_000, 999_999),
    page_first=st.booleans(),
)
def test_a_sum_is_never_taken_for_another(dollars: int, other: int, page_first: bool) -> None:
    assume(dollars != other)
    page = f"Defendant shall pay to plaintiff the sum of ${dollars:,}.00 on or before the first."
    quote = f"Defendant shall pay to plaintiff the sum of ${other:,}.00 on or before the first."
    assert stands(page, page) == 1
    assert stands(quote, f"{page}\n" if page_first else f"\n{page}") is None


@settings(max_examples=100)
@given(
    words=st.lists(
        st.sampled_from(["tenant", "deliver", "rent", "shall", "pay"]), min_size=30, max_size=40
    ),
    put_in=st.sampled_from(["not", "no", "never", "un"]),
    at=st.integers(8, 22),  # not at the edges, where a word is easily another's end
)
def test_a_word_that_turns_the_meaning_is_neither_lost_nor_put_in(
    words: list[str], put_in: str, at: int
) -> None:
    plain = " ".join(words)
    turned = " ".join([*words[:at], put_in, *words[at:]])
    assert stands(turned, plain) is None
    assert stands(plain, turned) is None


@settings(max_examples=60)
@given(quote=st.text(max_size=600), page=st.text(max_size=600), near=st.integers(-3, 5))
def test_the_check_never_raises_and_only_names_pages_there_are(
    quote: str, page: str, near: int
) -> None:
    assert page_of(quote, [PageText(page), PageText("x")], near=near) in {None, 1, 2}


def test_pages_made_to_be_compared_for_ever_are_given_up() -> None:
    page = "the party of the first part and the party of the second part " * 60
    garbled = page[:300] + "zq" * 90
    work = Work(cells=5_000_000)
    pages = [PageText(page)] * 3
    for _ in range(60):
        page_of(garbled, pages, near=2, work=work)
    assert work.cells < 0
    # What stands there letter by letter is found all the same.
    assert page_of(page[:400], pages, near=2, work=work) == 2
    assert page_of(garbled, pages, near=2, work=work) is None
