"""The rehearsal of Telegram: an HTTP server that behaves as the Bot API does, and its users.

*Rehearsal, no messages.* Any client of the Bot API can be pointed at it: it checks requests
as strictly as the real one, keeps chats with the whole history of every message, hands out
files by the real one's rules, and delivers updates to the bot's webhook, in order, again
and again until they are taken. Users are people at its own paths (`control`): they send
texts, photos, files and albums, and read what the bot says. It fails when asked to
(`faults`). Nothing in it knows who calls: it imports none of our own client, and not the
library.

    telegram = start_telegram(Settings(state_dir=Path("telegram"), port=20950))
    ...
    telegram.stop()

What it does not rehearse is answered 404, as a method nobody knows: `getUpdates` above all.
Like a Bot API server of one's own, it takes webhooks over plain HTTP on this machine.
"""

from stack.telegram.settings import Settings
from stack.telegram.starting import RunningTelegram, spawn_telegram, start_telegram

__all__ = ["RunningTelegram", "Settings", "spawn_telegram", "start_telegram"]
