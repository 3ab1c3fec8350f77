"""From an account to a client that speaks with its marketplace."""

import contextlib
from collections.abc import AsyncGenerator

from blocks.vast_account import VastAccount
from work_pools.vastai.client import Marketplace, Paces


@contextlib.asynccontextmanager
async def marketplace(account: VastAccount) -> AsyncGenerator[Marketplace]:
    """The account's marketplace; a rehearsal on this machine may be asked without pause."""
    paces = Paces.unpaced() if account.is_rehearsal else None
    async with Marketplace(account.url, account.api_key.get_secret_value(), paces=paces) as market:
        yield market
