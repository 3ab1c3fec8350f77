"""`aseagi marketplace`: the rehearsal of Vast.ai, alone, for any client to be pointed at."""

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(marketplace)


def marketplace(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes any.")] = 0,
    faults: Annotated[
        Path | None, typer.Option(help="JSON list of faults to strike.", exists=True)
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Keep its state here; by default it is forgotten.")
    ] = None,
    boot_seconds: Annotated[
        float, typer.Option(min=0, help="From a create until the instance runs.")
    ] = 2.0,
    time_scale: Annotated[
        float, typer.Option(min=0.001, help="Billing, boot and read lag run so much faster.")
    ] = 1.0,
    read_lag_seconds: Annotated[
        float, typer.Option(min=0, help="How far behind the truth reads are.")
    ] = 0.0,
    rate_limits: Annotated[
        bool, typer.Option(help="Refuse calls as frequent as the real API refuses.")
    ] = True,
    credit: Annotated[float, typer.Option(help="Dollars prepaid, of no worth.")] = 25.0,
) -> None:
    """Run the rehearsal of the Vast.ai marketplace alone: rehearsal, no money.

    Prints one line of JSON with `url` and `api_key`, to point any Vast.ai client at
    it. What it rents out are processes on this machine. Ctrl-C ends it and them.

    **Example:** `aseagi marketplace --port 8500`, then in another terminal
    `VAST_URL=http://127.0.0.1:8500 VAST_API_KEY=… vastai search offers`
    """
    from stack.marketplace import Settings
    from stack.marketplace.serving import serve

    folder = state_dir or Path(tempfile.mkdtemp(prefix="aseagi-marketplace-"))
    serve(
        Settings(
            state_dir=folder.absolute(),
            port=port,
            boot_seconds=boot_seconds,
            time_scale=time_scale,
            read_lag_seconds=read_lag_seconds,
            rate_limits=rate_limits,
            credit_dollars=Decimal(str(credit)),
            faults_file=faults,
            keeps_state=state_dir is not None,
        )
    )
