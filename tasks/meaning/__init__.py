"""What a text is about, as a direction: texts about the same point the same way.

Static vectors: each piece of a word has one, and a text's direction is their sum. No net runs, so
a page costs a fraction of a millisecond and all of it 20 MB beside numpy's; word order and negation
are lost. Where the vectors come from, and under which licence: README.md beside this file.
"""

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MODEL = "all-MiniLM-L6-v2 static 1"
"""Names the vectors. Directions of one model say nothing beside those of another."""

_FOLDER = Path(__file__).parent
_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 100
_CONTINUES = "##"


def embed(text: str) -> list[float] | None:
    """The direction of `text`, of length 1; None if it has no word that is known.

    Reads English; of other languages in Latin script it knows what they share with it. The same
    text always gives the same numbers.
    """
    pieces: Counter[int] = Counter()
    for word, times in Counter(_WORD.findall(_plain(text))).items():
        for piece in _pieces(word):
            pieces[piece] += times
    if not pieces:
        return None
    rows = np.fromiter(pieces.keys(), dtype=np.intp)
    # The tenth time a page says a word it says little new.
    weights = 1 + np.log(np.fromiter(pieces.values(), dtype=np.float32))
    direction = weights @ _vectors()[rows].astype(np.float32)
    length = float(np.linalg.norm(direction))
    return (direction / length).tolist() if length else None


def _plain(text: str) -> str:
    """Lower case without accents, as the vocabulary is written."""
    apart = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in apart if unicodedata.category(letter) != "Mn")


@lru_cache(maxsize=8192)
def _pieces(word: str) -> tuple[int, ...]:
    """The longest pieces that make up the word, first to last; none if they cannot."""
    known = _vocabulary()
    if len(word) > _LONGEST_WORD:
        return ()
    found: list[int] = []
    start = 0
    while start < len(word):
        before = _CONTINUES if start else ""
        for stop in range(len(word), start, -1):
            piece = known.get(before + word[start:stop])
            if piece is not None:
                found.append(piece)
                start = stop
                break
        else:
            return ()
    return tuple(found)


@cache
def _vocabulary() -> dict[str, int]:
    lines = (_FOLDER / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    return {piece: row for row, piece in enumerate(lines)}


@cache
def _vectors() -> NDArray[np.int8]:
    # Mapped, not read: processes share it, and the system may take it back.
    return np.load(_FOLDER / "vectors.npy", mmap_mode="r")
