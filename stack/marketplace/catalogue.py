"""The machines on offer: about eighty, always the same ones, at realistic prices.

Made from a seed, so that a test or a person sees the same market every time. Some are
unverified, some have fields the real API leaves null, one kind is offered by many.
"""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stack.marketplace.meter import disk_dollars_per_hour

DAY_SECONDS = 86_400
MACHINES = 80
SEED = 20_260_131


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    memory_mib: int
    compute_cap: int
    dollars_per_hour: float
    dlperf: float
    teraflops: float
    memory_gb_per_second: float
    watts: int
    weight: int


_MODELS = (
    _Model("RTX 3060", 12_288, 860, 0.055, 12.6, 12.7, 330, 170, 7),
    _Model("RTX 3070", 8_192, 860, 0.06, 14.0, 20.3, 400, 220, 3),
    _Model("RTX 3080", 10_240, 860, 0.09, 21.5, 29.8, 700, 320, 4),
    _Model("RTX 3090", 24_576, 860, 0.16, 27.8, 35.6, 830, 350, 12),
    _Model("RTX 4070 Ti", 12_282, 890, 0.12, 34.0, 40.1, 460, 285, 3),
    _Model("RTX 4080", 16_376, 890, 0.17, 46.0, 48.7, 650, 320, 3),
    _Model("RTX 4090", 24_564, 890, 0.33, 70.1, 82.6, 910, 450, 16),
    _Model("RTX 5090", 32_607, 1200, 0.46, 112.0, 104.8, 1500, 575, 4),
    _Model("RTX A4000", 16_376, 860, 0.09, 19.0, 19.2, 390, 140, 6),
    _Model("RTX A5000", 24_564, 860, 0.17, 26.2, 27.8, 660, 230, 6),
    _Model("L4", 23_034, 890, 0.28, 25.5, 30.3, 270, 72, 4),
    _Model("A100 SXM4", 81_920, 800, 0.83, 79.0, 19.5, 1700, 400, 4),
    _Model("H100 SXM", 81_559, 900, 1.95, 162.0, 66.9, 2800, 700, 3),
    _Model("Tesla T4", 15_360, 750, 0.11, 8.2, 8.1, 260, 70, 4),
)
_PLACES = (
    "Sweden, SE",
    "Norway, NO",
    "Germany, DE",
    "Czechia, CZ",
    "Poland, PL",
    "Texas, US",
    "California, US",
    "Virginia, US",
    "Quebec, CA",
    "France, FR",
    "United Kingdom, GB",
    "South Korea, KR",
    "Vietnam, VN",
    "Taiwan, TW",
)
_DRIVERS = (
    ("535.183.01", 12.2),
    ("550.127.05", 12.4),
    ("570.133.20", 12.8),
    ("570.195.03", 12.8),
    ("575.64.03", 12.9),
    ("580.95.05", 13.0),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine and the one offer on it; `facts` are the fields that never change."""

    ask_id: int
    machine_id: int
    dollars_per_hour: Decimal
    min_bid_dollars: Decimal
    storage_dollars_per_gb_month: Decimal
    down_dollars_per_gb: Decimal
    up_dollars_per_gb: Decimal
    disk_gigabytes: float
    available_seconds: float
    facts: dict[str, Any]


def make_catalogue() -> tuple[Machine, ...]:
    """All machines, the same at every call."""
    # Prices of an invented market: nothing to guess.
    chance = random.Random(SEED)  # noqa: S311
    return tuple(_machine(chance, number) for number in range(MACHINES))


def offer_row(
    machine: Machine, *, now: float, rented: bool, is_bid: bool, allocated_gigabytes: Decimal
) -> dict[str, Any]:
    """An offer as the search answers it, priced with the disk that is asked for."""
    base = machine.min_bid_dollars if is_bid else machine.dollars_per_hour
    disk = disk_dollars_per_hour(allocated_gigabytes, machine.storage_dollars_per_gb_month)
    total = float(base + disk)
    facts = machine.facts
    return {
        **facts,
        "id": machine.ask_id,
        "ask_contract_id": machine.ask_id,
        "is_bid": is_bid,
        "min_bid": float(machine.min_bid_dollars),
        "dph_base": float(base),
        "dph_total": total,
        "dph_total_adj": total,
        "discounted_dph_total": total,
        "storage_cost": float(machine.storage_dollars_per_gb_month),
        "storage_total_cost": float(disk),
        "inet_down_cost": float(machine.down_dollars_per_gb),
        "inet_up_cost": float(machine.up_dollars_per_gb),
        "internet_down_cost_per_tb": float(machine.down_dollars_per_gb * 1000),
        "internet_up_cost_per_tb": float(machine.up_dollars_per_gb * 1000),
        "disk_space": machine.disk_gigabytes,
        "dlperf_per_dphtotal": facts["dlperf"] / total,
        "flops_per_dphtotal": facts["total_flops"] / total,
        "score": round(facts["dlperf"] / total * facts["reliability"] ** 4, 3),
        "vram_costperhour": total / facts["gpu_total_ram"],
        "search": _prices(float(base), float(disk)),
        "instance": _prices(float(base), 0.0),
        "rentable": not rented,
        "rented": rented,
        "duration": machine.available_seconds,
        "end_date": now + machine.available_seconds,
        "start_date": now,
        "time_remaining": "",
    }


def _prices(gpu: float, disk: float) -> dict[str, float]:
    return {
        "gpuCostPerHour": gpu,
        "diskHour": disk,
        "totalHour": gpu + disk,
        "discountTotalHour": 0,
        "discountedTotalPerHour": gpu + disk,
    }


def _machine(chance: random.Random, number: int) -> Machine:
    model = chance.choices(_MODELS, weights=[each.weight for each in _MODELS])[0]
    if number < len(_MODELS):
        # Every model is there at least once.
        model = _MODELS[number]
    gpus = chance.choices((1, 2, 4, 8), weights=(12, 3, 2, 1))[0]
    datacenter = chance.random() < 0.3
    verification = chance.choices(("verified", "unverified", "deverified"), weights=(17, 4, 1))[0]
    reliability = round(min(0.9999, 1 - chance.expovariate(1) * (0.004 if datacenter else 0.02)), 4)
    asked = model.dollars_per_hour * gpus * chance.uniform(0.75, 1.6) * (1.2 if datacenter else 1)
    price = _dollars(asked * (0.7 if verification != "verified" else 1))
    place = chance.choice(_PLACES)
    driver, cuda = chance.choice(_DRIVERS)
    if model.compute_cap >= 1200:
        driver, cuda = _DRIVERS[-1]
    cores = gpus * chance.choice((8, 12, 16, 24, 32))
    down = round(chance.lognormvariate(6.5, 0.8), 1)
    has_ports = chance.random() < 0.85
    facts: dict[str, Any] = {
        "bundle_id": 30_000_000 + number * 17,
        "bundled_results": 1,
        "machine_id": 4_100 + number * 13,
        "host_id": 52_000 + number // 3 * 7,
        "hosting_type": int(datacenter),
        "hostname": None,
        "num_gpus": gpus,
        "gpu_name": model.name,
        "gpu_ram": model.memory_mib,
        "gpu_total_ram": model.memory_mib * gpus,
        "gpu_frac": 1.0 if chance.random() < 0.6 else 0.5,
        "gpu_arch": "nvidia",
        "gpu_lanes": chance.choice((8, 16)),
        "gpu_mem_bw": model.memory_gb_per_second,
        "gpu_max_power": float(model.watts),
        "gpu_max_temp": 90.0,
        "gpu_ids": list(range(number * 8, number * 8 + gpus)),
        "gpu_display_active": chance.random() < 0.1,
        "compute_cap": model.compute_cap,
        "cuda_max_good": cuda,
        "driver_version": driver,
        "driver_vers": int("".join(f"{int(part):03d}" for part in driver.split("."))),
        "bw_nvlink": 0.0,
        "cpu_name": chance.choice(("AMD EPYC 7543", "Xeon® E5-2680 v4", "Ryzen 9 5950X", None)),
        "cpu_cores": cores if chance.random() < 0.95 else None,
        "cpu_cores_effective": cores / chance.choice((1, 2)),
        "cpu_ghz": 3.2,
        "cpu_ram": gpus * chance.choice((32_000, 64_000, 128_000)),
        "cpu_arch": "amd64",
        "has_avx": 1,
        "disk_bw": round(chance.uniform(400, 6_000), 1),
        "disk_name": chance.choice(("nvme", "Samsung SSD 980", None)),
        "inet_down": down,
        "inet_up": round(down * chance.uniform(0.3, 1.0), 1),
        "direct_port_count": chance.choice((4, 16, 100, 250)) if has_ports else 0,
        "static_ip": datacenter,
        "public_ipaddr": f"198.51.100.{number + 1}",
        "pci_gen": chance.choice((3.0, 4.0)),
        "pcie_bw": round(chance.uniform(6, 25), 1),
        "mobo_name": chance.choice(("ROMED8-2T", "X399", None)),
        "os_version": "22.04",
        "dlperf": round(model.dlperf * gpus * chance.uniform(0.9, 1.05), 2),
        "total_flops": round(model.teraflops * gpus, 2),
        "credit_discount_max": 0.0,
        "external": None if chance.random() < 0.05 else False,
        "geolocation": place,
        "geolocode": sum(map(ord, place)),
        "reliability": reliability,
        "reliability2": reliability,
        "reliability_mult": reliability,
        "expected_reliability": reliability,
        "verification": verification,
        "vericode": int(verification == "verified"),
        "vms_enabled": False,
        "is_vm_deverified": False,
        "resource_type": "gpu",
        "cluster_id": None,
        "platform_fee": 0.0,
    }
    return Machine(
        ask_id=20_000_000 + number * 1_009,
        machine_id=facts["machine_id"],
        dollars_per_hour=price,
        min_bid_dollars=max(_dollars(float(price) * 0.55), Decimal("0.001")),
        storage_dollars_per_gb_month=_dollars(chance.choice((0.1, 0.12, 0.15, 0.2, 0.3))),
        down_dollars_per_gb=_dollars(chance.choice((0, 0.001, 0.002, 0.005, 0.01, 0.02))),
        up_dollars_per_gb=_dollars(chance.choice((0, 0.002, 0.005, 0.01, 0.02))),
        disk_gigabytes=round(chance.uniform(30, 1_500), 1),
        available_seconds=round(chance.choice((0.3, 1, 3, 10, 30, 90)) * DAY_SECONDS, 1),
        facts=facts,
    )


def _dollars(amount: float) -> Decimal:
    return Decimal(f"{amount:.4f}")
