"""The corpus of a bench: the same for a seed, of every kind, and true about itself."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from bench.corpus.broken import BROKEN
from bench.corpus.making import kinds_of, write_corpus
from bench.corpus.sound import SOUND
from bench.corpus.truth import FILES, MANIFEST, Entry, contents, read_manifest
from bench.corpus.verdicts import Found, FoundDocument, FoundMember, compare
from schema.failures import BadInput
from tasks.inspection import inspect

DOCUMENTS = len(SOUND) + len(BROKEN) + 3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind, made once."""
    folder = tmp_path_factory.mktemp("corpus")
    for _ in write_corpus(folder, documents=DOCUMENTS, seed=3):
        pass
    return folder


@pytest.fixture(scope="module")
def entries(corpus: Path) -> list[Entry]:
    return read_manifest(corpus)


def test_a_seed_makes_the_same_bytes_again(corpus: Path, tmp_path: Path) -> None:
    for _ in write_corpus(tmp_path, documents=DOCUMENTS, seed=3):
        pass
    assert digests(tmp_path) == digests(corpus)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): digest_of(file)
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_another_seed_makes_another_order() -> None:
    assert kinds_of(1000, 3) != kinds_of(1000, 4)


def test_shares_are_kept_whatever_the_size() -> None:
    for documents in (100, 1000, 5000):
        kinds = Counter(kinds_of(documents, 3))
        assert kinds.total() == documents
        assert kinds["twin"] == round(documents * 0.05)
        assert {*SOUND, *(f"broken: {name}" for name in BROKEN)} <= kinds.keys()
        assert kinds["scanned PDF"] > kinds["HEIC"] >= 1
        assert kinds["broken: too complex PDF"] == 1


def test_every_file_lies_there_as_its_line_in_the_manifest_says(
    corpus: Path, entries: list[Entry]
) -> None:
    files = {file for file in (corpus / FILES).rglob("*") if file.is_file()}
    assert {corpus / FILES / entry.path for entry in entries} == files
    for entry in entries:
        content = (corpus / FILES / entry.path).read_bytes()
        assert sha256(content).hexdigest() == entry.truth.sha256
        assert len(content) == entry.truth.size_bytes
    assert len((corpus / MANIFEST).read_text().splitlines()) == len(entries)


def test_only_twins_share_their_content(entries: list[Entry]) -> None:
    first = [entry for entry in entries if entry.twin_of is None]
    assert len({entry.truth.sha256 for entry in first}) == len(first)
    twins = [entry for entry in entries if entry.twin_of is not None]
    by_path = {entry.path: entry for entry in entries}
    assert twins
    assert all(by_path[twin.twin_of or ""].truth == twin.truth for twin in twins)


def test_what_the_truth_says_is_what_is_seen_in_the_file(
    corpus: Path, entries: list[Entry], tmp_path: Path
) -> None:
    """But of the one that takes its parser's limit of time: that of a process of its own."""
    seen = {
        number: surprise
        for number, entry in enumerate(entries)
        if entry.truth.kind != "broken: too complex PDF"
        for surprise in surprises(entry, corpus / FILES / entry.path, tmp_path / str(number))
    }
    assert seen == {}


def surprises(entry: Entry, file: Path, members: Path) -> Iterator[str]:
    truth = entry.truth
    members.mkdir()
    try:
        seen = inspect(file, members)
    except BadInput as error:
        if truth.failed is None or not re.search(truth.failed, str(error)):
            yield f"{truth.kind}: {error}"
        return
    to_read = sum(text is None for text in seen.pages)
    if truth.failed or (seen.media_type, len(seen.pages), to_read) != (
        truth.media_type,
        truth.pages,
        truth.to_read,
    ):
        yield f"{truth.kind}: {seen.media_type}, {len(seen.pages)} pages, {to_read} to read"
    text = "\n".join(page or "" for page in seen.pages)
    yield from (f"{truth.kind} lacks {phrase}" for phrase in truth.says if phrase not in text)
    taken = [digest_of(members / one.file) if one.file else None for one in seen.members]
    if taken != [inside.truth.sha256 if inside.truth else None for inside in truth.members]:
        yield f"{truth.kind} holds {[one.name for one in seen.members]}"


def digest_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def as_it_should_be(entries: list[Entry]) -> Found:
    """What a house without a fault would hold."""
    documents = {
        digest: FoundDocument(
            media_type=truth.media_type,
            status="completed" if truth.failed is None else "failed",
            reason=truth.failed.split("|")[0].replace("[0-9,]+", "9").replace("[0-9]+", "9")
            if truth.failed
            else "",
            pages=truth.pages,
            read=truth.to_read,
            unread=0,
            text="\n".join(truth.says),
            members=tuple(
                FoundMember(
                    f"folder/{inside.name}",
                    inside.truth.sha256 if inside.truth else None,
                    inside.refused.split("|")[0] if inside.refused else None,
                )
                for inside in truth.members
            ),
        )
        for digest, truth in contents(entries).items()
    }
    return Found(documents, {entry.path: entry.truth.sha256 for entry in entries})


def test_a_house_without_a_fault_has_nothing_wrong(entries: list[Entry]) -> None:
    verdicts = compare(entries, as_it_should_be(entries))
    assert verdicts.wrong == []
    tallies = verdicts.by_kind.values()
    files = sum(one.files for kind, one in verdicts.by_kind.items() if kind != "(in containers)")
    assert files == len(entries)
    assert sum(one.completed + one.failed + one.twins for one in tallies) == sum(
        one.files for one in tallies
    )


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed", "reason": "no reason"},
        {"pages": 77},
        {"read": 77},
        {"unread": 1},
        {"media_type": "text/x-python"},
        {"text": "something else"},
    ],
)
def test_whatever_is_not_as_it_should_be_is_found(
    entries: list[Entry], change: dict[str, object]
) -> None:
    found = as_it_should_be(entries)
    entry = next(one for one in entries if one.truth.kind == "mixed PDF")
    digest = entry.truth.sha256
    found.documents[digest] = replace(found.documents[digest], **change)  # pyright: ignore[reportArgumentType]
    verdicts = compare(entries, found)
    assert verdicts.wrong
    assert verdicts.by_kind["mixed PDF"].wrong >= 1


def test_what_is_missing_and_what_nobody_added_is_found(entries: list[Entry]) -> None:
    found = as_it_should_be(entries)
    lost = next(one for one in entries if one.truth.kind == "TXT")
    document = found.documents.pop(lost.truth.sha256)
    found.documents["f" * 64] = document
    wrong = compare(entries, found).wrong
    assert any("it is not there" in line for line in wrong)
    assert any("that nobody added" in line for line in wrong)


def test_a_member_that_leads_out_of_its_folder_is_found(entries: list[Entry]) -> None:
    found = as_it_should_be(entries)
    bad = next(one for one in entries if one.truth.kind == "broken: ZIP that escapes")
    document = found.documents[bad.truth.sha256]
    first, *others = document.members
    escaped = replace(first, name=f"../{first.name}")
    found.documents[bad.truth.sha256] = replace(document, members=(escaped, *others))
    assert any("leads out of a folder" in line for line in compare(entries, found).wrong)


def test_the_manifest_is_plain_json(corpus: Path) -> None:
    first = json.loads((corpus / MANIFEST).read_text().splitlines()[0])
    assert {"path", "truth"} <= first.keys()
