"""Worker processes: replaced when they hang, in order of urgency, in constant memory."""

import queue
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pypdfium2 as pdfium
import pytest

from gpu_image.engines.doctr import workers
from gpu_image.engines.doctr.arena import Arena
from gpu_image.engines.doctr.jobs import Answer, Drawn, Render, Trouble
from gpu_image.engines.doctr.worker import Worker
from gpu_image.engines.doctr.workers import WorkerPool
from rendering.pages import PDF

SECONDS = 120.0


@contextmanager
def pool_of_one(*, job_seconds: float = SECONDS) -> Generator[tuple[WorkerPool, psutil.Process]]:
    """A pool with one process, and that process."""
    before = set(psutil.Process().children())
    broken: list[Exception] = []
    pool = WorkerPool(1, Arena(2, 64), broken=broken.append, job_seconds=job_seconds)
    ask(pool, Render(0, Path("/nowhere.pdf"), PDF, 1))  # it is there when it has answered
    (process,) = set(psutil.Process().children()) - before
    try:
        yield pool, process
    finally:
        pool.close()
    assert broken == []


def ask(pool: WorkerPool, job: Render) -> Answer:
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    pool.submit(job, (0, 0), answers.put)
    return answers.get(timeout=SECONDS)


def small_pages(path: Path, count: int) -> Path:
    document = pdfium.PdfDocument.new()
    for _ in range(count):
        document.new_page(100, 100).close()
    document.save(path)
    document.close()
    return path


def test_a_job_that_hangs_is_given_up_and_the_next_one_done(tmp_path: Path) -> None:
    job = Render(0, small_pages(tmp_path / "one.pdf", 1), PDF, 1)
    with pool_of_one(job_seconds=5.0) as (pool, process):
        process.suspend()
        answer = ask(pool, job)
        assert answer == Trouble("The page could not be read: its reader crashed or hung.")
        assert not process.is_running()
        assert isinstance(ask(pool, job), Drawn)


def test_a_job_whose_process_is_killed_is_done_by_another(tmp_path: Path) -> None:
    job = Render(0, small_pages(tmp_path / "one.pdf", 1), PDF, 1)
    with pool_of_one() as (pool, process):
        process.kill()
        assert isinstance(ask(pool, job), Drawn)


def test_processes_that_cannot_be_started_break_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(workers, "START_PAUSE_SECONDS", 0.01)
    broken: queue.SimpleQueue[Exception] = queue.SimpleQueue()
    pool = WorkerPool(1, Arena(2, 64), broken=broken.put)
    assert isinstance(broken.get(timeout=SECONDS), workers.WorkersFailed)
    pool.close()


def test_urgent_jobs_go_first_then_those_that_are_nearest_to_the_end(tmp_path: Path) -> None:
    file = small_pages(tmp_path / "ten.pdf", 10)
    done: queue.SimpleQueue[str] = queue.SimpleQueue()
    with pool_of_one() as (pool, process):
        process.suspend()
        pool.submit(Render(0, file, PDF, 1), (0, 0), lambda _: done.put("at work"))
        for name, priority in {
            "render": (1, 3), "cut": (1, 1), "urgent render": (0, 3), "arrange": (1, 0),
            "another render": (1, 3),
        }.items():  # fmt: skip
            pool.submit(Render(0, file, PDF, 2), priority, lambda _, name=name: done.put(name))
        process.resume()
        order = [done.get(timeout=SECONDS) for _ in range(6)]
    assert order == ["at work", "urgent render", "arrange", "cut", "render", "another render"]


def test_closing_ends_the_processes() -> None:
    with pool_of_one() as (_, process):
        assert process.is_running()
    assert not process.is_running()


def test_a_pdf_of_2000_pages_is_drawn_in_constant_memory(tmp_path: Path) -> None:
    file = small_pages(tmp_path / "long.pdf", 2000)
    worker = Worker(Arena(1, 64))
    me = psutil.Process()
    seen: list[int] = []
    for page in range(1, 2001):
        assert isinstance(worker.do(Render(0, file, PDF, page)), Drawn)
        if page % 500 == 0:
            seen.append(me.memory_info().rss)
    assert seen[-1] - seen[0] < 20e6
    assert len(me.open_files()) < 20


def test_a_file_that_is_replaced_is_opened_again(tmp_path: Path) -> None:
    worker = Worker(Arena(1, 64))
    path = tmp_path / "replaced.pdf"
    small_pages(path, 1)
    assert isinstance(worker.do(Render(0, path, PDF, 1)), Drawn)
    assert isinstance(worker.do(Render(0, path, PDF, 2)), Trouble)
    path.unlink()
    small_pages(path, 2)
    assert isinstance(worker.do(Render(0, path, PDF, 2)), Drawn)
