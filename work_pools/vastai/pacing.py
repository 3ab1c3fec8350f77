"""Not asking more often than the marketplace allows.

The marketplace wants a minimum interval between requests of one account to one
endpoint. Turns are shared by the whole process: two clients with the same address and
key, in whatever thread or event loop, take turns with each other. Other processes are
not seen; what they use up comes back as a 429, which pushes our own next turn back.
"""

import asyncio
import hashlib
import threading
import time
from dataclasses import dataclass
from enum import StrEnum


class Endpoint(StrEnum):
    """What is paced separately."""

    SEARCH = "search"
    CREATE = "create"
    LIST = "list"
    DESTROY = "destroy"
    LABEL = "label"
    CREDIT = "credit"
    CHARGES = "charges"


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between requests to one endpoint, and the pauses before a repetition.

    The defaults are the documented intervals of the real marketplace, search and create
    with a little room.
    """

    search_seconds: float = 6.0
    create_seconds: float = 4.5
    create_after_429_seconds: float = 12.0
    list_seconds: float = 1.0
    destroy_seconds: float = 3.0
    label_seconds: float = 1.0
    credit_seconds: float = 1.0
    charges_seconds: float = 1.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 15.0

    @classmethod
    def unpaced(cls) -> "Paces":
        """No waiting to speak of, for a marketplace on this machine."""
        return cls(
            search_seconds=0,
            create_seconds=0,
            create_after_429_seconds=0,
            list_seconds=0,
            destroy_seconds=0,
            label_seconds=0,
            credit_seconds=0,
            charges_seconds=0,
            first_pause_seconds=0.002,
            longest_pause_seconds=0.01,
        )

    def interval_seconds(self, endpoint: Endpoint) -> float:
        """Seconds from one request to this endpoint to the next."""
        match endpoint:
            case Endpoint.SEARCH:
                return self.search_seconds
            case Endpoint.CREATE:
                return self.create_seconds
            case Endpoint.LIST:
                return self.list_seconds
            case Endpoint.DESTROY:
                return self.destroy_seconds
            case Endpoint.LABEL:
                return self.label_seconds
            case Endpoint.CREDIT:
                return self.credit_seconds
            case Endpoint.CHARGES:
                return self.charges_seconds


_next_turn: dict[tuple[str, Endpoint], float] = {}
_turns = threading.Lock()


class Turns:
    """The turns of one account at one marketplace."""

    def __init__(self, url: str, api_key: str, paces: Paces) -> None:
        # The key itself is kept nowhere: a digest tells accounts apart just as well.
        self._account = hashlib.sha256(f"{url}\n{api_key}".encode()).hexdigest()
        self._paces = paces

    async def wait(self, endpoint: Endpoint) -> None:
        """Return when it is our turn; whoever asks first goes first."""
        with _turns:
            now = time.monotonic()
            mine = max(now, _next_turn.get((self._account, endpoint), now))
            _next_turn[self._account, endpoint] = mine + self._paces.interval_seconds(endpoint)
        if mine > now:
            await asyncio.sleep(mine - now)

    def push_back(self, endpoint: Endpoint, seconds: float) -> None:
        """Let nobody have a turn for that long: the marketplace said that we are too fast."""
        with _turns:
            turn = self._account, endpoint
            _next_turn[turn] = max(time.monotonic() + seconds, _next_turn.get(turn, 0.0))
