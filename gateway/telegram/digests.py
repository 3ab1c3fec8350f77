"""When a bulk has ended, by whatever door it came: one digest to everybody who may use the bot."""

from datetime import timedelta

from blocks.bot import BotSettings
from gateway.telegram.wording import bulk_message
from sql.bulks import take_bulk
from sql.connection import Pool
from sql.telegram_messages import say


async def tell_of_bulk(pool: Pool, settings: BotSettings) -> bool:
    """Say what a bulk came to if one has ended and was not told of; whether it was so."""
    async with pool.connection() as db:
        bulk = await take_bulk(
            db,
            at_least=settings.digest_documents,
            quiet=timedelta(seconds=settings.digest_quiet_seconds),
        )
        if bulk is None:
            return False
        for user_id in settings.allowed_user_ids:
            await say(db, user_id, bulk_message(bulk))
    return True
