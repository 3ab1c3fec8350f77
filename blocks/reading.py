"""How pages are read: engine, sessions, leases."""

from prefect.blocks.core import Block
from pydantic import Field

LOCAL = "ocr/local"


class Reading(Block):
    """Settings of OCR sessions."""

    _block_type_name = "ASEAGI reading"
    _block_type_slug = "aseagi-reading"
    _description = "OCR engine, and how sessions and leases are sized."

    deployment: str = Field(
        default=LOCAL,
        description="Deployment that sessions run as: ocr/local on machines of your own, "
        "ocr/vast-gpu on rented ones.",
    )
    engine: str = Field(
        default="rapidocr",
        description="OCR engine: rapidocr (CPU), doctr (GPU), or doctr:DETECTION+RECOGNITION to "
        "choose docTR's models.",
    )
    max_hosts: int = Field(default=1, ge=0, le=50, description="Sessions open at a time.")
    pages_per_session: int = Field(
        default=2000, ge=1, description="Waiting pages that justify one more host."
    )
    pages_per_lease: int = Field(default=16, ge=1, le=64, description="Pages leased at a time.")
    lease_seconds: int = Field(
        default=180,
        ge=10,
        le=600,
        description="A lease not renewed for so long is over and its pages wait again.",
    )
    idle_seconds: int = Field(
        default=300,
        ge=0,
        description="How long a session waits for more pages before it closes. On a rented host "
        "five minutes of waiting cost less than pulling the image onto another.",
    )
    session_minutes: int = Field(
        default=240, ge=10, le=1440, description="Longest life of one session's host."
    )

    @property
    def rents(self) -> bool:
        """Whether sessions run on rented hosts."""
        return self.deployment != LOCAL
