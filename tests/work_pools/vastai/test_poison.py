"""A document that ends every host that reads it rents three of them, and no more."""

from collections.abc import Iterator

import pytest

from sql.sessions import Begun
from tests.sql.house import House
from tests.work_pools.vastai.rental import Rental, Site, open_rental
from work_pools.vastai.ordering import Rented


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site.open(tmp_path_factory.mktemp("market"))
    yield site
    site.running.stop()


async def host_that_dies_reading(rental: Rental) -> None:
    """What the worker, the host and the marketplace do for one session."""
    begun = await rental.house.try_begin(new=rental.attempt())
    assert isinstance(begun, Begun)
    assert isinstance(await rental.rent(begun), Rented)

    async def is_running() -> bool:
        return await rental.open_states() == ["running"]

    await rental.turns_until(is_running)
    await rental.house.try_lease(begun, limit=16)
    (host,) = [host for host in await rental.rented() if host["exists"]]
    await rental.site.control(
        "POST", f"/rehearsal/hosts/{host['id']}/state", json={"state": "offline"}
    )
    await rental.until_quiet()


@pytest.mark.parametrize("pages", [1, 5, 200])
async def test_a_poison_document_rents_at_most_three_hosts(
    site: Site, house: House, pages: int
) -> None:
    async with open_rental(house, site) as rental:
        document = await house.add_scan(pages)
        while await house.want() > 0:
            await house.change("delete from aseagi.ocr_sessions where state = 'wanted'")
            await host_that_dies_reading(rental)
            assert len(await rental.rented()) <= 3
        assert len(await rental.rented()) == 3
        assert set(await house.page_states(document)) == {"failed"}
        # Who ends three hosts with pages that ended none before looks like bad hosts.
        assert (await rental.paused_reason() is not None) is (pages == 200)
        await rental.check_the_books()
