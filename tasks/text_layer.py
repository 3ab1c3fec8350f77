"""One question, answered in one place: may a page's text layer be believed?

A born-digital page carries its text; a scan may carry none, or what some other OCR
once guessed and hid behind the picture. Only the first is believed, and only if its letters
are those that a person sees: a font without a good table of them gives others, shifted or
at random, for the same shapes.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MIN_LETTERS = 25
"""Fewer letters and digits than this may be a stamp or page number on a scan."""

MIN_SOUND_SHARE = 0.85
"""Least share of printable, mapped characters among those that are not blank."""

MAX_PICTURE_SHARE = 0.6
"""A picture covering more of the page than this makes the page a scan."""

MAX_HIDDEN_SHARE = 0.5
"""More of the text than this drawn invisibly, beside a picture, is what an OCR put there."""

MIN_PAIRS = 100
"""Fewer pairs of letters than this say nothing about a language."""

MIN_USUAL_SHARE = 0.5
"""Least share of usual pairs. Sentences have 0.8 and more, lists of names or abbreviations
two thirds; letters that stand for others have 0.3, and one in thirty such alphabets 0.5."""

_USUAL = """
    aa ab ac ad ag ah ai ak al am an ao ar as at au av az ba be bi bo br bu by ca ce ch ci co ct
    da de di dn do dr du ea eb ec ed ee eg ei ek el em en ep er es et eu fa fo fr ft ga ge gh gi
    gn go gu ha he hi ho ht hu ia ib ic id ie ig ii ik il im in io ir is it iv iz ja je ka ke ki
    ko kt ku la le li ll lo lt lu ma mb me mi mo mu na nc nd ne ng nh ni nn no ns nt nu ny oa ob
    oc od og oi ol om on or os ot ou ov ow oz pa pe pl po pr qu ra rd re ri rl rn ro rs rt ru rv
    sa sc se si sk so sp ss st su sz ta te th ti to tr ts tt tu ty ua ue ui uk ul um un uo ur us
    ut va ve vi vo wa wo ya ye za ze zi zo zu
    """
"""The 200 most usual pairs of letters in 17 languages written in Latin letters, each counting
the same: the first articles of the Declaration of Human Rights and some lines of contracts."""
_USUAL_PAIRS = frozenset(_USUAL.split())

_ENOUGH_CHARACTERS = 4000
"""Of a page; it says no more after these."""
_WORD = re.compile(r"[^\W\d_]+")
_LATIN_WORD = re.compile(r"[a-z]{2,}")


@dataclass(frozen=True, slots=True)
class TextLayer:
    """What a PDF says is written on a page, and how much of the page is pictures."""

    text: str
    picture_share: float
    hidden_share: float = 0.0
    """How much of the text is drawn invisibly."""


def is_born_digital(layer: TextLayer) -> bool:
    """Whether the page's own text can stand for what a person sees on it."""
    if layer.picture_share > MAX_PICTURE_SHARE:
        return False
    if layer.picture_share > 0 and layer.hidden_share > MAX_HIDDEN_SHARE:
        return False
    visible = [char for char in layer.text if not char.isspace()]
    if sum(char.isalnum() for char in visible) < MIN_LETTERS:
        return False
    if "(cid:" in layer.text:
        return False
    sound = sum(char.isprintable() and char not in "�\ufffe" for char in visible)
    return sound / len(visible) >= MIN_SOUND_SHARE and not has_wrong_letters(layer.text)


def has_wrong_letters(text: str) -> bool:
    """Whether Latin letters follow each other as in no language: they stand for others.

    Says nothing of other scripts, nor of a page with few words.
    """
    pairs = usual = 0
    for word in _latin_words(text):
        pairs += len(word) - 1
        usual += sum(word[place : place + 2] in _USUAL_PAIRS for place in range(len(word) - 1))
    return pairs >= MIN_PAIRS and usual < pairs * MIN_USUAL_SHARE


def _latin_words(text: str) -> Iterator[str]:
    """Words in small letters without accents, whatever alphabet's marks they had."""
    plain = unicodedata.normalize("NFKD", text[:_ENOUGH_CHARACTERS].casefold())
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    return (word for word in _WORD.findall(plain) if _LATIN_WORD.fullmatch(word))
