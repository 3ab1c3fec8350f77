"""Numbers in words, as wills, notes and checks write them."""

import re
from collections.abc import Sequence

_UNIT_WORDS: str = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
UNITS: Sequence[str] = _UNIT_WORDS.split()
_TEN_WORDS: str = "twenty thirty forty fifty sixty seventy eighty ninety"
TENS: Sequence[str] = _TEN_WORDS.split()
_SIZES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}

NUMBER_WORD = "(?:{})".format("|".join(sorted((*UNITS, *TENS, *_SIZES), key=len, reverse=True)))


def number_in_words(words: str) -> int | None:
    """`two thousand five hundred and twelve`; None where the words make no number."""
    total = part = 0
    for word in re.sub(r"[-,\s]+", " ", words.lower()).split():
        if word in UNITS:
            part += UNITS.index(word) + 1
        elif word in TENS:
            part += 10 * (TENS.index(word) + 2)
        elif word == "hundred":
            part = (part or 1) * 100
        elif word in _SIZES:
            total += (part or 1) * _SIZES[word]
            part = 0
        elif word not in {"and", "a"}:
            return None
    return total + part or None
