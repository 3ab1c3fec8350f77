"""One host, rented, used and destroyed, to see what a marketplace really does.

    a page is put in (lane `nightly`: no dispatcher starts a session for it)
    an `ocr` run is made, Pending: no worker takes it
    intent, order, boot, session, close, destroy: the same code as the worker's
    at the end, whatever happened: session closed, host gone from a listing, page deleted

The host may cost `max_dollars`; that much is reserved beforehand and the fleet ends it
there. What could only be seen by spending more, or by doing harm, is not tried and said so.
If this process dies, the worker and the housekeeping end the host.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Pending
from pydantic import TypeAdapter, ValidationError

from blocks.database import Database
from blocks.gateway import Gateway
from blocks.object_storage import ObjectStorage
from blocks.vast_account import VastAccount
from schema.failures import RetryLater
from schema.lanes import Lane
from sql.charges import charges_of_host
from sql.documents import NewDocument, delete_document, insert_document, page_states
from sql.hosts import find_host, open_hosts
from sql.sessions import NotBegun, close_session
from work_pools.host_environment import HostOrder, HostTerms, host_environment
from work_pools.vastai.client import Created, CreateOrder, Marketplace, Refused
from work_pools.vastai.errors import MarketplaceError
from work_pools.vastai.fleet import Fleet
from work_pools.vastai.ledger import settle_charges
from work_pools.vastai.ordering import Image, NotRented, Orders, Rented
from work_pools.vastai.requirements import SEARCH_LIMIT, Requirements

LONGEST = timedelta(minutes=25)
"""Of the host: pull, boot, one page, idling."""
IDLE_SECONDS = 1
GONE_SECONDS = 180.0
LISTED_SECONDS = 300.0
LOOK_SECONDS = 2.0

_OBJECT = TypeAdapter(dict[str, Any])

NOT_PROVOKED = (
    ("Which HTTP status says that the credit is gone?", "it would need an empty account"),
    ("Does a destroy of an offline host stop the bill?", "no host can be taken offline from here"),
    ("Is Retry-After sent with a 429?", "it would need too many requests"),
    ("Can a destroy be scheduled at the marketplace?", "nothing here relies on it"),
)


@dataclass(frozen=True, slots=True)
class Fact:
    """What the marketplace's documentation leaves open, and what was seen."""

    question: str
    answer: str


