import subprocess
import sys
from math import sqrt

import pytest

from tasks.meaning import embed

MEGABYTES_MORE = 60


def nearness(one: str, other: str) -> float:
    left, right = embed(one), embed(other)
    assert left is not None
    assert right is not None
    return sum(a * b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("landlord", "lessor", "surgeon"),
        ("car crash", "the vehicles collided", "the will was read"),
        ("fired from her job", "employment was terminated", "the roof leaks"),
        ("the child's father", "parent of the minor", "invoice for steel"),
    ],
)
def test_texts_about_the_same_are_nearer(text: str, near: str, far: str) -> None:
    assert nearness(text, near) > nearness(text, far) + 0.1


def test_a_direction_has_length_one_and_is_the_same_every_time() -> None:
    direction = embed("The lessee vacated the premises.")
    assert direction is not None
    assert len(direction) == 160
    assert sqrt(sum(value * value for value in direction)) == pytest.approx(1, abs=1e-5)
    assert embed("The lessee vacated the premises.") == direction


def test_case_accents_and_punctuation_change_nothing() -> None:
    assert embed("A CAFÉ, in (Zürich)!") == embed("a cafe in zurich")


def test_a_word_not_in_the_vocabulary_is_put_together_from_pieces() -> None:
    assert nearness("landlordships", "landlord") > nearness("landlordships", "boiler")


@pytest.mark.parametrize("text", ["", " \n\f", "!?…—", "法律文件", "\x00", "_" * 9, "日本 ÷ ½"])
def test_a_text_without_known_words_has_no_direction(text: str) -> None:
    assert embed(text) is None


def test_any_text_is_taken() -> None:
    endless = "a" * 1_000_000
    assert embed(endless) is None
    assert embed(f"{endless} landlord \ud800 \x00") == embed("landlord")


def test_it_needs_little_memory() -> None:
    program = """
import numpy, psutil
def megabytes(): return psutil.Process().memory_info().rss / 1e6
before = megabytes()
from tasks.meaning import embed
for number in range(2000):
    embed(" ".join(f"landlord{number + other} tenant{other}" for other in range(300)))
print(megabytes() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < MEGABYTES_MORE
