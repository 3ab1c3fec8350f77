"""Which files a corpus holds, in which order, and how they come to lie on the disk.

What a file is follows from the seed and its number alone; so the same seed makes the same
files, and a larger corpus of a seed is not a longer one: shares are kept.
"""

import random
from collections.abc import Iterator
from pathlib import Path

from bench.corpus.broken import BROKEN, COMPLEX
from bench.corpus.paper import make_paper
from bench.corpus.sound import SOUND
from bench.corpus.studio import Made, Studio
from bench.corpus.truth import FILES, MANIFEST, Entry, truth_of

SHARE_BROKEN, SHARE_TWINS = 0.08, 0.05
MATTERS = ("smith-v-jones", "estate-of-miller", "harbor-bank", "in-re-larkspur", "")

_BROKEN = "broken: "


def kinds_of(documents: int, seed: int, *, too_complex: bool = True) -> list[str]:
    """The kind of every file, in order: by their shares, each at least once, then shuffled.

    `twin` is a file whose bytes came before. `too_complex` adds one file that keeps a parser
    busy until its limit: two minutes of a core.
    """
    twins, broken = round(documents * SHARE_TWINS), round(documents * SHARE_BROKEN)
    names = [f"{_BROKEN}{name}" for name in BROKEN]
    chosen = [names[index % len(names)] for index in range(max(broken, len(names)))]
    if too_complex:
        chosen += [f"{_BROKEN}{name}" for name in COMPLEX]
    total = sum(share for share, _ in SOUND.values())
    left = max(documents - twins - len(chosen), len(SOUND))
    for kind, (share, _) in SOUND.items():
        chosen += [kind] * max(round(left * share / total), 1)
    most = next(iter(SOUND))
    chosen += [most] * (documents - twins - len(chosen))
    while len(chosen) > max(documents - twins, len(names) + len(SOUND)):
        chosen.remove(most if most in chosen else max(SOUND, key=chosen.count))
    chance = random.Random(f"{seed}/order")  # noqa: S311 - the same corpus each time, not a secret
    chance.shuffle(chosen)
    for _ in range(twins):
        chosen.insert(chance.randrange(len(chosen) // 4, len(chosen) + 1), "twin")
    return chosen


def write_corpus(
    folder: Path, *, documents: int, seed: int, too_complex: bool = True
) -> Iterator[Entry]:
    """Make the files below `folder`, one after the other, and tell of each when it lies there.

    The manifest grows with them. No more than one file is in memory, and the shared pages.
    """
    paper = make_paper(seed)
    entries: list[Entry] = []
    (folder / FILES).mkdir(parents=True, exist_ok=True)
    with (folder / MANIFEST).open("w", encoding="utf-8") as manifest:
        for number, kind in enumerate(kinds_of(documents, seed, too_complex=too_complex), start=1):
            studio = Studio(paper, random.Random(f"{seed}/{number}"), f"{seed}-{number:06}")  # noqa: S311
            entry = _write(folder / FILES, kind, number, studio, entries)
            entries.append(entry)
            manifest.write(entry.model_dump_json(exclude_defaults=True) + "\n")
            yield entry


def _write(folder: Path, kind: str, number: int, studio: Studio, earlier: list[Entry]) -> Entry:
    matter = studio.chance.choice(MATTERS)
    if kind == "twin":
        twin = studio.chance.choice([one for one in earlier if one.twin_of is None])
        content = (folder / twin.path).read_bytes()
        name = f"{number:06} copy of {Path(twin.path).name}"
        entry = Entry(path=_path(matter, name), truth=twin.truth, twin_of=twin.path)
    else:
        made = _made(kind, studio)
        content = made.content
        path = _path(matter, f"{number:06} {made.name}")
        entry = Entry(path=path, truth=truth_of(content, kind, **made.facts))
        twin = next((one for one in earlier if one.truth.sha256 == entry.truth.sha256), None)
        if twin is not None:  # there is but one empty file
            entry = entry.model_copy(update={"twin_of": twin.path})
    file = folder / entry.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return entry


def _made(kind: str, studio: Studio) -> Made:
    if kind.startswith(_BROKEN):
        name = kind.removeprefix(_BROKEN)
        return (BROKEN.get(name) or COMPLEX[name])(studio)
    return SOUND[kind][1](studio)


def _path(matter: str, name: str) -> str:
    return f"{matter}/{name}" if matter else name
