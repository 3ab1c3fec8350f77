"""What a bot costs a gateway that waits: memory, on a small server, day and night."""

import psutil

from tests.gateway.telegram.office import Office
from tests.gateway.telegram.test_kills import start
from tests.stack.telegram.people import photo

IDLE_BYTES = 120 * 1024**2
WORKED_BYTES = 160 * 1024**2


async def test_a_gateway_with_a_bot_is_below_120_mb_and_stays_small_when_it_has_worked(
    closed_office: Office,
) -> None:
    office = closed_office
    gateway = await start(office)
    try:
        idle = psutil.Process(gateway.pid).memory_info().rss
        office.set_webhook()
        for number in (1, 2):
            office.ada.photographs(photo(500 + number), album="album")
        await office.arrived(1)
        await office.do_everything()
        await office.hears("the original")
        worked = psutil.Process(gateway.pid).memory_info().rss
    finally:
        gateway.kill()
        await gateway.wait()
    assert idle < IDLE_BYTES
    assert worked < WORKED_BYTES
