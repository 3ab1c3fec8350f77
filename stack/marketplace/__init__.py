"""The rehearsal marketplace: an HTTP server that behaves as the Vast.ai API does, for nothing.

*Rehearsal, no money.* A client of the real API can be pointed at it: it searches
offers, rents, lists, labels, destroys and reads charges; its hosts are local processes
that run what the image runs. It fails as the real one was seen to fail, when asked to
(`faults`). Nothing in it knows who calls: it imports none of our own client.

    marketplace = start_marketplace(Settings(state_dir=Path("market"), port=20800))
    ...
    marketplace.stop()
"""

from stack.marketplace.settings import Settings
from stack.marketplace.starting import RunningMarketplace, spawn_marketplace, start_marketplace

__all__ = ["RunningMarketplace", "Settings", "spawn_marketplace", "start_marketplace"]