@dataclass(slots=True)
class TrialReport:
    """What happened to the one host."""

    instance_id: int | None = None
    gpu_name: str | None = None
    dollars_per_hour: Decimal = Decimal(0)
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    """From the order until listed, running, read, closed, gone."""
    page_read: bool = False
    gone: bool = False
    """A listing made after the destroy does not show it."""
    dollars: Decimal = Decimal(0)
    """As billed, or by our own reckoning until there is a bill."""
    facts: list[Fact] = field(default_factory=list[Fact])


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial needs."""

    database: Database
    storage: ObjectStorage
    gateway: Gateway
    account: VastAccount
    market: Marketplace
    prefect: PrefectClient
    deployment_id: UUID
    engine: str
    requirements: Requirements
    image: Image
    max_dollars: Decimal
    budget_dollars: Decimal
    max_hosts: int
    tell: Callable[[str], None]

    async def run(self, sample: bytes) -> TrialReport:
        """Rent, read `sample` (an image of one page), destroy.

        Raises `RetryLater` when no host could be rented, or when it is not confirmed gone.
        """
        report = TrialReport()
        async with self._page(sample) as document, self._flow_run() as run:
            order = await self._intend(run)
            try:
                await self._use(order, document, report)
            finally:
                await self._end(order, report)
        await self._settle(order, report)
        return report

    @asynccontextmanager
    async def _page(self, sample: bytes) -> AsyncGenerator[UUID]:
        """The sample as a document that waits; deleted afterwards."""
        digest = hashlib.sha256(sample).hexdigest()
        folder = f"processed/{digest}/"
        client = self.storage.client()
        await asyncio.to_thread(
            client.put_object, Bucket=self.storage.bucket, Key=f"{folder}original", Body=sample
        )
        new = NewDocument(
            file_hash=digest,
            file_name="smoke test.png",
            media_type="image/png",
            size_bytes=len(sample),
            s3_raw_path="raw/smoke test.png",
            s3_processed_path=f"{folder}original",
            matter=None,
            lane=Lane.NIGHTLY,
            pages=[None],
        )
        async with self.database.connect() as db:
            document, _ = await insert_document(db, new)
        try:
            yield document
        finally:
            async with self.database.connect() as db:
                await delete_document(db, document)
            await asyncio.to_thread(self._delete_folder, folder)

    def _delete_folder(self, folder: str) -> None:
        client = self.storage.client()
        listing = client.list_objects_v2(Bucket=self.storage.bucket, Prefix=folder)
        for found in listing.get("Contents", []):
            client.delete_object(Bucket=self.storage.bucket, Key=found.get("Key", folder))

    @asynccontextmanager
    async def _flow_run(self) -> AsyncGenerator[FlowRun]:
        """A run that no worker takes; ended afterwards if its host did not end it."""
        run = await self.prefect.create_flow_run_from_deployment(
            self.deployment_id,
            parameters={"engine": self.engine, "idle_seconds": IDLE_SECONDS},
            state=Pending(message="Made by the smoke test."),
            tags=["smoke"],
        )
        try:
            yield run
        finally:
            state = (await self.prefect.read_flow_run(run.id)).state
            if state is None or not state.is_final():
                ended = Cancelled(message="The smoke test is over.")
                await self.prefect.set_flow_run_state(run.id, ended, force=True)

    async def _intend(self, run: FlowRun) -> HostOrder:
        async with self.database.connect() as db:
            order = await host_environment(
                db,
                flow_run_id=run.id,
                run_count=run.run_count,
                session_id=None,
                gateway=self.gateway,
                terms=HostTerms(
                    provider="vastai",
                    lifetime=LONGEST,
                    dollars_per_hour=self.requirements.max_dollars_per_hour,
                    budget_dollars=self.budget_dollars,
                    max_hosts=self.max_hosts,
                    max_dollars=self.max_dollars,
                    marketplace_url=self.account.url,
                    rehearsal=self.account.is_rehearsal,
                ),
            )
        if isinstance(order, NotBegun):
            raise RetryLater(f"Nothing was rented: {order.reason}.")
        await self.prefect.update_flow_run(run.id, infrastructure_pid=order.begun.label)
        return order

    async def _use(self, order: HostOrder, document: UUID, report: TrialReport) -> None:
        await self._count_offers(report)
        self.tell("ordering")
        outcome = await Orders(self.database, self.market).rent(
            order.begun.host_id,
            environment=order.environment,
            requirements=self.requirements,
            image=self.image,
        )
        if isinstance(outcome, NotRented):
            raise RetryLater(f"Nothing was rented: {outcome.reason}.")
        started = time.monotonic()
        if isinstance(outcome, Rented):
            self.tell(f"rented instance {outcome.instance_id}: {outcome.offer.reason}")
            await self._until_listed(order.begun.label, started, report)
            await self._order_again(outcome.offer.offer.id, order.begun.label, report)
        await self._until_ended(order.begun.host_id, document, started, report)

    async def _count_offers(self, report: TrialReport) -> None:
        body = {"limit": SEARCH_LIMIT, "order": [["dph_total", "asc"]], "type": "on-demand"}
        answer = await self._ask("POST", "/api/v0/bundles/", body)
        offers: list[object] = _body(answer).get("offers") or []
        said = f"{len(offers)} offers for a limit of {SEARCH_LIMIT}"
        report.facts.append(Fact("How many offers does one search answer with?", said))

    async def _until_listed(self, label: str, started: float, report: TrialReport) -> None:
        while time.monotonic() - started < LISTED_SECONDS:
            if await self.market.find_by_label(label):
                report.seconds["listed"] = time.monotonic() - started
                break
            await self._pause()
        said = f"{report.seconds['listed']:.1f} s" if "listed" in report.seconds else "not at all"
        report.facts.append(Fact("How long until a new instance is listed?", said))

    async def _order_again(self, offer_id: int, label: str, report: TrialReport) -> None:
        """Order the offer that is rented; a second instance is ended by the fleet as a stray."""
        again = CreateOrder(
            image=self.image.name,
            disk_gb=self.requirements.disk_gb,
            label=f"{label}-again",
            environment={},
        )
        match await self.market.create(offer_id, again):
            case Created(instance_id=second):
                said = f"yes: instance {second}, destroyed at once"
            case Refused() as refused:
                said = f"no: {refused.message}"
            case ambiguous:
                said = f"not clear: {ambiguous.reason}"
        report.facts.append(Fact("Does one offer take two orders?", said))

    async def _until_ended(
        self, host_id: UUID, document: UUID, started: float, report: TrialReport
    ) -> None:
        """Look after the host until its session closed, telling what changes."""
        fleet = self._fleet()
        told = ""
        while time.monotonic() - started < LONGEST.total_seconds():
            try:
                await fleet.look_after()
            except MarketplaceError as error:
                self.tell(f"cannot see the marketplace: {error}")
            async with self.database.connect() as db:
                host = await find_host(db, host_id)
                states = await page_states(db, document)
            if host is None:
                return
            now = time.monotonic() - started
            report.instance_id, report.gpu_name = host.instance_id, host.gpu_name
            report.dollars_per_hour = host.dollars_per_hour
            if states == ["done"] and not report.page_read:
                report.page_read = True
                report.seconds["page read"] = now
                self.tell(f"{now:6.1f} s  the page is read")
            if host.state != told:
                told = host.state
                report.seconds.setdefault(told, now)
                self.tell(f"{now:6.1f} s  {told} {host.status or ''}".rstrip())
            if host.state in {"ending", "ended"}:
                return
            await self._pause()

    async def _end(self, order: HostOrder, report: TrialReport) -> None:
        """Whatever happened: nothing stays rented. Raises `RetryLater` if that is not sure."""
        begun = order.begun
        async with self.database.connect() as db:
            await close_session(db, begun.session_id, reason="the smoke test is over")
        deadline = time.monotonic() + GONE_SECONDS
        fleet = self._fleet()
        while time.monotonic() < deadline:
            try:
                await fleet.look_after()
                listed = await self.market.list_instances()
            except MarketplaceError as error:
                self.tell(f"cannot see the marketplace: {error}")
                await self._pause()
                continue
            async with self.database.connect() as db:
                left = [one for one in await open_hosts(db) if one.label.startswith(begun.label)]
            if not left and not any((one.label or "").startswith(begun.label) for one in listed):
                report.gone = True
                self.tell("gone: a listing does not show it any more")
                break
            await self._pause()
        if not report.gone:
            raise RetryLater(
                f"The host {begun.label} is not confirmed gone. The worker and the housekeeping "
                "go on trying; look at the account if `aseagi hosts` still shows it."
            )
        await self._after_the_end(begun.host_id, report)

    async def _after_the_end(self, host_id: UUID, report: TrialReport) -> None:
        async with self.database.connect() as db:
            host = await find_host(db, host_id)
        if host is None or host.instance_id is None:
            return
        by_itself = host.destroys == 0
        said = (
            "yes: it was gone before the house asked" if by_itself else "not seen: we were faster"
        )
        report.facts.append(Fact("Can a container destroy its own instance?", said))
        answer = await self._ask("DELETE", f"/api/v0/instances/{host.instance_id}/", {})
        error = _body(answer).get("error") or _body(answer).get("msg") or "no words"
        retry_after = answer.headers.get("retry-after", "none")
        said = f"HTTP {answer.status_code}, {error!s:.80}; Retry-After: {retry_after}"
        report.facts.append(Fact("What answers a destroy of what is gone?", said))

    async def _settle(self, order: HostOrder, report: TrialReport) -> None:
        try:
            await settle_charges(self.database, self.market)
        except MarketplaceError as error:
            self.tell(f"the bill cannot be read yet: {error}")
        async with self.database.connect() as db:
            parts = await charges_of_host(db, order.begun.host_id)
        report.dollars = sum(parts.values(), Decimal(0))
        traffic = parts.get("bandwidth")
        said = (
            f"${traffic:.4f} of traffic is billed so far; the image has {self.image.gigabytes} GB"
            if traffic is not None
            else "no bill yet: `aseagi costs` shows traffic once there is one"
        )
        report.facts.append(Fact("Is the pull of the image billed as traffic?", said))
        report.facts += [Fact(question, f"not tried: {why}") for question, why in NOT_PROVOKED]

    def _fleet(self) -> Fleet:
        return Fleet(self.database, self.market, rehearsal=self.account.is_rehearsal)

    async def _ask(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        """One raw request, for what our client hides: statuses, words, headers."""
        key = self.account.api_key.get_secret_value()
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(headers=headers, timeout=60) as http:
            try:
                return await http.request(
                    method, f"{self.account.url.rstrip('/')}{path}", json=body
                )
            except httpx.HTTPError as error:
                return httpx.Response(599, text=f"no answer ({type(error).__name__})")

    async def _pause(self) -> None:
        await asyncio.sleep(LOOK_SECONDS / (4 if self.account.is_rehearsal else 1))


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        return _OBJECT.validate_json(answer.content)
    except ValidationError:
        return {"error": answer.text[:80]}
