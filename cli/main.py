"""The program `aseagi`: its commands, and how its errors look.

Guarantee: whatever goes wrong that a person can mend is one line on stderr saying
what and how, and a non-zero exit; no traceback.
"""

import sys

import typer

from cli import (
    add,
    adopt,
    analyse,
    clients,
    correct,
    costs,
    delete,
    demo,
    deploy,
    estimate,
    export,
    hosts,
    marketplace,
    process,
    review,
    search,
    show,
    smoke,
    spending,
    status,
    telegram,
    up,
)
from cli.console import fail
from schema.failures import AseagiError

app = typer.Typer(
    name="aseagi",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Reads, analyses and exports legal documents; sessions run only while there is work.

**Examples**

- `aseagi up` — start everything on this machine and stay
- `aseagi estimate ~/cases/smith-v-jones` — what it would cost, before anything is begun
- `aseagi add ~/cases/smith-v-jones` — add a folder; its name becomes the matter
- `aseagi process --wait` — read and analyse whatever waits, with a bar
- `aseagi search '"motion to dismiss" 2024'` — find pages
- `aseagi hosts` — what is rented, what it costs, what it is doing
- `aseagi export --to exports/` — Excel, CSV and JSON lines

Commands talk to the stack started by `aseagi up` in this folder (`.aseagi/`), or to
production when `PREFECT_API_URL` is set.
""",
)

for module in (
    up,
    estimate,
    add,
    clients,
    process,
    status,
    search,
    show,
    review,
    correct,
    delete,
    analyse,
    export,
    adopt,
    hosts,
    smoke,
    costs,
    spending,
    deploy,
    telegram,
    demo,
    marketplace,
):
    module.register(app)


def main() -> None:
    """Run the command line; turn our errors into one line and exit code 1."""
    try:
        app()
    except AseagiError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
