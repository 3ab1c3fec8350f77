"""The reaper: looks after rented hosts without any worker, once a minute.

The same turn that the worker's observer makes (`fleet`), from another process: hosts
whose session is over, instances that carry our label and belong to nobody, bills that
became final. Where no marketplace account is set there is nothing to do.
"""

import logging
from dataclasses import dataclass, field

from blocks.database import Database
from blocks.loading import load_if_there
from blocks.vast_account import VastAccount
from work_pools.vastai.connecting import marketplace
from work_pools.vastai.fleet import Fleet
from work_pools.vastai.ledger import settle_charges

log = logging.getLogger("aseagi.reaper")


@dataclass(frozen=True, slots=True)
class Reaped:
    """What had to be put right."""

    lost: int = 0
    strays: int = 0
    unconfirmed: list[str] = field(default_factory=list[str])
    """Labels of hosts that a person must look at: the marketplace does not let them go."""


async def reap(database: Database) -> Reaped:
    """One turn over every host. Raises `MarketplaceError` when nothing can be seen."""
    account = await load_if_there(VastAccount)
    if account is None:
        return Reaped()
    async with marketplace(account) as market:
        turn = await Fleet(database, market, rehearsal=account.is_rehearsal).look_after()
        await settle_charges(database, market)
    for label in turn.unconfirmed:
        log.error("host %s is still listed after many destroys: look at the account", label)
    return Reaped(len(turn.lost), turn.strays, turn.unconfirmed)
