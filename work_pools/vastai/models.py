"""What the marketplace sends, as far as we use it: offers, instances, charges.

Its rows have a hundred fields, change without notice and are sometimes odd. So: fields
not named here are ignored, every field but the identity may be missing, and a value
that cannot be what its field means (a word for a price, an infinite speed) counts as
missing. A row without identity is an error: what it stands for cannot be named.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)

HOURS_PER_MONTH = 720
"""The marketplace's month, for storage priced by the month."""


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("yes and no are no numbers")  # noqa: TRY004 - what pydantic expects
    return value


def _none_is_empty(value: object) -> object:
    return () if value is None else value


Id = Annotated[int, BeforeValidator(_no_truth_value), Field(gt=0, lt=10**18)]
Number = Annotated[float, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False)]
Dollars = Annotated[
    Decimal, BeforeValidator(_no_truth_value), Field(allow_inf_nan=False, ge=-(10**9), le=10**9)
]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)

    unforgiving: ClassVar[frozenset[str]] = frozenset()
    """Fields that may be missing, but not odd."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _odd_is_missing(
        cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        try:
            return handler(value)
        except (ValidationError, OverflowError):
            field = cls.model_fields[info.field_name or ""]
            if field.is_required() or info.field_name in cls.unforgiving:
                raise
            return field.get_default(call_default_factory=True, validated_data={})


class Offer(_Row):
    """A machine (or a share of one) that can be rented, as its host describes it."""

    id: Id = Field(description="What to name when renting; the marketplace calls it an ask.")
    machine_id: Id | None = None
    host_id: Id | None = None
    gpu_name: str | None = None
    num_gpus: Number | None = None
    gpu_ram: Number | None = Field(default=None, description="Usable MiB of one GPU.")
    compute_cap: Number | None = Field(default=None, description="A hundred times the usual: 890.")
    cuda_max_good: Number | None = Field(default=None, description="Newest CUDA the driver runs.")
    cpu_arch: str | None = None
    cpu_cores_effective: Number | None = None
    disk_space: Number | None = Field(default=None, description="GB.")
    inet_down: Number | None = Field(default=None, description="Megabits per second.")
    inet_up: Number | None = Field(default=None, description="Megabits per second.")
    inet_down_cost: Dollars | None = Field(default=None, description="Dollars per GB.")
    inet_up_cost: Dollars | None = Field(default=None, description="Dollars per GB.")
    dph_base: Dollars | None = Field(default=None, description="Dollars per hour without disk.")
    dph_total: Dollars | None = Field(
        default=None, description="Dollars per hour with the disk that was searched for."
    )
    storage_cost: Dollars | None = Field(default=None, description="Dollars per GB and month.")
    is_bid: bool | None = None
    rentable: bool | None = None
    rented: bool | None = None
    external: bool | None = None
    verification: str | None = None
    reliability: Number | None = None
    reliability2: Number | None = None
    geolocation: str | None = None
    duration: Number | None = Field(default=None, description="Seconds it may be rented from now.")

    @property
    def country(self) -> str | None:
        """Two-letter country code, from "City, CC"; None if it does not say."""
        code = (self.geolocation or "").rpartition(",")[2].strip().upper()
        return code if re.fullmatch(r"[A-Z]{2}", code) else None

    @property
    def measured_reliability(self) -> float | None:
        """Reliability from 0 to 1 as the marketplace measured it."""
        return self.reliability if self.reliability is not None else self.reliability2

    def disk_dollars_per_hour(self, disk_gb: float) -> Decimal | None:
        """What a disk of that size costs by the hour; None if the offer does not say."""
        if self.storage_cost is None:
            return None
        return self.storage_cost * Decimal(str(disk_gb)) / HOURS_PER_MONTH

    def dollars_per_hour(self, disk_gb: float) -> Decimal | None:
        """GPU and disk by the hour; None if the offer does not say.

        The greater of our own sum and the marketplace's, which is right only if the
        search named the same disk.
        """
        disk = self.disk_dollars_per_hour(disk_gb)
        if disk is None or self.dph_base is None:
            return None
        return max(self.dph_base + disk, self.dph_total or Decimal(0))


class Status(StrEnum):
    """States we know of; the marketplace may send others, which are kept as text."""

    PROVISIONING = "provisioning"
    CREATED = "created"
    LOADING = "loading"
    RUNNING = "running"
    STOPPED = "stopped"
    FROZEN = "frozen"
    EXITED = "exited"
    REBOOTING = "rebooting"
    UNKNOWN = "unknown"
    OFFLINE = "offline"


class FailureKind(StrEnum):
    """Why a container does not start."""

    IMAGE = "image error"
    """The image does not exist or may not be pulled: no other host will do better."""
    REGISTRY = "registry not reached"
    """This host could not fetch the image just now: another may."""
    CONTAINER = "container did not start"
    """This machine cannot run it (driver, disk): another may."""

    @property
    def another_host_may_help(self) -> bool:
        """Whether trying again on another machine makes sense."""
        return self is not FailureKind.IMAGE


# In this order: "failed to resolve reference … i/o timeout" is a network failure.
_FAILURES = (
    (
        FailureKind.CONTAINER,
        r"OCI runtime create failed|failed to create (?:task|shim)|CDI device injection failed"
        r"|nvidia-container-cli|no space left on device|port is already allocated",
    ),
    (
        FailureKind.REGISTRY,
        r"toomanyrequests|i/o timeout|TLS handshake timeout|no such host|connection refused"
        r"|connection reset|network is unreachable|context deadline exceeded",
    ),
    (
        FailureKind.IMAGE,
        r"manifest unknown|manifest for .{1,300} not found|failed to resolve reference"
        r"|pull access denied|repository does not exist|unauthorized:|invalid reference format",
    ),
)
_PATTERNS = tuple((kind, re.compile(text, re.IGNORECASE | re.DOTALL)) for kind, text in _FAILURES)


class Instance(_Row):
    """What we rent, or still pay for: on the marketplace's list means that it costs money."""

    id: Id
    machine_id: Id | None = None
    host_id: Id | None = None
    label: str | None = None
    actual_status: str | None = None
    intended_status: str | None = None
    cur_state: str | None = None
    next_state: str | None = None
    status_msg: str | None = None
    image_uuid: str | None = None
    gpu_name: str | None = None
    start_date: Number | None = Field(default=None, description="Seconds since 1970.")
    end_date: Number | None = Field(default=None, description="When the contract ends, likewise.")
    is_bid: bool | None = None
    dph_base: Dollars | None = None
    dph_total: Dollars | None = Field(default=None, description="Dollars per hour with disk.")
    storage_cost: Dollars | None = None
    storage_total_cost: Dollars | None = None
    inet_down_cost: Dollars | None = None
    inet_up_cost: Dollars | None = None
    disk_space: Number | None = None
    geolocation: str | None = None

    @property
    def status(self) -> str:
        """One of `Status`, or the marketplace's own word for a state we do not know."""
        return (self.actual_status or "").strip().lower() or Status.PROVISIONING

    @property
    def is_running(self) -> bool:
        """Whether its container runs and its GPU is billed."""
        return self.status == Status.RUNNING

    @property
    def is_stopped(self) -> bool:
        """Whether it computes nothing and still costs money: stopped, exited, frozen, outbid."""
        if self.status in {Status.STOPPED, Status.EXITED, Status.FROZEN}:
            return True
        states = {self.cur_state, self.intended_status, self.next_state}
        return states == {"stopped"}

    @property
    def is_lost(self) -> bool:
        """Whether the marketplace hears nothing of its machine."""
        return self.status in {Status.OFFLINE, Status.UNKNOWN}

    @property
    def failure_kind(self) -> FailureKind | None:
        """Why its container does not start, as its message says; None while it may yet."""
        if self.is_running or not self.status_msg:
            return None
        said = self.status_msg[:10_000]
        return next((kind for kind, pattern in _PATTERNS if pattern.search(said)), None)

    @property
    def started_at(self) -> datetime | None:
        """When it was created, in UTC."""
        try:
            return None if self.start_date is None else datetime.fromtimestamp(self.start_date, UTC)
        except (ValueError, OverflowError, OSError):
            return None


class ChargeItem(_Row):
    """One part of what an instance cost."""

    type: str = Field(description="gpu, disk, bwd (bytes down), bwu (bytes up), or another.")
    amount: Dollars = Field(description="Dollars; negative for a credit.")
    description: str | None = None


class ChargeRow(_Row):
    """What one instance cost in a range of days. Final only some time after it is gone.

    Its parts are money: parts that cannot be read are an error, not no parts.
    """

    unforgiving: ClassVar[frozenset[str]] = frozenset({"items"})

    source: str = Field(description="`instance-<id>`, for what is not an instance another word.")
    amount: Dollars
    type: str | None = None
    start: Number | None = Field(default=None, description="Seconds since 1970.")
    end: Number | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    items: Annotated[tuple[ChargeItem, ...], BeforeValidator(_none_is_empty)] = ()

    @property
    def instance_id(self) -> int | None:
        """The instance it is for; None if it is for something else."""
        match = re.fullmatch(r"instance-([0-9]{1,18})", self.source)
        return int(match[1]) if match else None

    @property
    def label(self) -> str | None:
        """The label the instance had."""
        label = self.metadata.get("label")
        return label if isinstance(label, str) else None
