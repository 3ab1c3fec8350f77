"""Renting one host: from an intent in the ledger to an instance, or a reason why not.

    hold the account's turn      one order at a time, whoever asks, on whichever machine
    nothing unsettled?           an order without an answer may have rented: wait for it
    credit enough?               for the worst that this host may cost
    search, rank, check again    (`ranking`)
    for the best few offers:
        ledger: ordered          committed; refused if the host is not wanted any more
        send the order           exactly once
        rented                   -> ledger: booting
        refused                  -> ledger: intended again; next offer if that can help
        no clear answer          -> stays `ordered`: the fleet finds it by its label

If this process dies, an order not yet sent has rented nothing, and one that was sent is
found by its label, by any other process, within minutes (`fleet`).
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from blocks.database import Database
from sql.controls import pause
from sql.drains import hold, release
from sql.hosts import (
    avoided_machines,
    count_waiting_work,
    end_host,
    find_host,
    host_rented,
    measured_speeds,
    open_hosts,
    order_host,
    order_refused,
)
from sql.sessions import close_session
from work_pools.vastai.client import Marketplace
from work_pools.vastai.errors import BadKey, CreditGone, MarketplaceError
from work_pools.vastai.ranking import RankedOffer, Ranking, WorkAhead, rank
from work_pools.vastai.renting import Ambiguous, Created, CreateOrder, RefusalKind, Refused
from work_pools.vastai.requirements import Requirements, to_query
from work_pools.vastai.speeds import PagesPerSecond
from work_pools.vastai.verdicts import Patience

TURN = "rent a host"
"""Name of the row that lets one order at a time through."""

TURN_TTL = timedelta(minutes=4)
"""Longer than one search and one order may take; a killed orderer blocks no longer."""

MAX_OFFERS = 5
WAIT_SECONDS = 120.0
LOOK_SECONDS = 1.0
SPEEDS_SINCE = timedelta(days=60)
BYTES_UP_PER_PAGE = 60_000
"""A page's text and word boxes, gzipped."""

log = logging.getLogger("aseagi.ordering")


@dataclass(frozen=True, slots=True)
class Rented:
    """The host is there, and boots."""

    instance_id: int
    offer: RankedOffer


@dataclass(frozen=True, slots=True)
class Unsure:
    """An order was sent and not answered: the fleet will find out, and nothing is ordered until."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotRented:
    """Nothing is rented, and why; the host's row is ended and its session closed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Image:
    """What a host runs, and what that means for choosing one."""

    name: str
    gigabytes: float
    startup_seconds: float


