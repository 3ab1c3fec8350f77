"""The command line of the marketplace."""

import argparse
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import cast

from stack.marketplace.settings import HOST_COMMAND, NOTICE, Settings
from stack.rehearsal.options import above_zero, begin_parser, not_negative, state_dir_of


def parse_options(arguments: Sequence[str]) -> Settings:
    """Settings from command-line arguments; ends the program on a wrong one."""
    parser = begin_parser("marketplace", f"A rehearsal of the Vast.ai marketplace: {NOTICE}.")
    parser.add_argument("--boot-seconds", type=not_negative, default=2.0, help="create to running")
    parser.add_argument(
        "--time-scale",
        type=above_zero,
        default=1.0,
        help="billing, boot and lag run so much faster",
    )
    parser.add_argument("--read-lag-seconds", type=not_negative, default=0.0, help="of reads")
    parser.add_argument("--rate-limits", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--credit", type=Decimal, default=Decimal(25), help="dollars prepaid")
    parser.add_argument("--image-bytes", type=int, default=0, help="billed as download per boot")
    parser.add_argument(
        "--host-command", type=_command, default=HOST_COMMAND, help="JSON list: what a host runs"
    )
    options = parser.parse_args(arguments)
    return Settings(
        state_dir=state_dir_of("marketplace", options.state_dir),
        port=options.port,
        boot_seconds=options.boot_seconds,
        time_scale=options.time_scale,
        read_lag_seconds=options.read_lag_seconds,
        rate_limits=options.rate_limits,
        credit_dollars=options.credit,
        image_bytes=options.image_bytes,
        host_command=options.host_command,
        faults_file=options.faults,
        keeps_state=options.state_dir is not None,
    )


def _command(text: str) -> tuple[str, ...]:
    try:
        words: object = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("is not JSON") from error
    if not isinstance(words, list) or not words:
        raise argparse.ArgumentTypeError("must be a JSON list of strings")
    return tuple(str(word) for word in cast("list[object]", words))
