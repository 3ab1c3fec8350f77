"""An instance: what was rented, and everything that happened to it.

An instance is its history, a list of moments that is only added to. Its present state
is the last moment; what a client sees under read lag is an earlier one; what it costs
follows from all of them. So the three can never contradict each other.

    null ─► created ─► loading ─► running ─► exited | stopped ─► loading (started again)
      any of them ─► offline; running ─► frozen | unknown; all ─► gone

The GPU is billed while an instance is running, frozen (paused by its host) or unknown
(no heartbeat); the disk from creation until the instance is gone, offline or not, which
is the dearer of two contradictory reports about the real marketplace.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from stack.marketplace.meter import Bill, Rates, Span, bill


class Status(StrEnum):
    """`actual_status` of the real API; there a new instance has none at all."""

    CREATED = "created"
    LOADING = "loading"
    RUNNING = "running"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    OFFLINE = "offline"
    EXITED = "exited"
    STOPPED = "stopped"


GPU_BILLED = frozenset({Status.RUNNING, Status.FROZEN, Status.UNKNOWN})
SETTLED = frozenset({Status.EXITED, Status.STOPPED, Status.OFFLINE})
"""Nothing more happens by itself."""

_ENDS = frozenset({Status.EXITED, Status.STOPPED, Status.OFFLINE})
NEXT: dict[Status | None, frozenset[Status]] = {
    None: frozenset({Status.CREATED}) | _ENDS,
    Status.CREATED: frozenset({Status.LOADING}) | _ENDS,
    Status.LOADING: frozenset({Status.RUNNING}) | _ENDS,
    Status.RUNNING: frozenset({Status.FROZEN, Status.UNKNOWN}) | _ENDS,
    Status.FROZEN: frozenset({Status.RUNNING, Status.UNKNOWN}) | _ENDS,
    Status.UNKNOWN: frozenset({Status.RUNNING, Status.FROZEN}) | _ENDS,
    Status.OFFLINE: frozenset({Status.EXITED, Status.STOPPED}),
    Status.EXITED: frozenset({Status.LOADING, Status.STOPPED, Status.OFFLINE}),
    Status.STOPPED: frozenset({Status.LOADING, Status.OFFLINE}),
}
"""Which status may follow which; a moment may also leave the status as it is."""


class NotAllowed(Exception):
    """The instance cannot become that from what it is."""


class Moment(BaseModel):
    """What was true from `clock_us` on, until the next moment."""

    clock_us: int
    """The market's clock."""
    epoch: float
    """The real time, for dates shown to clients."""
    actual_status: Status | None = None
    cur_state: str = "running"
    next_state: str = "running"
    intended_status: str = "running"
    status_msg: str | None = None
    label: str | None = None
    gpu_dollars_per_hour: Decimal
    exists: bool = True


class Instance(BaseModel):
    """One instance, for ever: those destroyed are remembered too."""

    id: int
    ask_id: int
    machine_id: int
    api_key: str
    image: str
    runtype: str
    args: list[str]
    onstart: str | None
    env: dict[str, str]
    disk_gigabytes: Decimal
    is_bid: bool
    end_date: float
    disk_dollars_per_hour: Decimal
    down_dollars_per_gb: Decimal
    up_dollars_per_gb: Decimal
    host: dict[str, Any]
    """The fields of the machine, as they were when it was rented."""
    bytes_down: int = 0
    bytes_up: int = 0
    boot_fault: str | None = None
    history: list[Moment] = Field(min_length=1)

    @property
    def now(self) -> Moment:
        """Its present state."""
        return self.history[-1]

    @property
    def status(self) -> Status | None:
        """Its present `actual_status`."""
        return self.now.actual_status

    @property
    def exists(self) -> bool:
        """Whether it has not been destroyed."""
        return self.now.exists

    def at(self, clock_us: int) -> Moment | None:
        """What was true then; None if it was not created yet."""
        found = None
        for moment in self.history:
            if moment.clock_us > clock_us:
                break
            found = moment
        return found

    def first(self, status: Status) -> Moment | None:
        """The moment it first became that, if it ever did."""
        return next((moment for moment in self.history if moment.actual_status == status), None)

    def happen(self, clock_us: int, epoch: float, **changes: object) -> None:
        """Add a moment that differs from the present one in `changes`.

        Raises:
            NotAllowed: it is gone, or its status cannot change so.
        """
        if not self.exists:
            raise NotAllowed(f"instance {self.id} is gone")
        status = changes.get("actual_status", self.status)
        if status != self.status and status not in NEXT[self.status]:
            raise NotAllowed(f"instance {self.id} cannot become {status} from {self.status}")
        when = {"clock_us": max(clock_us, self.now.clock_us), "epoch": epoch}
        self.history.append(self.now.model_copy(update={**changes, **when}))

    def move_bytes(self, *, down: int, up: int) -> None:
        """Count traffic.

        Raises:
            NotAllowed: it is gone: its bill never changes again.
        """
        if not self.exists:
            raise NotAllowed(f"instance {self.id} is gone")
        self.bytes_down += down
        self.bytes_up += up

    def bill(self, clock_us: int) -> Bill:
        """What it has cost by then."""
        return bill(
            self._spans(clock_us),
            rates=Rates(
                self.disk_dollars_per_hour, self.down_dollars_per_gb, self.up_dollars_per_gb
            ),
            bytes_down=self.bytes_down,
            bytes_up=self.bytes_up,
        )

    def _spans(self, clock_us: int) -> Iterator[Span]:
        ends = [moment.clock_us for moment in self.history[1:]] + [clock_us]
        for moment, end in zip(self.history, ends, strict=True):
            if moment.exists and end > moment.clock_us:
                billed = moment.actual_status in GPU_BILLED
                yield Span(
                    end - moment.clock_us, moment.gpu_dollars_per_hour if billed else Decimal(0)
                )