class Orders:
    """Rents hosts at one marketplace."""

    def __init__(
        self,
        database: Database,
        marketplace: Marketplace,
        *,
        patience: Patience | None = None,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._database = database
        self._marketplace = marketplace
        self._patience = patience or Patience()
        self._wait_seconds = wait_seconds

    async def offers(self, requirements: Requirements, image: Image) -> Ranking:
        """What would be rented now, best first, and what would not, with the reasons."""
        async with self._database.connect() as db:
            pages, page_bytes = await count_waiting_work(db)
            avoided = await avoided_machines(db, within=self._patience.avoid_machine)
            measured = await measured_speeds(db, since=SPEEDS_SINCE)
        work = WorkAhead(
            pages=max(pages, 1),
            bytes_per_page_down=page_bytes // max(pages, 1),
            bytes_per_page_up=BYTES_UP_PER_PAGE,
            image_gb=image.gigabytes,
            startup_seconds=image.startup_seconds,
        )
        speeds = {
            one.gpu_name: PagesPerSecond(one.pages / one.billed_seconds, one.pages)
            for one in measured
            if one.billed_seconds > 0
        }
        found = await self._marketplace.search(to_query(requirements))
        return rank(found, requirements, work, speeds, avoided)

    async def rent(
        self,
        host_id: UUID,
        *,
        environment: dict[str, str],
        requirements: Requirements,
        image: Image,
    ) -> Rented | Unsure | NotRented:
        """Rent a host for the intent `host_id`. Raises nothing of the marketplace's."""
        holder = uuid4()
        try:
            if not await self._take_turn(holder):
                return await self._give_up(host_id, "another host is being ordered")
            return await self._order(holder, host_id, environment, requirements, image)
        except (CreditGone, BadKey) as error:
            async with self._database.connect() as db:
                await pause(db, reason=str(error))
            return await self._give_up(host_id, str(error))
        except MarketplaceError as error:
            return await self._give_up(host_id, str(error))
        finally:
            async with self._database.connect() as db:
                await release(db, TURN, holder=holder)

    async def _take_turn(self, holder: UUID) -> bool:
        """Wait until no other order is under way or unsettled; False when that takes too long."""
        deadline = time.monotonic() + self._wait_seconds
        while time.monotonic() < deadline:
            async with self._database.connect() as db:
                if await hold(db, TURN, holder=holder, ttl=TURN_TTL):
                    hosts = await open_hosts(db)
                    if not any(h.ordered_at and h.instance_id is None for h in hosts):
                        return True
            await asyncio.sleep(LOOK_SECONDS)
        return False

    async def _order(
        self,
        holder: UUID,
        host_id: UUID,
        environment: dict[str, str],
        requirements: Requirements,
        image: Image,
    ) -> Rented | Unsure | NotRented:
        async with self._database.connect() as db:
            host = await find_host(db, host_id)
        if host is None:
            return NotRented("there is no such host")
        credit = await self._marketplace.credit()
        if credit < host.reserved_dollars:
            raise CreditGone(
                f"The marketplace account has ${credit:.2f} left, and one host may cost "
                f"${host.reserved_dollars:.2f}. Add credit, then run `aseagi resume`."
            )
        ranking = await self.offers(requirements, image)
        for ranked in ranking.best_first[:MAX_OFFERS]:
            order = CreateOrder(
                image=image.name,
                disk_gb=requirements.disk_gb,
                label=host.label,
                environment=environment,
            )
            result = await self._try(holder, host_id, ranked, order)
            if result is not None:
                return result
        return await self._give_up(host_id, _no_offer(ranking))

    async def _try(
        self, holder: UUID, host_id: UUID, ranked: RankedOffer, order: CreateOrder
    ) -> Rented | Unsure | NotRented | None:
        """Order one offer; None when it is gone and the next may be tried."""
        offer = ranked.offer
        async with self._database.connect() as db:
            has_turn = await hold(db, TURN, holder=holder, ttl=TURN_TTL)
            wanted = has_turn and await order_host(
                db,
                host_id,
                offer_id=offer.id,
                machine_id=offer.machine_id,
                gpu_name=offer.gpu_name,
                dollars_per_hour=offer.dollars_per_hour(order.disk_gb) or Decimal(0),
                disk_dollars_per_hour=offer.disk_dollars_per_hour(order.disk_gb) or Decimal(0),
            )
        if not wanted:
            return await self._give_up(host_id, "the host is not wanted any more")
        outcome = await self._marketplace.create(offer.id, order)
        match outcome:
            case Created(instance_id=instance_id):
                async with self._database.connect() as db:
                    await host_rented(db, host_id, instance_id=instance_id)
                log.info("rented instance %s: %s", instance_id, ranked.reason)
                return Rented(instance_id, ranked)
            case Ambiguous(reason=reason):
                log.warning("the order %s was not answered: %s", order.label, reason)
                return Unsure(f"the order was not answered ({reason})")
            case Refused(leftover_instance_id=int(leftover)):
                async with self._database.connect() as db:
                    await host_rented(db, host_id, instance_id=leftover)
                return await self._give_up(host_id, f"refused, with a leftover: {outcome.message}")
            case Refused(kind=RefusalKind.OFFER_GONE | RefusalKind.BID_TOO_LOW):
                async with self._database.connect() as db:
                    await order_refused(db, host_id)
                return None
            case Refused():
                async with self._database.connect() as db:
                    await order_refused(db, host_id)
                raise outcome.error()

    async def _give_up(self, host_id: UUID, reason: str) -> NotRented:
        # In one transaction: a worker that dies here leaves no session that has no host.
        async with self._database.connect() as db:
            host = await find_host(db, host_id)
            if host is not None and host.session_id is not None and host.state != "ended":
                await close_session(db, host.session_id, reason=reason)
            await end_host(db, host_id, reason=reason)
        return NotRented(reason)


def _no_offer(ranking: Ranking) -> str:
    if ranking.best_first:
        return f"the best {MAX_OFFERS} offers were taken before they could be rented"
    if not ranking.rejected:
        return "the marketplace has no offer that meets the pool's requirements"
    offer, why = ranking.rejected[0]
    return f"none of {len(ranking.rejected)} offers will do; {offer.gpu_name or 'the first'}: {why}"
