"""The meter: what an instance has cost, as a pure function of what happened to it.

Charges, credit and the rehearsal's own report are all computed here, so they cannot
disagree. How amounts are rounded: each of the four amounts of an instance (gpu, disk,
bwd for bytes in, bwu for bytes out) is added up exactly and rounded once, half up, to
a millionth of a dollar; the instance's total is the sum of those four rounded amounts,
and the account's total the sum over instances. (The real charges API rounds to a
thousandth.) A month has 720 hours, a gigabyte 10^9 bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

HOURS_PER_MONTH = 720
BYTES_PER_GB = 10**9

_MICRODOLLAR = Decimal("0.000001")
_US_PER_HOUR = 3_600 * 10**6
# Sums of rate times microseconds stay exact: far more digits than they can have.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Rates:
    """What one instance is charged, besides the GPU, whose price may change."""

    disk_dollars_per_hour: Decimal
    down_dollars_per_gb: Decimal
    up_dollars_per_gb: Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which nothing changed; the GPU rate is 0 where it is not billed."""

    microseconds: int
    gpu_dollars_per_hour: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """What an instance has cost up to some moment."""

    gpu_dollars: Decimal
    disk_dollars: Decimal
    down_dollars: Decimal
    up_dollars: Decimal
    gpu_microseconds: int
    disk_microseconds: int

    @property
    def total_dollars(self) -> Decimal:
        """The sum of the four."""
        return self.gpu_dollars + self.disk_dollars + self.down_dollars + self.up_dollars


def bill(spans: Iterable[Span], *, rates: Rates, bytes_down: int, bytes_up: int) -> Bill:
    """Bill `spans`, during all of which the disk existed, and the bytes moved."""
    gpu_us = disk_us = 0
    gpu_dollar_us = Decimal(0)
    for span in spans:
        disk_us += span.microseconds
        if span.gpu_dollars_per_hour:
            gpu_us += span.microseconds
            charged = _EXACT.multiply(span.gpu_dollars_per_hour, Decimal(span.microseconds))
            gpu_dollar_us = _EXACT.add(gpu_dollar_us, charged)
    return Bill(
        gpu_dollars=_rounded(gpu_dollar_us, _US_PER_HOUR),
        disk_dollars=_rounded(
            _EXACT.multiply(rates.disk_dollars_per_hour, Decimal(disk_us)), _US_PER_HOUR
        ),
        down_dollars=_rounded(
            _EXACT.multiply(rates.down_dollars_per_gb, Decimal(bytes_down)), BYTES_PER_GB
        ),
        up_dollars=_rounded(
            _EXACT.multiply(rates.up_dollars_per_gb, Decimal(bytes_up)), BYTES_PER_GB
        ),
        gpu_microseconds=gpu_us,
        disk_microseconds=disk_us,
    )


def disk_dollars_per_hour(gigabytes: Decimal, dollars_per_gb_month: Decimal) -> Decimal:
    """The price of a disk, unrounded."""
    return _EXACT.divide(_EXACT.multiply(gigabytes, dollars_per_gb_month), Decimal(HOURS_PER_MONTH))


def _rounded(amount: Decimal, per: int) -> Decimal:
    return _EXACT.quantize(_EXACT.divide(amount, Decimal(per)), _MICRODOLLAR)
