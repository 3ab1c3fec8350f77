"""What is written in a chat, and answered there."""

from datetime import UTC, datetime
from decimal import Decimal

from gateway.telegram.updates import Message
from gateway.telegram.wording import (
    HELP,
    NOT_A_DOCUMENT,
    UNKNOWN,
    counted,
    dollars,
    lines,
    plain,
    search_message,
)
from sql import controls
from sql.charges import charged_against_budget, costs_by_day
from sql.connection import Connection
from sql.hosts import count_open_hosts
from sql.jobs import count_queue, jobs_waiting, stop_waiting
from sql.search import search_words
from sql.sessions import open_sessions

HITS = 5
REASONS = 5

COMMANDS = (
    ("status", "What waits and what runs"),
    ("search", "Pages that have these words"),
    ("cost", "What this month has cost"),
    ("pause", "Stop all spending"),
    ("resume", "Allow spending again"),
    ("help", "What I can do"),
)
"""As Telegram lists them beside the field for text."""


async def answer(db: Connection, message: Message, *, monthly_budget: Decimal) -> str:
    """Do what a message asks for and say so. Commits nothing: what it does and what is said of
    it are one transaction."""
    if message.text is None:
        return NOT_A_DOCUMENT
    command, _, rest = message.text.strip().partition(" ")
    rest = rest.strip()
    match command.partition("@")[0].lower():
        case "/status":
            return await _status(db)
        case "/search":
            return await _search(db, rest)
        case "/cost":
            return await _cost(db, monthly_budget)
        case "/pause":
            return await _pause(db, message.sender.called, rest)
        case "/resume":
            return await _resume(db)
        case "/help" | "/start":
            return HELP
        case _:
            return UNKNOWN


async def _status(db: Connection) -> str:
    counts, switch = await count_queue(db), await controls.read_controls(db)
    sessions, hosts = await open_sessions(db), await count_open_hosts(db)
    put_off = await jobs_waiting(db, limit=REASONS)
    return lines(
        _paused(switch) if switch.paused else None,
        f"Arrived: {counts.arrivals_waiting:,}",
        f"Documents: {counts.jobs_queued + counts.jobs_processing:,} under way, "
        f"{counts.jobs_completed:,} done, {counts.jobs_failed + counts.arrivals_failed:,} failed",
        f"Pages: {counts.pages_waiting:,} wait, {counts.pages_leased:,} being read, "
        f"{counts.pages_done:,} done, {counts.pages_failed:,} failed",
        f"Sessions: {len(sessions)}; rented hosts: {hosts}",
        *(
            f"Put off until {one.until.astimezone(UTC):%H:%M} UTC: "
            f"{counted(one.jobs, 'document')}: {plain(one.reason)}"
            for one in put_off
        ),
    )


def _paused(switch: controls.Controls) -> str:
    since = f"{switch.paused_at:%d %B, %H:%M} UTC" if switch.paused_at else "some time"
    return f"<b>Paused</b> since {since}: {plain(switch.paused_reason or '')}. /resume"


async def _search(db: Connection, query: str) -> str:
    if not query:
        return 'Which words? For example: <code>/search "motion to dismiss" 2024</code>'
    return search_message(query, await search_words(db, query, limit=HITS))


async def _cost(db: Connection, budget: Decimal) -> str:
    today = datetime.now(UTC).date()
    by_kind: dict[str, Decimal] = {}
    for day in await costs_by_day(db, since=today.replace(day=1)):
        by_kind[day.kind] = by_kind.get(day.kind, Decimal(0)) + day.dollars
    used = await charged_against_budget(db)
    return lines(
        f"<b>{today:%B} so far: {dollars(sum(by_kind.values(), Decimal(0)))}</b>",
        *(f"{kind}: {dollars(spent)}" for kind, spent in sorted(by_kind.items())),
        f"Of the budget of ${budget:.2f}: {dollars(used)} used (without fixed costs).",
    )


async def _pause(db: Connection, who: str, reason: str) -> str:
    why = reason or f"by {who} in Telegram"
    await controls.pause(db, reason=plain_reason(why))
    return _paused(await controls.read_controls(db)) + " allows spending again."


def plain_reason(text: str) -> str:
    """A reason as it is kept: one line."""
    return " ".join(text.split())[:200]


async def _resume(db: Connection) -> str:
    await controls.resume(db)
    put_off = await stop_waiting(db)
    also = f" {counted(put_off, 'document')} no longer put off." if put_off else ""
    return f"Spending is allowed again; what waits goes on within a minute.{also}"
