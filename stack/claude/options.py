"""The command line of the rehearsal."""

from collections.abc import Sequence

from stack.claude.settings import ANSWERER, NOTICE, Settings
from stack.rehearsal.options import above_zero, begin_parser, not_negative, state_dir_of


def parse_options(arguments: Sequence[str]) -> Settings:
    """Settings from command-line arguments; ends the program on a wrong one."""
    parser = begin_parser("claude", f"A rehearsal of Anthropic's API: {NOTICE}.")
    parser.add_argument("--fault-seed", type=int, default=0, help="luck of faults by probability")
    parser.add_argument(
        "--batch-seconds", type=not_negative, default=2.0, help="to process a batch"
    )
    parser.add_argument("--answer-seconds", type=not_negative, default=0.0, help="a message takes")
    parser.add_argument("--time-scale", type=above_zero, default=1.0, help="speed of its clock")
    parser.add_argument("--answerer", default=ANSWERER, help="module:name of who answers")
    options = parser.parse_args(arguments)
    return Settings(
        state_dir=state_dir_of("claude", options.state_dir),
        port=options.port,
        batch_seconds=options.batch_seconds,
        time_scale=options.time_scale,
        answer_seconds=options.answer_seconds,
        answerer=options.answerer,
        faults_file=options.faults,
        fault_seed=options.fault_seed,
        keeps_state=options.state_dir is not None,
    )
