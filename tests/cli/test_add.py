"""What `aseagi add` makes of names; what becomes of the files is in tests/e2e/test_uploads.py."""

import os
from pathlib import Path

import pytest

from blocks.inbox import check_matter, inbox_key
from cli.add import candidates_in
from schema.failures import BadInput


@pytest.mark.parametrize("matter", ["", "  ", "a/b", "/a", "..", ".", "a\nb", "a\x00", "a\udcff"])
def test_a_matter_that_is_no_name_of_a_folder_is_refused_in_one_line(matter: str) -> None:
    with pytest.raises(BadInput, match="matter's name") as refused:
        check_matter(matter)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("matter", ["smith-v-jones", "Müller ./. Götz".replace("/", "v"), "a..b"])
def test_a_matter_may_be_any_other_name(matter: str) -> None:
    check_matter(matter)


@pytest.mark.parametrize(
    "path",
    ["", "..", "../a", "a/../b", "/a", "a//b", "a/", "a\nb", "a\x00", "a\\b", "\u202ea", "x" * 900],
)
def test_a_name_that_cannot_be_kept_or_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BadInput) as refused:
        inbox_key(path, "matter")
    assert str(refused.value).isprintable()


def test_a_name_is_kept_in_one_form_whatever_program_wrote_it() -> None:
    assert inbox_key("Mu\u0308ller.pdf", "m") == inbox_key("M\u00fcller.pdf", "m")


def test_a_folder_is_its_files_matter_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "smith-v-jones"
    (folder / "letters").mkdir(parents=True)
    for name in ("a.pdf", "letters/b.pdf", ".hidden.pdf"):
        (folder / name).write_bytes(b"%PDF-1.7")
    assert [(one.matter, one.name, one.key) for one in candidates_in([folder])] == [
        ("smith-v-jones", "a.pdf", "uploads/smith-v-jones/a.pdf"),
        ("smith-v-jones", "letters/b.pdf", "uploads/smith-v-jones/letters/b.pdf"),
    ]


def test_a_file_whose_name_is_not_utf_8_cannot_be_kept(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.pdf"))
    path.write_bytes(b"%PDF-1.7")
    (candidate,) = candidates_in([path])
    with pytest.raises(BadInput, match="not UTF-8"):
        _ = candidate.key
