"""The dead-man's switch: a rented host ends itself, whatever becomes of everything else.

Guarantees, as far as this process lives and the network lets it:

- Past its lifetime, or with the gateway unreachable for too long, the work is stopped.
- When the work is over, for whatever reason, the instance is destroyed with the key
  that the marketplace put into the container, which can do that and little more. It
  is asked again until it is done or `DESTROY_SECONDS` have passed.

Where there is no such key (a machine of one's own) there is nothing to destroy.
The marketplace's listing, not this, decides that a host is gone.
"""

import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

LIFETIME_SECONDS = "ASEAGI_LIFETIME_SECONDS"
GATEWAY_PATIENCE_SECONDS = "ASEAGI_GATEWAY_PATIENCE_SECONDS"
MARKETPLACE_URL = "ASEAGI_MARKETPLACE_URL"
INSTANCE_ID = "CONTAINER_ID"
INSTANCE_KEY = "CONTAINER_API_KEY"
"""The last two are set by the marketplace, in every container."""

DEFAULT_LIFETIME_SECONDS = 24 * 3600.0
DEFAULT_GATEWAY_PATIENCE_SECONDS = 600.0
"""Longer than the session itself waits for the gateway: it should end first, in order."""

CONTACT_SECONDS = 10.0
DESTROY_SECONDS = 900.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(slots=True)
class DeadMan:
    """Decides when a host has to stop. Times are seconds on a clock that only goes forward."""

    gateway_url: str
    lifetime_seconds: float
    patience_seconds: float
    started: float = field(default_factory=time.monotonic)
    reached: float = field(default_factory=time.monotonic)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "DeadMan":
        """As the worker has set it; without settings, a day and ten minutes."""
        return cls(
            gateway_url=environment.get("ASEAGI_GATEWAY_URL", ""),
            lifetime_seconds=float(environment.get(LIFETIME_SECONDS, DEFAULT_LIFETIME_SECONDS)),
            patience_seconds=float(
                environment.get(GATEWAY_PATIENCE_SECONDS, DEFAULT_GATEWAY_PATIENCE_SECONDS)
            ),
        )

    def reason_to_stop(self) -> str | None:
        """Why the work must stop now; None to go on. Asks the gateway whether it is there."""
        if time.monotonic() - self.started > self.lifetime_seconds:
            return "its lifetime is over"
        if self._gateway_answers():
            self.reached = time.monotonic()
        if time.monotonic() - self.reached > self.patience_seconds:
            return f"the gateway could not be reached for {self.patience_seconds:.0f} s"
        return None

    @property
    def look_again_seconds(self) -> float:
        """How long to wait before asking again: a fraction of what is tolerated."""
        left = self.lifetime_seconds - (time.monotonic() - self.started)
        return max(0.2, min(left + 0.1, self.patience_seconds / 10, 30.0))

    def _gateway_answers(self) -> bool:
        if not self.gateway_url:
            return False
        try:
            # Any answer will do: a gateway that is busy or mending itself is there.
            httpx.get(f"{self.gateway_url}/health", timeout=CONTACT_SECONDS)
        except httpx.HTTPError:
            return False
        return True


def destroy_own_instance(
    environment: Mapping[str, str] = os.environ, *, seconds: float = DESTROY_SECONDS
) -> bool:
    """Destroy the rented instance this runs in; True when told so, or when there is none.

    False when the marketplace did not confirm it within `seconds`: the reaper must.
    """
    try:
        url, instance, key = (
            environment[MARKETPLACE_URL].rstrip("/"),
            environment[INSTANCE_ID],
            environment[INSTANCE_KEY],
        )
    except KeyError:
        return True
    deadline = time.monotonic() + seconds
    pause = 1.0
    while True:
        try:
            answer = httpx.request(
                "DELETE",
                f"{url}/api/v0/instances/{instance}/",
                json={},
                headers={"Authorization": f"Bearer {key}"},
                timeout=CONTACT_SECONDS,
            )
            if answer.is_success and answer.json().get("success") is True:
                return True
        except (httpx.HTTPError, ValueError):
            pass
        if time.monotonic() + pause > deadline:
            return False
        time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
