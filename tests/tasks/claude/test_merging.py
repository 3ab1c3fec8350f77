"""One analysis from those of a document's parts: nothing twice, nothing lost."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.analysis import (
    Amount,
    Analysis,
    DatedFact,
    DocumentType,
    KeyFact,
    Obligation,
    Organisation,
    Person,
    Sensitivity,
    TimelineEntry,
    Whole,
)
from schema.claude import Step
from tasks.claude.merging import Part, merged
from tests.tasks.claude.analyses import in_parts, wholes

MARCH, APRIL = date(2024, 3, 4), date(2024, 4, 3)


def analysis(**changes: Any) -> Analysis:
    usual: dict[str, Any] = {
        "type": DocumentType.LETTER,
        "title": "Demand for Payment",
        "summary": "A lawyer demands payment.",
        "language": "en",
        "confidence": 0.5,
        "analyst": "claude-haiku-5-5",
    }
    return Analysis(**usual | changes)


def part(first: int, last: int, **changes: Any) -> Part:
    return Part(Step(first, last), analysis(**changes))


def fact(page: int, words: str = "Payment is demanded.") -> KeyFact:
    return KeyFact(quote=words, page=page, fact=words)


def pages_of(one: Analysis) -> list[int]:
    """The pages of all that has one."""
    found = [*one.dates, *one.amounts, *one.key_facts, *one.timeline, *one.obligations]
    return [each.page for each in found]


def letters(text: str | None) -> str:
    """What a reader would call the same words."""
    return "".join(letter for letter in (text or "").casefold() if letter.isalnum())


def test_a_single_part_is_itself() -> None:
    one = part(
        1,
        2,
        dates=[DatedFact(on=MARCH, what="dated", page=1)] * 2,
        people=[Person(name="A. Linn"), Person(name="A. Linn", role="lawyer")],
        summary="As it is.",
    )
    assert merged([one], None) == one.analysis


def test_what_two_parts_say_alike_is_said_once_and_the_rest_in_the_order_of_pages() -> None:
    dated = DatedFact(on=MARCH, what="Dated", page=1)
    rent = Amount(value=Decimal(1250), currency="USD", what="the rent", page=2)
    pays = Obligation(quote="shall pay", page=2, who="Jones", what="pay the rent", due=APRIL)
    found = merged(
        [
            part(
                1,
                2,
                dates=[dated],
                amounts=[rent],
                key_facts=[fact(1), fact(2)],
                obligations=[pays],
                sensitivity=[Sensitivity.MEDICAL],
            ),
            part(
                3,
                4,
                dates=[DatedFact(on=MARCH, what="dated.", page=3), dated.model_copy()],
                amounts=[rent.model_copy(update={"page": 3}), rent.model_copy(update={"page": 4})],
                key_facts=[fact(3), fact(4, "The lease ends."), fact(4, "the LEASE ends")],
                obligations=[
                    pays.model_copy(update={"page": 4, "who": "JONES"}),
                    pays.model_copy(update={"page": 4, "due": MARCH}),
                ],
                sensitivity=[Sensitivity.SEALED, Sensitivity.MEDICAL],
            ),
        ],
        None,
    )
    assert found.dates == [dated]
    # The same sum on two pages is due twice, for all that is known.
    assert [(one.value, one.page) for one in found.amounts] == [(1250, 2), (1250, 3), (1250, 4)]
    assert [(one.fact, one.page) for one in found.key_facts] == [
        ("Payment is demanded.", 1),
        ("Payment is demanded.", 2),
        ("Payment is demanded.", 3),
        ("The lease ends.", 4),
    ]
    assert [(one.who, one.due) for one in found.obligations] == [("Jones", APRIL), ("Jones", MARCH)]
    assert found.sensitivity == [Sensitivity.MEDICAL, Sensitivity.SEALED]


def test_what_happened_is_told_in_the_order_in_which_it_did() -> None:
    def entry(on: date, page: int, what: str = "It was paid.") -> TimelineEntry:
        return TimelineEntry(quote="paid", page=page, on=on, what=what)

    later = part(1, 1, timeline=[entry(APRIL, 1)])
    earlier = part(
        2, 3, timeline=[entry(MARCH, 2), entry(APRIL, 3, "it was paid"), entry(MARCH, 3)]
    )
    found = merged([later, earlier], None).timeline
    assert [(one.on, one.page) for one in found] == [(MARCH, 2), (APRIL, 1)]


@pytest.mark.parametrize(("said", "meant"), [(1, 4), (3, 4), (4, 4), (5, 5), (6, 6), (7, 6)])
def test_a_page_that_a_part_has_not_is_the_nearest_that_it_has(said: int, meant: int) -> None:
    one = part(
        4,
        6,
        dates=[DatedFact(on=MARCH, what="dated", page=said)],
        amounts=[Amount(value=Decimal(1), currency="USD", what="rent", page=said)],
        key_facts=[fact(said)],
        timeline=[TimelineEntry(quote="", page=said, on=MARCH, what="It was paid.")],
        obligations=[Obligation(quote="", page=said, what="pay")],
    )
    assert pages_of(merged([one], None)) == [meant] * 5
    assert pages_of(merged([part(1, 3), one], None)) == [meant] * 5


@pytest.mark.parametrize(("field", "kind"), [("people", Person), ("organisations", Organisation)])
def test_a_name_without_a_role_is_left_out_where_it_has_one_elsewhere(
    field: str, kind: type[Person] | type[Organisation]
) -> None:
    nameless, other = kind(name="Linn"), kind(name="Hargrove")
    lawyer, witness = kind(name="LINN", role="lawyer"), kind(name="Linn", role="witness")
    found = merged(
        [
            part(1, 1, **{field: [nameless, other]}),
            part(2, 2, **{field: [lawyer, nameless]}),
            part(3, 3, **{field: [witness, kind(name="linn.", role="Lawyer"), other]}),
        ],
        None,
    )
    assert getattr(found, field) == [other, lawyer, witness]


def test_a_person_and_an_organisation_may_have_one_name() -> None:
    found = merged(
        [
            part(1, 1, organisations=[Organisation(name="Linn")]),
            part(2, 2, people=[Person(name="Linn", role="lawyer")]),
        ],
        None,
    )
    assert [one.name for one in (*found.organisations, *found.people)] == ["Linn", "Linn"]


@pytest.mark.parametrize(
    ("one", "other", "are_the_same"),
    [
        ("O'Neil & Sons, Inc.", "O NEIL & SONS INC", True),
        ("Jose\u0301 Mun\u0303oz", "José Muñoz", True),
        ("STRASSE", "straße", True),
        ("Linn", "Lynn", False),
        # Their vowels are marks on the letters.
        ("राम", "रामा", False),
        ("ดี", "ดู", False),
        ("***", "???", False),
    ],
)
def test_names_are_the_same_if_their_letters_are(one: str, other: str, are_the_same: bool) -> None:
    found = merged(
        [part(1, 1, people=[Person(name=one)]), part(2, 2, people=[Person(name=other)])], None
    )
    assert len(found.people) == (1 if are_the_same else 2)


def test_without_an_account_of_the_whole_the_surest_part_says_what_it_is() -> None:
    found = merged(
        [
            part(1, 2, title="Exhibit A", confidence=0.4, court="Superior Court"),
            part(3, 4, title="Motion", type=DocumentType.MOTION, confidence=0.8, court="Any"),
            part(5, 6, title="Receipt", confidence=0.8, case_number="24PB03391"),
        ],
        None,
    )
    assert (found.title, found.type, found.confidence) == ("Motion", DocumentType.MOTION, 0.8)
    # Whoever names the court and the case first does so for all.
    assert (found.court, found.case_number) == ("Superior Court", "24PB03391")
    assert found.summary.splitlines() == [
        f"Pages {first} to {first + 1}: A lawyer demands payment." for first in (1, 3, 5)
    ]


def test_summaries_that_are_too_long_together_are_cut() -> None:
    found = merged([part(n, n, summary="word " * 700) for n in range(1, 9)], None)
    assert 3_990 < len(found.summary) <= 4_000
    assert found.summary.endswith("…")


@settings(max_examples=60)
@given(parts=in_parts(least=2), whole=wholes)
def test_what_an_account_of_the_whole_says_is_what_the_document_is(
    parts: list[Part], whole: Whole
) -> None:
    found = merged(parts, whole).model_dump()
    assert {name: found[name] for name in Whole.model_fields} == whole.model_dump()


@settings(max_examples=60)
@given(parts=in_parts(), whole=st.none() | wholes)
def test_parts_make_one_valid_analysis_whose_pages_are_theirs(
    parts: list[Part], whole: Whole | None
) -> None:
    found = merged(parts, whole)
    assert Analysis.model_validate_json(found.model_dump_json()) == found
    theirs = {page for one in parts for page in range(one.step.first_page, one.step.last_page + 1)}
    assert set(pages_of(found)) <= theirs
    dates = [entry.on for entry in found.timeline]
    assert len(parts) == 1 or dates == sorted(dates)


def said(found: Analysis) -> dict[str, list[Any]]:
    """What it says, without where, and as a reader would compare it."""
    return {
        "dates": [(one.on, letters(one.what)) for one in found.dates],
        "sums": [(one.value, one.currency, letters(one.what)) for one in found.amounts],
        "facts": [letters(one.fact) for one in found.key_facts],
        "timeline": [(one.on, letters(one.what)) for one in found.timeline],
        "obligations": [
            (letters(one.who), letters(one.what), one.due) for one in found.obligations
        ],
        "parties": [letters(one.name) for one in found.parties],
        "people": [letters(one.name) for one in found.people],
        "organisations": [letters(one.name) for one in found.organisations],
        "roles": [
            (letters(one.name), letters(one.role))
            for one in (*found.parties, *found.people, *found.organisations)
            if one.role
        ],
        "sensitivity": list(found.sensitivity),
    }


@settings(max_examples=60)
@given(parts=in_parts(), whole=st.none() | wholes)
def test_nothing_that_a_part_says_is_lost_and_nothing_is_added(
    parts: Sequence[Part], whole: Whole | None
) -> None:
    found = said(merged(parts, whole))
    theirs = [said(one.analysis) for one in parts]
    for what, every in found.items():
        assert set(every) == {one for each in theirs for one in each[what]}


@settings(max_examples=60)
@given(parts=in_parts(least=2))
def test_no_name_stands_there_twice_with_one_role_nor_with_and_without(
    parts: Sequence[Part],
) -> None:
    found = merged(parts, None)
    for named in (found.parties, found.people, found.organisations):
        pairs = [(letters(one.name), letters(one.role)) for one in named]
        assert len(pairs) == len(set(pairs))
        with_role = {name for name, role in pairs if role}
        assert not [name for name, role in pairs if not role and name in with_role]
