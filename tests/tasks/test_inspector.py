"""Whatever a file does to the process that looks at it, others are looked at all the same."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from schema.failures import BadInput
from schema.files import TXT
from tasks.inspector import Limits, open_inspector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "members").mkdir()
    return tmp_path / "members"


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    (tmp_path / "letter.txt").write_text("Dear Bob,")
    return tmp_path / "letter.txt"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """HTML that takes half a minute and 300 MB to lay out."""
    (tmp_path / "slow.html").write_text("<html>" + "<p>one <b>two</b> three</p>\n" * 250_000)
    return tmp_path / "slow.html"


async def test_a_reader_knows_no_secret_lives_on_and_is_replaced_when_it_dies(
    letter: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a secret")
    async with open_inspector() as inspector:
        assert inspector.reader_pid is None
        first = await inspector.inspect(letter, folder)
        assert (first.media_type, first.pages) == (TXT, ("Dear Bob,",))
        pid = inspector.reader_pid
        assert pid is not None
        assert set(psutil.Process(pid).environ()) <= {"PATH", "LANG", "LC_CTYPE"}
        assert await inspector.inspect(letter, folder) == first
        assert inspector.reader_pid == pid

        os.kill(pid, signal.SIGKILL)
        assert await inspector.inspect(letter, folder) == first
        again = inspector.reader_pid
        assert again not in {pid, None}
    assert not psutil.pid_exists(again or 0)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(cpu_seconds=1), "took longer than 1 s"),
        (Limits(memory_bytes=160 * 1024**2), "more memory than there is|crashed"),
    ],
)
async def test_a_file_that_takes_too_much_is_refused(
    slow: Path, folder: Path, limits: Limits, reason: str
) -> None:
    async with open_inspector(limits) as inspector:
        with pytest.raises(BadInput, match=reason):
            await inspector.inspect(slow, folder)


async def test_a_file_that_never_ends_is_refused(tmp_path: Path, folder: Path) -> None:
    os.mkfifo(tmp_path / "endless")  # whoever opens it waits
    async with open_inspector(Limits(wall_seconds=1)) as inspector:
        with pytest.raises(BadInput, match="took longer than 1 s"):
            await inspector.inspect(tmp_path / "endless", folder)


async def test_an_answer_that_does_not_fit_the_disk_is_the_disks_fault(
    letter: Path, folder: Path
) -> None:
    (folder / "answer.json").symlink_to("/dev/full")
    async with open_inspector() as inspector:
        with pytest.raises(OSError, match="No space left"):
            await inspector.inspect(letter, folder)


async def test_a_file_that_is_not_there_is_the_disks_fault(tmp_path: Path, folder: Path) -> None:
    async with open_inspector() as inspector:
        with pytest.raises(FileNotFoundError):
            await inspector.inspect(tmp_path / "none", folder)
