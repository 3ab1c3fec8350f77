"""What a host must be, said twice: to the marketplace's search, and to ourselves.

The marketplace does not always apply a filter, and its names and units are its own. So
every offer is checked again here, and what an offer does not say counts as not met.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from work_pools.vastai.models import Offer

GPU_MEMORY_MARGIN = 0.9
"""Offers state usable memory: a card sold with 24 GB has between 22.5 and 24.5 thousand MiB."""
SEARCH_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a host must be and may cost."""

    max_dollars_per_hour: Decimal
    """GPU and disk together."""
    max_dollars_per_gb: Decimal
    """Traffic, in either direction."""
    min_hours: float
    """How long it must be rentable from now: the longest session plus a margin."""
    disk_gb: int = 20
    gpu_names: tuple[str, ...] = ()
    """Models allowed, as the marketplace spells them ("RTX 4090"); empty allows all."""
    min_gpu_memory_gb: float = 0
    """As printed on the box; usable memory may be a tenth less."""
    min_compute_capability: float = 0
    """As NVIDIA counts: 8.9."""
    min_cuda: float = 0
    """The CUDA version the image declares; the driver must run it."""
    min_cpu_cores: float = 0
    min_reliability: float = 0.98
    min_down_mbps: float = 100
    min_up_mbps: float = 20
    regions_allowed: frozenset[str] = frozenset()
    """Two-letter country codes; empty allows all that are not denied."""
    regions_denied: frozenset[str] = frozenset()
    verified_only: bool = True


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search, cheapest first, so that a cap on results hides only the dearest."""

    filters: Mapping[str, Mapping[str, Any]]
    disk_gb: float
    limit: int = SEARCH_LIMIT
    cheapest_dollars_per_hour: Decimal | None = field(default=None)
    """Only offers at this price or above: how the next page is asked for."""

    def body(self) -> dict[str, Any]:
        """The request."""
        filters = {name: dict(terms) for name, terms in self.filters.items()}
        if self.cheapest_dollars_per_hour is not None:
            terms = filters.setdefault("dph_total", {})
            terms["gte"] = float(self.cheapest_dollars_per_hour)
        return {
            **filters,
            "order": [["dph_total", "asc"]],
            "type": "on-demand",
            "limit": self.limit,
            "allocated_storage": float(self.disk_gb),
        }


def to_query(requirements: Requirements) -> SearchQuery:
    """The requirements in the marketplace's names and units."""
    r = requirements
    filters: dict[str, dict[str, Any]] = {
        "rentable": {"eq": True},
        "rented": {"eq": False},
        "external": {"eq": False},
        "num_gpus": {"eq": 1},
        "disk_space": {"gte": r.disk_gb},
        "duration": {"gte": r.min_hours * 3600},
        "dph_total": {"lte": float(r.max_dollars_per_hour)},
        "inet_down": {"gte": r.min_down_mbps},
        "inet_up": {"gte": r.min_up_mbps},
        "inet_down_cost": {"lte": float(r.max_dollars_per_gb)},
        "inet_up_cost": {"lte": float(r.max_dollars_per_gb)},
        "reliability": {"gte": r.min_reliability},
        "cuda_max_good": {"gte": r.min_cuda},
    }
    if r.verified_only:
        filters["verified"] = {"eq": True}
    if r.gpu_names:
        filters["gpu_name"] = {"in": [spelled(name) for name in r.gpu_names]}
    if r.min_gpu_memory_gb:
        filters["gpu_ram"] = {"gte": _usable_mib(r.min_gpu_memory_gb)}
    if r.min_compute_capability:
        filters["compute_cap"] = {"gte": round(r.min_compute_capability * 100)}
    if r.min_cpu_cores:
        filters["cpu_cores_effective"] = {"gte": r.min_cpu_cores}
    if r.regions_allowed:
        filters["geolocation"] = {"in": sorted(_codes(r.regions_allowed))}
    elif r.regions_denied:
        filters["geolocation"] = {"notin": sorted(_codes(r.regions_denied))}
    return SearchQuery(filters, disk_gb=r.disk_gb)


def unmet(offer: Offer, requirements: Requirements) -> list[str]:
    """Why an offer will not do, in plain words; empty if it will."""
    return [
        *_identity_unmet(offer),
        *_hardware_unmet(offer, requirements),
        *_network_unmet(offer, requirements),
        *_place_unmet(offer, requirements),
        *_price_unmet(offer, requirements),
    ]


