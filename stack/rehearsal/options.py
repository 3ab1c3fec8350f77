"""What the command line of every rehearsal has."""

import argparse
import tempfile
from pathlib import Path


def begin_parser(name: str, description: str) -> argparse.ArgumentParser:
    """A parser of `python -m stack.{name}` that knows the options every rehearsal has."""
    parser = argparse.ArgumentParser(prog=f"python -m stack.{name}", description=description)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes any")
    parser.add_argument("--state-dir", type=Path, help="kept between starts; default: forgotten")
    parser.add_argument("--faults", type=Path, help="JSON list of faults to strike")
    return parser


def state_dir_of(name: str, chosen: Path | None) -> Path:
    """The state directory that was chosen, or a new one, to be forgotten."""
    return (chosen or Path(tempfile.mkdtemp(prefix=f"aseagi-{name}-"))).absolute()


def not_negative(text: str) -> float:
    """A number from 0 on, as the `type` of an option."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def above_zero(text: str) -> float:
    """A number above 0, as the `type` of an option."""
    number = not_negative(text)
    if not number:
        raise argparse.ArgumentTypeError("must be above zero")
    return number
