"""How fast a GPU model reads pages: as measured here, and before that as published.

The published figure is one: docTR (fast_base + crnn_vgg16_bn, half precision) read 17
pages a second on an RTX 4080 in the benchmarks of the OnnxTR project. For other models
it is scaled by what limits them, arithmetic or memory:

    pages/s = 17 x min(TFLOPS / 97.5, GB/s / 717), at most 33

with the vendors' dense FP16 tensor throughput (FP32 accumulation; FP32 throughput where
there are no tensor cores) and memory bandwidth; 97.5 and 717 are the RTX 4080's. Above
33 pages/s preparing pages on the CPU is the limit. This is a prior, right to a factor of
two perhaps: it decides which model is tried first, and measurements take over quickly.
Nothing a host says about itself goes into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from work_pools.vastai.requirements import spelled

PUBLISHED_PAGES_PER_SECOND = 17.0
PUBLISHED_TFLOPS = 97.5
PUBLISHED_GB_PER_SECOND = 717.0
MOST_PAGES_PER_SECOND = 33.0
UNKNOWN_PAGES_PER_SECOND = 3.0
"""For a model that is not in the table: slow, so that it is tried only if it is very cheap."""

PRIOR_WEIGHT_PAGES = 200
"""The published figure counts as much as this many pages read by us."""

Source = Literal["measured", "published"]

_TFLOPS_AND_GB_PER_SECOND: dict[str, tuple[float, float]] = {
    "GTX 1080 Ti": (11.3, 484),
    "RTX 2080 Ti": (53.8, 616),
    "RTX 3060": (25.6, 360),
    "RTX 3060 Ti": (32.4, 448),
    "RTX 3070": (40.6, 448),
    "RTX 3070 Ti": (43.5, 608),
    "RTX 3080": (59.5, 760),
    "RTX 3080 Ti": (68.2, 912),
    "RTX 3090": (71.2, 936),
    "RTX 3090 Ti": (80.0, 1008),
    "RTX 4060": (30.2, 272),
    "RTX 4060 Ti": (44.1, 288),
    "RTX 4070": (58.3, 504),
    "RTX 4070S": (70.9, 504),
    "RTX 4070 Ti": (80.2, 504),
    "RTX 4070S Ti": (88.2, 672),
    "RTX 4080": (97.5, 717),
    "RTX 4080S": (104.4, 736),
    "RTX 4090": (165.2, 1008),
    "RTX 5060 Ti": (47.4, 448),
    "RTX 5070": (61.7, 672),
    "RTX 5070 Ti": (87.9, 896),
    "RTX 5080": (112.6, 960),
    "RTX 5090": (209.5, 1792),
    "RTX A2000": (31.9, 288),
    "RTX A4000": (76.7, 448),
    "RTX A5000": (111.1, 768),
    "RTX A6000": (154.8, 768),
    "RTX 4000Ada": (106.9, 360),
    "RTX 5000Ada": (261.1, 576),
    "RTX 6000Ada": (364.2, 960),
    "Tesla P100": (9.3, 732),
    "Tesla V100": (112.0, 900),
    "Tesla T4": (65.0, 320),
    "A10": (125.0, 600),
    "A40": (149.7, 696),
    "A100 PCIE": (312.0, 1555),
    "A100 SXM4": (312.0, 1555),
    "L4": (121.0, 300),
    "L40": (181.0, 864),
    "L40S": (362.0, 864),
    "H100 PCIE": (756.0, 2000),
    "H100 SXM": (989.0, 3350),
    "H100 NVL": (835.0, 3900),
    "H200": (989.0, 4800),
}


def _key(gpu_name: str) -> str:
    return spelled(gpu_name).casefold().replace(" ", "")


def _scaled(tflops: float, gb_per_second: float) -> float:
    ratio = min(tflops / PUBLISHED_TFLOPS, gb_per_second / PUBLISHED_GB_PER_SECOND)
    return min(PUBLISHED_PAGES_PER_SECOND * ratio, MOST_PAGES_PER_SECOND)


PRIORS: dict[str, float] = {
    _key(name): _scaled(*figures) for name, figures in _TFLOPS_AND_GB_PER_SECOND.items()
}


@dataclass(frozen=True, slots=True)
class PagesPerSecond:
    """A speed the gateway measured: accepted pages per billed second, and how many pages."""

    pages_per_second: float
    pages: int


@dataclass(frozen=True, slots=True)
class ExpectedSpeed:
    """The speed to reckon with, and what it mostly rests on."""

    pages_per_second: float
    source: Source
    is_known: bool
    """Whether there is any figure for the model, measured or published."""


def expected_speed(gpu_name: str | None, speeds: Mapping[str, PagesPerSecond]) -> ExpectedSpeed:
    """The published speed, corrected by what was measured as far as that can be trusted.

    Seconds per page are averaged, weighted by the pages they rest on. A measurement of
    no pages, or of no speed, counts for nothing.
    """
    key = _key(gpu_name or "")
    published = PRIORS.get(key)
    prior = published or UNKNOWN_PAGES_PER_SECOND
    measured = [m for name, m in speeds.items() if _key(name) == key and _counts(m)]
    pages = sum(m.pages for m in measured)
    if pages == 0:
        return ExpectedSpeed(prior, "published", is_known=published is not None)
    seconds = PRIOR_WEIGHT_PAGES / prior + sum(m.pages / m.pages_per_second for m in measured)
    return ExpectedSpeed(
        (PRIOR_WEIGHT_PAGES + pages) / seconds,
        "measured" if pages >= PRIOR_WEIGHT_PAGES else "published",
        is_known=True,
    )


def _counts(speed: PagesPerSecond) -> bool:
    return speed.pages > 0 and 1e-6 < speed.pages_per_second < 1e6
