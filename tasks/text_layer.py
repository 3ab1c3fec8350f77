"""One question, answered in one place: may a page's text layer be believed?

A born-digital page carries its text; a scan may carry none, or what some other OCR
once guessed and hid behind the picture. Only the first is believed.
"""

from dataclasses import dataclass

MIN_LETTERS = 25
"""Fewer letters and digits than this may be a stamp or page number on a scan."""

MIN_SOUND_SHARE = 0.85
"""Least share of printable, mapped characters among those that are not blank."""

MAX_PICTURE_SHARE = 0.6
"""A picture covering more of the page than this makes the page a scan."""


@dataclass(frozen=True, slots=True)
class TextLayer:
    """What a PDF says is written on a page, and how much of the page is pictures."""

    text: str
    picture_share: float


def is_born_digital(layer: TextLayer) -> bool:
    """Whether the page's own text can stand for what a person sees on it."""
    if layer.picture_share > MAX_PICTURE_SHARE:
        return False
    visible = [char for char in layer.text if not char.isspace()]
    if sum(char.isalnum() for char in visible) < MIN_LETTERS:
        return False
    if "(cid:" in layer.text:
        return False
    sound = sum(char.isprintable() and char not in "�\ufffe" for char in visible)
    return sound / len(visible) >= MIN_SOUND_SHARE
