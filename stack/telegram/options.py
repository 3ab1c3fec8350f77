"""The command line of the rehearsal."""

from collections.abc import Sequence

from stack.rehearsal.options import above_zero, begin_parser, state_dir_of
from stack.telegram.settings import NOTICE, Settings


def parse_options(arguments: Sequence[str]) -> Settings:
    """Settings from command-line arguments; ends the program on a wrong one."""
    parser = begin_parser("telegram", f"A rehearsal of Telegram's Bot API: {NOTICE}.")
    parser.add_argument(
        "--first-repeat-seconds", type=above_zero, default=0.2, help="until the first repetition"
    )
    parser.add_argument(
        "--longest-repeat-seconds", type=above_zero, default=2.0, help="between repetitions"
    )
    parser.add_argument(
        "--delivery-seconds", type=above_zero, default=10.0, help="a webhook may take to answer"
    )
    options = parser.parse_args(arguments)
    return Settings(
        state_dir=state_dir_of("telegram", options.state_dir),
        port=options.port,
        first_repeat_seconds=options.first_repeat_seconds,
        longest_repeat_seconds=options.longest_repeat_seconds,
        delivery_seconds=options.delivery_seconds,
        faults_file=options.faults,
        keeps_state=options.state_dir is not None,
    )
