"""Run the rehearsal of Claude: `python -m stack.claude`. Rehearsal, no money.

Prints one line of JSON on stdout when it answers: where, the account's key, the key of
another account, and the key of the rehearsal's own paths. SIGTERM or Ctrl-C ends it.
"""

import sys

from schema.failures import AseagiError
from stack.claude.options import parse_options
from stack.claude.serving import serve


def main() -> int:
    """Serve until told to stop; 1 with one line on stderr if it cannot."""
    try:
        serve(parse_options(sys.argv[1:]))
    except AseagiError as error:
        sys.stderr.write(f"claude: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
