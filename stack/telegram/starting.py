"""Starting the rehearsal as a child process, as the embedded stack and tests do."""

from dataclasses import dataclass, field
from pathlib import Path

from stack.rehearsal.starting import RunningRehearsal, spawn
from stack.telegram.books import remembered_keys
from stack.telegram.settings import Settings


@dataclass(frozen=True, slots=True)
class RunningTelegram(RunningRehearsal):
    """A started rehearsal: its process, its address, the bot's token."""

    bot_token: str = field(repr=False)
    rehearsal_key: str = field(repr=False)


def spawn_telegram(settings: Settings, *, stack_dir: Path | None = None) -> RunningTelegram:
    """Start it on `settings.port`, which must be given, and return before it answers.

    Its keys are remembered in `settings.state_dir` and never on a command line.
    `stack_dir` is the state directory of the stack it belongs to, by default its own.
    """
    keys = remembered_keys(settings.state_dir)
    child = spawn(
        "telegram",
        [
            *("--first-repeat-seconds", str(settings.first_repeat_seconds)),
            *("--longest-repeat-seconds", str(settings.longest_repeat_seconds)),
            *("--delivery-seconds", str(settings.delivery_seconds)),
        ],
        port=settings.port,
        state_dir=settings.state_dir,
        faults_file=settings.faults_file,
        stack_dir=stack_dir,
    )
    return RunningTelegram(
        child, f"http://127.0.0.1:{settings.port}", keys.api_key, keys.rehearsal_key
    )


def start_telegram(settings: Settings, *, stack_dir: Path | None = None) -> RunningTelegram:
    """As `spawn_telegram`, and wait until it answers.

    Raises:
        Misconfigured: it ended; the message says why.
        RetryLater: it did not answer in time.
    """
    telegram = spawn_telegram(settings, stack_dir=stack_dir)
    telegram.wait_ready()
    return telegram
