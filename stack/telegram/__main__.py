"""Run the rehearsal of Telegram: `python -m stack.telegram`. Rehearsal, no messages.

Prints one line of JSON on stdout when it answers: where, the bot's token, and the key of
the rehearsal's own paths. SIGTERM or Ctrl-C ends it.
"""

import sys

from schema.failures import AseagiError
from stack.telegram.options import parse_options
from stack.telegram.serving import serve


def main() -> int:
    """Serve until told to stop; 1 with one line on stderr if it cannot."""
    try:
        serve(parse_options(sys.argv[1:]))
    except AseagiError as error:
        sys.stderr.write(f"telegram: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
