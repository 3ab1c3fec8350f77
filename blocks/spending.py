"""What things cost and how much may be spent."""

from prefect.blocks.core import Block
from pydantic import Field


class Spending(Block):
    """Prices that no invoice tells, and the limit that stops spending."""

    _block_type_name = "ASEAGI spending"
    _block_type_slug = "aseagi-spending"
    _description = "Monthly budget, fixed costs, and the price of a machine of one's own."

    monthly_budget_dollars: float = Field(
        default=50, ge=0, description="Sessions stop being started when the month has cost this."
    )
    fixed_dollars_per_month: dict[str, float] = Field(
        default={"droplet": 12.0, "object storage": 5.0},
        description="What is paid whether documents come or not, by name.",
    )
    own_machine_dollars_per_hour: float = Field(
        default=0.0, ge=0, description="Electricity of a machine of one's own, if it shall count."
    )
    max_dollars_per_hour: float = Field(
        default=0.60, gt=0, description="Rented hosts: no offer above this, GPU and disk together."
    )
    max_dollars_per_gb: float = Field(
        default=0.03, gt=0, description="Rented hosts: no offer whose traffic costs more than this."
    )
    max_dollars_per_host: float = Field(
        default=2.0,
        gt=0,
        description="What one rented host may cost. It is reserved against the budget before it "
        "is ordered, and the host is destroyed once it has cost so much.",
    )
    always_on_gpu_dollars_per_month: float = Field(
        default=800.0, ge=0, description="The 24/7 GPU server that the cost page compares with."
    )
