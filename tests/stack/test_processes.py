import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from schema.failures import Misconfigured, RetryLater
from stack.processes import Child, plain_environment, processes_of, sweep
from tests.stack.conftest import eventually

SLEEP = "import time; time.sleep(60)"
# Starts a process in a session of its own, then ignores every polite signal.
STUBBORN = f"""
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
pathlib.Path("ready").touch()
time.sleep(60)
"""


def python(
    state_dir: Path, program: str, *, is_ready: Callable[[], bool] | None = None, name: str = "it"
) -> Child:
    return Child(
        name,
        [sys.executable, "-c", program],
        state_dir=state_dir,
        env=plain_environment(),
        cwd=state_dir,
        is_ready=is_ready,
    )


def test_a_child_that_dies_at_start_gives_one_clear_line(tmp_path: Path) -> None:
    child = python(tmp_path, "import sys; sys.exit('no such setting: colour')", name="painter")
    child.start()
    assert eventually(lambda: not child.is_alive())
    with pytest.raises(Misconfigured) as failed:
        child.wait_ready(300)
    message = str(failed.value)
    assert "painter ended at start with exit code 1: no such setting: colour" in message
    assert str(tmp_path / "logs" / "painter.log") in message
    assert "\n" not in message


def test_a_message_never_quotes_an_earlier_start(tmp_path: Path) -> None:
    first = python(tmp_path, "print('from the first start')")
    first.start()
    assert eventually(lambda: not first.is_alive())
    second = python(tmp_path, "raise SystemExit(3)")
    second.start()
    assert eventually(lambda: not second.is_alive())
    with pytest.raises(Misconfigured, match="exit code 3: it wrote nothing"):
        second.wait_ready(300)


def test_a_program_that_is_not_there_gives_one_clear_line(tmp_path: Path) -> None:
    child = Child("ghost", ["/nowhere/ghost"], state_dir=tmp_path, env={})
    with pytest.raises(Misconfigured, match="ghost cannot be started: /nowhere/ghost: No such"):
        child.start()


def test_a_child_that_is_never_ready_can_be_tried_again_later(tmp_path: Path) -> None:
    child = python(tmp_path, SLEEP, is_ready=lambda: False, name="sleeper")
    child.start()
    with pytest.raises(RetryLater, match="sleeper was not ready within 0 s"):
        child.wait_ready(0.2)
    child.stop()
    assert not child.is_alive()


def test_stopping_a_child_that_ignores_it_ends_the_whole_tree(tmp_path: Path) -> None:
    child = python(tmp_path, STUBBORN, is_ready=(tmp_path / "ready").exists)
    child.start()
    child.wait_ready(300)
    tree = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    assert len(tree) == 2
    child.stop(seconds=0.2)
    assert child.exit_code() == -signal.SIGKILL
    assert not any(process.is_running() for process in tree)
    assert processes_of(tmp_path) == []


def test_a_child_that_was_killed_can_be_started_again(tmp_path: Path) -> None:
    child = python(tmp_path, SLEEP)
    child.start()
    child.kill()
    assert not child.is_alive()
    child.start()
    child.wait_ready(300)
    assert child.is_alive()
    child.stop()


def test_sweep_ends_what_a_killed_parent_left_behind_and_nothing_else(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    child = python(ours, STUBBORN, is_ready=(ours / "ready").exists)
    other = python(theirs, SLEEP)
    child.start()
    other.start()
    child.wait_ready(300)
    os.kill(child.pid, signal.SIGKILL)
    assert eventually(lambda: len(processes_of(ours)) == 1 and not child.is_alive())

    assert sweep(ours) == 1

    assert processes_of(ours) == []
    assert sweep(ours) == 0
    assert other.is_alive()
    other.stop()


def test_sweep_finds_a_stack_by_any_name_of_its_directory(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    child = python(tmp_path / "alias", SLEEP)
    child.start()
    assert sweep(tmp_path / "real") == 1


def test_a_child_gets_no_secret_it_was_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    child = python(tmp_path, "import os; print(sorted(os.environ))")
    child.start()
    assert eventually(lambda: not child.is_alive())
    assert "ASEAGI_STACK" in child.last_log_line()
    assert "ANTHROPIC" not in child.last_log_line()
