"""How much of a host a session uses: its GPU and its memory, looked at now and then.

A rented card that waits is money for nothing; this is where one sees it.
"""

import asyncio
import contextlib
import importlib
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Any

import psutil

LOOK_SECONDS = 2.0


@dataclass(slots=True)
class Usage:
    """What was seen so far. Without an NVIDIA GPU there are no looks at one."""

    gpu_looks: int = 0
    gpu_busy_sum: float = 0.0
    gpu_peak_bytes: int = 0
    host_peak_bytes: int = 0
    """Of this process and those it started; what they share is counted once."""

    @property
    def gpu_busy(self) -> float | None:
        """Share of the time in which the GPU computed, as its driver counts it."""
        return self.gpu_busy_sum / self.gpu_looks if self.gpu_looks else None


@contextlib.asynccontextmanager
async def watched() -> AsyncGenerator[Usage]:
    """Look every two seconds until left."""
    usage = Usage()
    with _management_library() as nvml:
        await asyncio.to_thread(_look, usage, nvml)
        watching = asyncio.create_task(_watch(usage, nvml))
        try:
            yield usage
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


async def _watch(usage: Usage, nvml: Any) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(_look, usage, nvml)


def _look(usage: Usage, nvml: Any) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process()
        taken = process.memory_full_info().pss
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                taken += child.memory_full_info().pss
        usage.host_peak_bytes = max(usage.host_peak_bytes, taken)
    if nvml is None:
        return
    with contextlib.suppress(nvml.NVMLError):
        card = nvml.nvmlDeviceGetHandleByIndex(0)
        busy = nvml.nvmlDeviceGetUtilizationRates(card).gpu / 100
        taken = nvml.nvmlDeviceGetMemoryInfo(card).used
        usage.gpu_looks += 1
        usage.gpu_busy_sum += busy
        usage.gpu_peak_bytes = max(usage.gpu_peak_bytes, taken)


@contextlib.contextmanager
def _management_library() -> Generator[Any]:
    """NVIDIA's, ready for use; None where it or its driver is missing."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        yield None
        return
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        yield None
        return
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()