def spelled(gpu_name: str) -> str:
    """A model's name as the marketplace spells it: with spaces where people type underscores."""
    return " ".join(gpu_name.replace("_", " ").split())


def _identity_unmet(offer: Offer) -> Iterator[str]:
    if offer.machine_id is None:
        yield "it does not say which machine it is"
    if offer.rentable is not True:
        yield "it is not rentable"
    if offer.rented is True:
        yield "it is rented"
    # These two are null on ordinary offers, so only a plain yes rules an offer out.
    if offer.external is True:
        yield "it belongs to another marketplace"
    if offer.is_bid is True:
        yield "it is interruptible"


def _hardware_unmet(offer: Offer, r: Requirements) -> Iterator[str]:
    if offer.num_gpus != 1:
        yield "it has not exactly one GPU"
    if offer.cpu_arch is not None and offer.cpu_arch.lower() not in {"amd64", "x86_64"}:
        yield f"the image does not run on {offer.cpu_arch}"
    allowed = {spelled(name).casefold() for name in r.gpu_names}
    if allowed and spelled(offer.gpu_name or "").casefold() not in allowed:
        yield f"the GPU is {offer.gpu_name or 'unnamed'}, which is not on the list"
    yield from _less(
        "GPU memory in MiB", offer.gpu_ram, _usable_mib(r.min_gpu_memory_gb), r.min_gpu_memory_gb
    )
    yield from _less(
        "compute capability times 100",
        offer.compute_cap,
        round(r.min_compute_capability * 100),
        r.min_compute_capability,
    )
    yield from _less("the driver's CUDA version", offer.cuda_max_good, r.min_cuda, r.min_cuda)
    yield from _less("CPU cores", offer.cpu_cores_effective, r.min_cpu_cores, r.min_cpu_cores)
    yield from _less("disk in GB", offer.disk_space, r.disk_gb)


def _network_unmet(offer: Offer, r: Requirements) -> Iterator[str]:
    for name, mbps, least in (
        ("download in Mb/s", offer.inet_down, r.min_down_mbps),
        ("upload in Mb/s", offer.inet_up, r.min_up_mbps),
    ):
        if mbps is not None and mbps <= 0:
            yield f"{name}: none"
        else:
            yield from _less(name, mbps, least)
    for name, dollars in (("download", offer.inet_down_cost), ("upload", offer.inet_up_cost)):
        if dollars is None or dollars < 0:
            yield f"it does not say what {name} costs"
        elif dollars > r.max_dollars_per_gb:
            yield f"{name} at ${dollars:.4f} a GB, at most ${r.max_dollars_per_gb} wanted"


def _place_unmet(offer: Offer, r: Requirements) -> Iterator[str]:
    if r.verified_only and offer.verification != "verified":
        yield f"it is {offer.verification or 'not verified'}"
    yield from _less("reliability", offer.measured_reliability, r.min_reliability)
    yield from _less("hours it may be rented", _hours(offer.duration), r.min_hours)
    country = offer.country
    if country is None and (r.regions_allowed or r.regions_denied):
        yield "it does not say in which country it is"
    elif r.regions_allowed and country not in _codes(r.regions_allowed):
        yield f"{country} is not among the countries allowed"
    elif country in _codes(r.regions_denied):
        yield f"{country} is among the countries denied"


def _price_unmet(offer: Offer, r: Requirements) -> Iterator[str]:
    price = offer.dollars_per_hour(r.disk_gb)
    if price is None or price <= 0 or (offer.storage_cost or 0) < 0 or (offer.dph_base or 0) < 0:
        yield "it does not say what it costs"
    elif price > r.max_dollars_per_hour:
        yield f"${price:.4f} an hour with disk, at most ${r.max_dollars_per_hour} wanted"


def _less(
    name: str, has: float | None, least: float, asked_for: float | None = None
) -> Iterator[str]:
    """One sentence if `has` is less than `least`, or unknown; none if nothing is asked for."""
    if asked_for is not None and asked_for <= 0:
        return
    if has is None:
        yield f"it does not state its {name}"
    elif has < least:
        yield f"{name}: {has:g}, at least {least:g} wanted"


def _usable_mib(gigabytes: float) -> float:
    return gigabytes * 1024 * GPU_MEMORY_MARGIN


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def _codes(regions: frozenset[str]) -> set[str]:
    return {code.strip().upper() for code in regions}
