"""What a person may set on a `vastai` pool: which hosts will do, and what they run.

The fields become the pool's form in Prefect's UI. What may be spent is not here: it is
in the block `aseagi-spending`, one place for all pools.
"""

from datetime import timedelta
from decimal import Decimal

from prefect.workers.base import BaseJobConfiguration, BaseVariables
from pydantic import Field

from blocks.spending import Spending
from schema.image import CUDA
from work_pools.vastai.ordering import Image
from work_pools.vastai.requirements import Requirements

DEFAULT_IMAGE = "ghcr.io/aseagi/gpu-image:latest"
MARGIN = timedelta(hours=1)
"""A host must be rentable for so much longer than a session may last."""


class VastVariables(BaseVariables):
    """The pool's form."""

    image: str = Field(
        default=DEFAULT_IMAGE,
        min_length=1,
        max_length=1024,
        description="Docker image of the host; its entrypoint runs one OCR session.",
    )
    image_gb: float = Field(
        default=4.2, ge=0, description="Compressed size of the image, for the expected cost."
    )
    startup_seconds: float = Field(
        default=25.0, ge=0, description="From the container's start to the first page read."
    )
    disk_gb: int = Field(default=16, ge=8, le=500, description="Disk to rent with the GPU, in GB.")
    gpu_names: list[str] = Field(
        default=[],
        description='GPU models allowed, e.g. ["RTX 4090", "RTX 3090"]; empty allows all.',
    )
    min_gpu_memory_gb: float = Field(
        default=8.0, ge=0, description="Least GPU memory, as printed on the box."
    )
    min_compute_capability: float = Field(
        default=7.5, ge=0, description="Least CUDA compute capability, e.g. 8.9."
    )
    min_cuda: float = Field(
        default=CUDA,
        ge=0,
        description="CUDA version that the image declares; the driver must run it.",
    )
    min_cpu_cores: float = Field(
        default=4.0, ge=0, description="Least CPU cores: they prepare pages for the GPU."
    )
    min_reliability: float = Field(
        default=0.98, ge=0, le=1, description="Least reliability, as the marketplace measured it."
    )
    min_down_mbps: float = Field(default=200.0, ge=0, description="Least download speed, Mb/s.")
    min_up_mbps: float = Field(default=50.0, ge=0, description="Least upload speed, Mb/s.")
    regions_allowed: list[str] = Field(
        default=[], description='Countries allowed, e.g. ["US", "CA"]; empty allows all.'
    )
    regions_denied: list[str] = Field(
        default=[], description="Countries never to rent in, as two-letter codes."
    )
    verified_only: bool = Field(
        default=True, description="Only machines that the marketplace has verified."
    )


class VastJobConfiguration(BaseJobConfiguration):
    """The form's values for one run. `env` and `command` of the base are never handed on."""

    image: str = Field(default=DEFAULT_IMAGE)
    image_gb: float = Field(default=4.2)
    startup_seconds: float = Field(default=25.0)
    disk_gb: int = Field(default=16)
    gpu_names: list[str] = Field(default=[])
    min_gpu_memory_gb: float = Field(default=8.0)
    min_compute_capability: float = Field(default=7.5)
    min_cuda: float = Field(default=CUDA)
    min_cpu_cores: float = Field(default=4.0)
    min_reliability: float = Field(default=0.98)
    min_down_mbps: float = Field(default=200.0)
    min_up_mbps: float = Field(default=50.0)
    regions_allowed: list[str] = Field(default=[])
    regions_denied: list[str] = Field(default=[])
    verified_only: bool = Field(default=True)

    def requirements(self, spending: Spending, lifetime: timedelta) -> Requirements:
        """What a host must be for a session that may last `lifetime`."""
        return Requirements(
            max_dollars_per_hour=Decimal(str(spending.max_dollars_per_hour)),
            max_dollars_per_gb=Decimal(str(spending.max_dollars_per_gb)),
            min_hours=(lifetime + MARGIN).total_seconds() / 3600,
            disk_gb=self.disk_gb,
            gpu_names=tuple(self.gpu_names),
            min_gpu_memory_gb=self.min_gpu_memory_gb,
            min_compute_capability=self.min_compute_capability,
            min_cuda=self.min_cuda,
            min_cpu_cores=self.min_cpu_cores,
            min_reliability=self.min_reliability,
            min_down_mbps=self.min_down_mbps,
            min_up_mbps=self.min_up_mbps,
            regions_allowed=frozenset(self.regions_allowed),
            regions_denied=frozenset(self.regions_denied),
            verified_only=self.verified_only,
        )

    def to_order(self) -> Image:
        """What the host runs."""
        return Image(self.image, self.image_gb, self.startup_seconds)
