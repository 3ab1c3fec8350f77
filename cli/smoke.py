"""`aseagi smoke`: rent one host, read one page, destroy it, and say what was seen."""

import io
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cli.connection import use_stack
from cli.console import STATE_DIR, JsonOption, StateDirOption, console, print_json, run
from schema.failures import BadInput, RetryLater

if TYPE_CHECKING:
    from work_pools.vastai.trial import TrialReport

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "smith-v-jones"
DEPLOYMENT = "ocr/vast-gpu"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(smoke)


def smoke(
    max_cost: Annotated[
        float, typer.Option(min=0.01, max=10, help="Dollars that the host may cost at most.")
    ] = 0.25,
    deployment: Annotated[str, typer.Option(help="Whose pool's wishes to use.")] = DEPLOYMENT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before spending money.")] = False,
    state: StateDirOption = STATE_DIR,
    as_json: JsonOption = False,
) -> None:
    """Rent one host on the configured marketplace, read one page on it, destroy it, confirm.

    Shows how long each step took, what it cost, and what was seen of the things that the
    marketplace's documentation leaves open. Run it once before trusting an account with work.

    **Example:** `aseagi smoke --max-cost 0.25`
    """
    use_stack(state)
    report = run(_smoke(Decimal(str(max_cost)), deployment, sure=yes, quiet=as_json))
    if as_json:
        print_json(asdict(report))
    else:
        _show(report)
    if not report.page_read:
        raise RetryLater("The host read nothing: `aseagi hosts --all` says how it ended.")


async def _smoke(
    max_cost: Decimal, deployment_name: str, *, sure: bool, quiet: bool
) -> "TrialReport":
    from prefect.client.orchestration import get_client

    from blocks.database import Database
    from blocks.gateway import Gateway
    from blocks.loading import load
    from blocks.object_storage import ObjectStorage
    from blocks.reading import Reading
    from blocks.spending import Spending
    from cli.hosts import account_there, wishes
    from work_pools.vastai.connecting import marketplace
    from work_pools.vastai.trial import Trial
    from work_pools.vastai.worker import check_reachable_from_afar

    account, gateway, storage = (
        await account_there(),
        await load(Gateway),
        await load(ObjectStorage),
    )
    reading, spending = await load(Reading), await load(Spending)
    if not account.is_rehearsal:
        check_reachable_from_afar(gateway, storage)
        if not sure and not typer.confirm(
            f"This rents a host on {account.url} for at most ${max_cost}. Go on?", err=True
        ):
            raise BadInput("Nothing was rented.")
    requirements, image = await wishes(deployment_name)
    async with get_client() as prefect, marketplace(account) as market:
        deployment = await prefect.read_deployment_by_name(deployment_name)
        trial = Trial(
            database=await load(Database),
            storage=storage,
            gateway=gateway,
            account=account,
            market=market,
            prefect=prefect,
            deployment_id=deployment.id,
            engine=reading.engine,
            requirements=requirements,
            image=image,
            max_dollars=max_cost,
            budget_dollars=Decimal(str(spending.monthly_budget_dollars)),
            max_hosts=max(reading.max_hosts, 1),
            tell=(lambda _: None) if quiet else lambda line: console.print(line, markup=False),
        )
        return await trial.run(_page())


def _page() -> bytes:
    """A sample, made a document of its own by a line at its foot."""
    from PIL import Image, ImageDraw

    with Image.open(SAMPLES / "demand-letter.png") as sample:
        page = sample.convert("RGB")
    ImageDraw.Draw(page).text((60, page.height - 60), f"smoke test {uuid4()}", fill="black")
    content = io.BytesIO()
    page.save(content, "PNG")
    return content.getvalue()


def _show(report: "TrialReport") -> None:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("what the documentation leaves open", overflow="fold")
    table.add_column("what was seen", overflow="fold")
    for fact in report.facts:
        table.add_row(fact.question, Text(fact.answer))
    console.print(table)
    steps = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
    console.print(f"after the order: {steps}", markup=False)
    console.print(
        f"instance {report.instance_id} ({report.gpu_name}, ${report.dollars_per_hour:.3f}/h): "
        f"{'one page read' if report.page_read else 'nothing read'}, ${report.dollars:.4f}, "
        f"{'confirmed gone' if report.gone else 'not confirmed gone'}",
        markup=False,
    )
