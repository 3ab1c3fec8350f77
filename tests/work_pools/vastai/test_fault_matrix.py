"""Whatever the marketplace does wrong: afterwards nothing is rented and every cent is booked.

Each row lets one thing go wrong with one session's host. Its host never speaks, so even
a row in which nothing goes wrong ends by the fleet. Afterwards the same is asked of
every row (`Rental.check_the_books`), and what the row says besides.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.sql.house import House
from tests.work_pools.vastai.rental import Rental, Site, Transport, open_rental
from work_pools.vastai import fleet
from work_pools.vastai.ordering import NotRented, Rented, Unsure

pytestmark = pytest.mark.xdist_group("vastai-fault-matrix")


class ShortTimeout(httpx.AsyncHTTPTransport):
    """Waits three seconds for the answer to an order, where the client would wait minutes."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), 3)
        return await super().handle_async_request(request)


class RepeatingProxy(httpx.AsyncHTTPTransport):
    """A proxy that sends every order twice, to two machines, and passes on the second answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            await request.aread()
            first = httpx.Request(
                "PUT",
                request.url.copy_with(path=await self._another_ask(request)),
                headers=request.headers,
                content=request.content,
            )
            await (await super().handle_async_request(first)).aread()
        return await super().handle_async_request(request)

    async def _another_ask(self, request: httpx.Request) -> str:
        search = httpx.Request(
            "POST",
            request.url.copy_with(path="/api/v0/bundles/"),
            headers={"Authorization": request.headers["Authorization"]},
            json={"order": [["dph_total", "desc"]]},
        )
        answer = await super().handle_async_request(search)
        await answer.aread()
        return f"/api/v0/asks/{answer.json()['offers'][0]['id']}/"


async def power_cut(rental: Rental) -> None:
    """The marketplace is killed and comes back."""
    rental.site.kill_and_restart()


@dataclass(frozen=True)
class Row:
    """One thing that goes wrong."""

    name: str
    faults: tuple[dict[str, Any], ...]
    outcome: type[Rented | Unsure | NotRented] = Rented
    rents: int = 1
    """How many instances there ever were."""
    ends: str = ""
    """What the session's close, or the pause, says of it."""
    pauses: bool = False
    transport: Transport | None = None
    then: Callable[[Rental], Awaitable[None]] | None = None
    """What happens once the order is answered."""
    site: dict[str, Any] = field(default_factory=dict[str, Any])
    """Another marketplace than that of all."""


def on(where: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"on": where, "kind": kind, **more}


MUTE = "it did not speak to the gateway"
LOST = "the answer to the order was lost"
KEY = "refuses the account's key"

