"""The command line of the rehearsal."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stack.claude.settings import ANSWERER, NOTICE, Settings


def parse_options(arguments: Sequence[str]) -> Settings:
    """Settings from command-line arguments; ends the program on a wrong one."""
    parser = argparse.ArgumentParser(
        prog="python -m stack.claude", description=f"A rehearsal of Anthropic's API: {NOTICE}."
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes any")
    parser.add_argument("--state-dir", type=Path, help="kept between starts; default: forgotten")
    parser.add_argument("--faults", type=Path, help="JSON list of faults to strike")
    parser.add_argument("--fault-seed", type=int, default=0, help="luck of faults by probability")
    parser.add_argument("--batch-seconds", type=_positive, default=2.0, help="to process a batch")
    parser.add_argument("--answer-seconds", type=_positive, default=0.0, help="a message takes")
    parser.add_argument("--time-scale", type=_above_zero, default=1.0, help="speed of its clock")
    parser.add_argument("--answerer", default=ANSWERER, help="module:name of who answers")
    options = parser.parse_args(arguments)
    state_dir = options.state_dir or Path(tempfile.mkdtemp(prefix="aseagi-claude-"))
    return Settings(
        state_dir=state_dir.absolute(),
        port=options.port,
        batch_seconds=options.batch_seconds,
        time_scale=options.time_scale,
        answer_seconds=options.answer_seconds,
        answerer=options.answerer,
        faults_file=options.faults,
        fault_seed=options.fault_seed,
        keeps_state=options.state_dir is not None,
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _above_zero(text: str) -> float:
    number = _positive(text)
    if not number:
        raise argparse.ArgumentTypeError("must be above zero")
    return number
