"""Which offer to rent: the one that is expected to cost least per page.

Not per hour: a card at twice the price that reads three times as fast is cheaper, and
for little work the image's way to the host costs more than the reading. So the whole
job is priced on each offer:

    pull      image over the host's download speed      disk is billed, the GPU is not
    start     from container to first page              GPU and disk
    read      pages over the expected speed, or the     GPU and disk
              line's speed if that is less
    traffic   image and pages at the host's $/GB        (that the image counts is assumed)

Pure: the same offers give the same order, whatever order they come in.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from work_pools.vastai.models import Offer
from work_pools.vastai.requirements import Requirements, unmet
from work_pools.vastai.speeds import ExpectedSpeed, PagesPerSecond, Source, expected_speed

__all__ = ["PagesPerSecond", "RankedOffer", "Ranking", "WorkAhead", "rank"]

MEGABITS_PER_GB = 8000
BYTES_PER_GB = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAhead:
    """The work a host would be rented for."""

    pages: int
    bytes_per_page_down: int
    bytes_per_page_up: int
    image_gb: float
    """As it is pulled, compressed."""
    startup_seconds: float
    """From the container's start to the first page read."""

    def __post_init__(self) -> None:
        if self.pages < 1:
            raise ValueError("there is no price per page without pages")
        sizes = (self.bytes_per_page_down, self.bytes_per_page_up)
        if min(*sizes, self.image_gb, self.startup_seconds) < 0:
            raise ValueError("work has no negative size")


@dataclass(frozen=True, slots=True)
class RankedOffer:
    """An offer with what the whole job is expected to cost and take on it."""

    offer: Offer
    dollars_per_page: Decimal
    dollars_total: Decimal
    seconds: float
    """From the order to the last page."""
    pages_per_second: float
    source: Source
    reason: str
    """One line for a person."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Offers to take, best first, and the others with why not."""

    best_first: list[RankedOffer]
    rejected: list[tuple[Offer, str]]


def rank(
    offers: Iterable[Offer],
    requirements: Requirements,
    job: WorkAhead,
    speeds: Mapping[str, PagesPerSecond],
    avoided_machines: Container[int] = frozenset(),
) -> Ranking:
    """Order the offers that meet the requirements by expected dollars per page.

    `speeds` is what was measured, by GPU model. Equal costs are decided by time, then by
    machine and offer number.
    """
    ranked: list[RankedOffer] = []
    rejected: list[tuple[Offer, str]] = []
    for offer in {offer.id: offer for offer in offers}.values():
        problems = unmet(offer, requirements)
        if offer.machine_id is not None and offer.machine_id in avoided_machines:
            problems.append("its machine failed lately and is avoided")
        if problems:
            rejected.append((offer, "; ".join(problems)))
        else:
            speed = expected_speed(offer.gpu_name, speeds)
            ranked.append(_priced(offer, requirements.disk_gb, job, speed))
    ranked.sort(key=lambda r: (r.dollars_per_page, r.seconds, r.offer.machine_id or 0, r.offer.id))
    rejected.sort(key=lambda pair: pair[0].id)
    return Ranking(ranked, rejected)


def _priced(offer: Offer, disk_gb: int, job: WorkAhead, speed: ExpectedSpeed) -> RankedOffer:
    """The job's price on an offer whose prices and speeds are known (`unmet` saw to that)."""
    down_mbps, up_mbps = _exact(offer.inet_down), _exact(offer.inet_up)
    pages_down_gb = Decimal(job.pages * job.bytes_per_page_down) / BYTES_PER_GB
    pages_up_gb = Decimal(job.pages * job.bytes_per_page_up) / BYTES_PER_GB
    image_gb = _exact(job.image_gb)

    pull = image_gb * MEGABITS_PER_GB / down_mbps
    # Pages are fetched and reported while others are read, so the slowest of the three counts.
    read = max(
        job.pages / _exact(speed.pages_per_second),
        pages_down_gb * MEGABITS_PER_GB / down_mbps,
        pages_up_gb * MEGABITS_PER_GB / up_mbps,
    )
    running = _exact(job.startup_seconds) + read

    per_hour = offer.dollars_per_hour(disk_gb) or Decimal(0)
    disk_per_hour = offer.disk_dollars_per_hour(disk_gb) or Decimal(0)
    dollars = (
        per_hour * running / 3600
        + disk_per_hour * pull / 3600
        + (image_gb + pages_down_gb) * (offer.inet_down_cost or 0)
        + pages_up_gb * (offer.inet_up_cost or 0)
    )
    per_page = dollars / job.pages
    where = f" in {offer.country}" if offer.country else ""
    basis = speed.source if speed.is_known else "no figure is published"
    return RankedOffer(
        offer=offer,
        dollars_per_page=per_page,
        dollars_total=dollars,
        seconds=float(pull + running),
        pages_per_second=speed.pages_per_second,
        source=speed.source,
        reason=(
            f"{offer.gpu_name or 'GPU'}{where}: ${per_page * 1000:.4f} per 1,000 pages "
            f"at ${per_hour:.3f}/h, {speed.pages_per_second:.1f} pages/s ({basis}), "
            f"image in {pull:.0f} s"
        ),
    )


def _exact(number: float | None) -> Decimal:
    return Decimal(str(number or 0))