MATRIX = (
    Row("nothing goes wrong", (), ends=MUTE),
    # The order
    Row("commit, then 502", (on("create", "commit-then-502"),), Unsure, ends=MUTE),
    Row("commit, then drop", (on("create", "commit-then-drop"),), Unsure, ends=MUTE),
    Row(
        "timeout after commit",
        (on("create", "timeout-after-commit", seconds=60),),
        Unsure,
        ends=MUTE,
        transport=ShortTimeout,
    ),
    Row(
        "the same, and the host's image is not there",
        (on("create", "commit-then-502"), on("boot", "image-error")),
        Unsure,
        ends="image error",
        pauses=True,
    ),
    *(
        Row(f"offer taken ({shape})", (on("create", "offer-taken", shape=shape),), ends=MUTE)
        for shape in ("404", "410", "400")
    ),
    Row(
        "all five best offers taken",
        (on("create", "offer-taken", times=5),),
        NotRented,
        rents=0,
        ends="the best 5 offers were taken",
    ),
    Row("a bid too low, with a contract", (on("create", "bid-too-low"),), NotRented, ends="low"),
    Row(
        "insufficient credit",
        (on("create", "insufficient-credit"),),
        NotRented,
        rents=0,
        ends="cannot pay",
        pauses=True,
    ),
    Row("a bad key", (on("create", "auth-404"),), NotRented, rents=0, ends=KEY, pauses=True),
    Row("429 on create", (on("create", "429"),), Unsure, rents=0, ends=LOST),
    Row("429 as JSON on create", (on("create", "429-json"),), Unsure, rents=0, ends=LOST),
    Row("500 on create", (on("create", "500"),), Unsure, rents=0, ends=LOST),
    Row("a proxy's page on create", (on("create", "html-200"),), Unsure, rents=0, ends=LOST),
    Row("a success it denies", (on("create", "success-false"),), Unsure, rents=0, ends=LOST),
    Row("the machine is rented twice", (on("create", "rented-twice"),), ends=MUTE),
    Row("a proxy repeats the order", (), rents=2, ends=MUTE, transport=RepeatingProxy),
    # The search
    Row("429 on search", (on("search", "429", times=2),), ends=MUTE),
    Row("no search left today", (on("search", "quota"),), NotRented, rents=0, ends="quota"),
    Row("nothing on offer", (on("search", "empty"),), NotRented, rents=0, ends="has no offer"),
    Row("a bad key on search", (on("search", "auth-404"),), NotRented, 0, KEY, pauses=True),
    # The boot
    Row("stuck without a status", (on("boot", "stuck-null"),), ends="not running after"),
    Row("stuck while loading", (on("boot", "stuck-loading"),), ends="not running after"),
    Row("no such image", (on("boot", "image-error"),), ends="image error", pauses=True),
    Row("the container does not start", (on("boot", "oci-error"),), ends="did not start"),
    Row("exited at once", (on("boot", "exited-at-once"),), ends="exited"),
    Row("killed and restarted in mid-boot", (), then=power_cut, site={"boot_seconds": 1.0}),
    # The run
    *(
        Row(f"{kind} while running", (on("running", kind, seconds=0.05),), ends=said)
        for kind, said in (
            ("offline", "offline"),
            ("outbid", "stopped"),
            ("frozen", "frozen"),
            ("unknown", "unknown"),
            ("exited", "exited"),
        )
    ),
    Row("killed and restarted while it runs", (), then=power_cut),
    # The list
    *(
        Row(f"the list answers {kind}", (on("list", kind, times=times, after=1),), ends=MUTE)
        for kind, times in (
            # More often than one look at the list repeats its request.
            ("429", 80),
            ("500", 80),
            ("410", 6),
            ("html-200", 6),
            ("odd-shape", 6),
            ("auth-404", 6),
        )
    ),
    # Longer than the patience until a new instance is listed: it is lost, and found as a stray.
    Row("listed late", (), ends="", site={"read_lag_seconds": 0.9}),
    Row(
        "listed later than an order is settled",
        (on("create", "commit-then-502"),),
        Unsure,
        ends=LOST,
        site={"read_lag_seconds": 1.1},
    ),
    Row(
        "listed late, and the first destroys fail",
        (on("destroy", "auth-404", times=3),),
        site={"read_lag_seconds": 0.9},
    ),
    # The destroy
    *(
        Row(f"DELETE answered {kind}", (on("destroy", kind, times=4),), ends=MUTE)
        for kind in ("auth-404", "success-false", "429", "500", "no-such-instance", "html-200")
    ),
    Row("destroyed, and told of an error", (on("destroy", "commit-then-500"),), ends=MUTE),
)


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site.open(tmp_path_factory.mktemp("market"))
    yield site
    site.running.stop()


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The marketplace of all, or one of the row's own."""
    changes: dict[str, Any] = request.param
    if not changes:
        yield request.getfixturevalue("shared_site")
        return
    site = Site.open(tmp_path_factory.mktemp("market"), **changes)
    yield site
    site.running.stop()


@pytest.mark.parametrize(
    ("site", "row"), [(row.site, row) for row in MATRIX], indirect=["site"],
    ids=[row.name for row in MATRIX],
)  # fmt: skip
async def test_whatever_goes_wrong_nothing_is_left_and_every_cent_is_booked(
    row: Row, site: Site, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "DESTROY_SECONDS", 0.02)
    await site.forget_faults()
    async with open_rental(house, site, transport=row.transport) as rental:
        begun = await rental.begin()
        await site.order(*row.faults)
        outcome = await rental.rent(begun)
        assert isinstance(outcome, row.outcome), outcome
        if row.then is not None:
            await row.then(rental)
        await rental.until_quiet()
        await rental.check_the_books()

        assert len(await rental.rented()) == row.rents
        reason = str(
            await house.one(
                "select close_reason from aseagi.ocr_sessions where id = %s", begun.session_id
            )
        )
        assert row.ends in reason
        assert (await rental.paused_reason() is not None) is row.pauses
