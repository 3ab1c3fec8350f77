"""`aseagi up`: start the embedded stack and stay."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.console import STATE_DIR, StateDirOption, console, say_if_heard

if TYPE_CHECKING:
    from stack.addresses import Addresses


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    state: StateDirOption = STATE_DIR,
    dashboard: Annotated[bool, typer.Option(help="Start the dashboard too.")] = True,
) -> None:
    """Start everything on this machine and stay; Ctrl-C stops all of it.

    Postgres, S3 and Prefect, then gateway, workers and dashboard. All state lies in the
    state folder; what ends by itself is started again.

    **Example:** `aseagi up` in one terminal, `aseagi add documents/` in another
    """
    from cli.stopping import running_stack

    try:
        with running_stack(Path(state), console.print, dashboard=dashboard) as stack:
            print_addresses(stack.addresses)
            console.print("Ctrl-C stops everything.")
            stack.watch(console.print)
    except KeyboardInterrupt:
        say_if_heard("stopped; nothing is left running")


def print_addresses(addresses: "Addresses") -> None:
    """Show where to look."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("Prefect UI", addresses.prefect_ui_url)
    table.add_row("dashboard", addresses.dashboard_url)
    table.add_row("gateway", addresses.gateway_url)
    table.add_row("logs", addresses.log_folder)
    console.print(table)
