"""Renting: one order, one request, and what can be known from the answer."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from schema.failures import Misconfigured, MoneyStops, RetryLater
from tests.work_pools.vastai.conftest import API_KEY, Market
from work_pools.vastai.answers import Answer
from work_pools.vastai.client import (
    Ambiguous,
    Created,
    CreateOrder,
    Marketplace,
    Outcome,
    Paces,
    RefusalKind,
    Refused,
)
from work_pools.vastai.errors import BadKey, OfferGone
from work_pools.vastai.renting import outcome_of

ASK = "/api/v0/asks/7/"
ORDER = CreateOrder(
    image="registry.example/aseagi:1",
    disk_gb=20,
    label="aseagi-4f-1-c0ffee",
    environment={"ASEAGI_HOST_TOKEN": "host-token-91ab"},
    arguments=("--idle", "300"),
)


async def ordered(
    market: Market, marketplace: Marketplace, body: object, status: int = 200
) -> Outcome:
    """Order with that answer, and check that the order arrived once."""
    market.answers("PUT", ASK, body, status=status)
    outcome = await marketplace.create(7, ORDER)
    assert market.count("PUT", ASK) == len(market.received) == 1
    return outcome


async def test_an_order_is_on_demand_keeps_the_entrypoint_and_never_waits_for_a_busy_machine(
    market: Market, marketplace: Marketplace
) -> None:
    answer = {"success": True, "new_contract": 4711, "instance_api_key": "instance-key-7"}
    outcome = await ordered(market, marketplace, answer)
    assert outcome == Created(4711, SecretStr("instance-key-7"))
    assert market.received[0].body == {
        "client_id": "me",
        "image": "registry.example/aseagi:1",
        "env": {"ASEAGI_HOST_TOKEN": "host-token-91ab"},
        "price": None,
        "disk": 20,
        "label": "aseagi-4f-1-c0ffee",
        "runtype": "args",
        "args": ["--idle", "300"],
        "cancel_unavail": True,
    }
    assert market.received[0].authorization == f"Bearer {API_KEY}"


async def test_a_created_instance_without_a_key_of_its_own_is_created_all_the_same(
    market: Market, marketplace: Marketplace
) -> None:
    outcome = await ordered(market, marketplace, {"success": True, "new_contract": "4711"})
    assert outcome == Created(4711, None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(502, "<html>Bad Gateway</html>", id="502 after the order was carried out"),
        pytest.param(503, {"error": "unavailable", "msg": "host is not available"}, id="503"),
        pytest.param(500, {"success": False, "error": "no_such_ask"}, id="500 in known words"),
        pytest.param(429, "API requests too frequent: endpoint threshold=4.5", id="429"),
        pytest.param(408, {"error": "timeout"}, id="408"),
        pytest.param(409, {"error": "conflict"}, id="409"),
        pytest.param(307, {"error": "no_such_ask"}, id="a redirect"),
        pytest.param(200, {"success": True}, id="success without an instance"),
        pytest.param(200, {"success": True, "new_contract": None}, id="no number"),
        pytest.param(200, {"success": True, "new_contract": True}, id="a number that is none"),
        pytest.param(200, {"success": False, "error": "server_error"}, id="unclear error"),
        pytest.param(200, {"success": False}, id="failure without a word"),
        pytest.param(200, "ok", id="not JSON"),
        pytest.param(200, [4711], id="a list"),
        pytest.param(403, "<html>Are you human?</html>", id="a wall before the marketplace"),
        pytest.param(404, "<html>This page is not available</html>", id="a proxy's 404"),
        pytest.param(200, {"success": True, "error": "invalid_args"}, id="success and an error"),
        pytest.param(400, "bad request", id="a refusal in nobody's words"),
    ],
)
async def test_an_answer_that_proves_nothing_is_ambiguous(
    market: Market, marketplace: Marketplace, status: int, body: object
) -> None:
    outcome = await ordered(market, marketplace, body, status)
    assert isinstance(outcome, Ambiguous)
    assert outcome.label == ORDER.label


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, "invalid_args", "error 404/3603: no_such_ask Instance type by id 7 is not available"),
        (410, "no_such_ask", "error 410/3907: Instance type by id 7 is no longer available."),
        (400, "invalid_args", "error 404/3603: no_such_ask"),
    ],
)
async def test_an_offer_that_is_taken_is_known_in_each_of_its_shapes(
    market: Market, marketplace: Marketplace, status: int, error: str, message: str
) -> None:
    body = {"success": False, "error": error, "msg": message, "ask_id": 7}
    outcome = await ordered(market, marketplace, body, status)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.OFFER_GONE
    assert outcome.leftover_instance_id is None
    assert isinstance(outcome.error(), OfferGone)
    assert message in outcome.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"success": False, "error": "insufficient_credit", "msg": "add credit"}),
        (200, {"success": False, "error": "insufficient_credit"}),
        (402, {"success": False, "msg": "Your account lacks credit; see the billing page."}),
        (403, {"success": False, "error": "spend_rate_limit"}),
    ],
)
async def test_an_account_that_cannot_pay_stops_spending(
    market: Market, marketplace: Marketplace, status: int, body: object
) -> None:
    outcome = await ordered(market, marketplace, body, status)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.NO_CREDIT
    assert isinstance(outcome.error(), MoneyStops)


async def test_a_refusal_that_left_an_instance_behind_names_it(
    market: Market, marketplace: Marketplace
) -> None:
    body = {"success": False, "error": "invalid_price", "msg": "bid too low", "new_contract": 88}
    outcome = await ordered(market, marketplace, body, 400)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.BID_TOO_LOW
    assert outcome.leftover_instance_id == 88


async def test_a_success_denied_in_the_body_is_no_success(
    market: Market, marketplace: Marketplace
) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "image is missing"}
    outcome = await ordered(market, marketplace, body)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.BAD_ORDER


async def test_a_success_denied_beside_an_instance_leaves_one_to_destroy(
    market: Market, marketplace: Marketplace
) -> None:
    outcome = await ordered(market, marketplace, {"success": False, "new_contract": 88})
    assert isinstance(outcome, Refused)
    assert outcome.leftover_instance_id == 88


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_key_is_told_apart_from_a_missing_offer(
    market: Market, marketplace: Marketplace, status: int
) -> None:
    body = {"success": False, "error": "auth_error", "msg": f"Invalid user key {API_KEY}"}
    outcome = await ordered(market, marketplace, body, status)
    assert isinstance(outcome, Refused)
    assert isinstance(outcome.error(), BadKey)
    assert API_KEY not in outcome.message


async def test_an_answer_that_repeats_the_order_is_quoted_without_its_secrets(
    market: Market, marketplace: Marketplace
) -> None:
    said = "cannot parse {'ASEAGI_HOST_TOKEN': 'host-token-91ab'} instance-key-7"
    body = {
        "error": "invalid_args",
        "msg": said,
        "new_contract": 1,
        "instance_api_key": "instance-key-7",
    }
    outcome = await ordered(market, marketplace, body, 400)
    assert isinstance(outcome, Refused)
    assert "cannot parse" in outcome.message
    assert "host-token-91ab" not in outcome.message
    assert "instance-key-7" not in outcome.message


NUMBERS = st.sampled_from([4711, 0, -1, True, None, "4711", "x", 1.5, [1], 10**30])
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "success": st.sampled_from([True, False, None, "no"]),
        "new_contract": NUMBERS,
        "error": st.sampled_from(["no_such_ask", "server_error", "auth_error", 7, None]),
        "msg": st.sampled_from(["", "error 404/3603: x", {"a": 1}, None]),
        "instance_api_key": st.sampled_from(["k", "", None, 7]),
        "retry_after": NUMBERS,
    },
).map(lambda body: json.dumps(body).encode())
CONTENTS = st.one_of(
    BODIES,
    st.binary(max_size=20),
    st.sampled_from([b'{"a": 1e99999999999999999999}', b"[" * 100_000, b'{"a": NaN}', b"9" * 5000]),
)


@given(
    status=st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 410, 422, 429, 500, 503]),
    content=CONTENTS,
    retry_after=st.sampled_from(["", "3", "soon", "-1", "1e999", "NaN"]),
)
def test_every_answer_to_an_order_has_a_meaning_and_only_a_plain_yes_is_created(
    status: int, content: bytes, retry_after: str
) -> None:
    response = httpx.Response(status, content=content, headers={"Retry-After": retry_after})
    outcome = outcome_of(Answer.of(response), order=ORDER, api_key=API_KEY)
    says_a_number = b'"new_contract": 4711' in content or b'"new_contract": "4711"' in content
    if isinstance(outcome, Created):
        assert status in {200, 201, 204}
        assert says_a_number
        assert outcome.instance_id == 4711
    elif isinstance(outcome, Refused):
        assert (outcome.leftover_instance_id == 4711) == says_a_number
        assert status < 500 or says_a_number
    else:
        assert not says_a_number


@contextlib.asynccontextmanager
async def hanging_up() -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that takes whole requests in and hangs up; gives its address and the requests."""
    requests: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        requests.append(head + await reader.readexactly(length))
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


async def test_a_connection_dropped_after_the_order_is_ambiguous_and_the_order_not_repeated() -> (
    None
):
    async with (
        hanging_up() as (url, requests),
        Marketplace(url, API_KEY, paces=Paces.unpaced()) as marketplace,
    ):
        outcome = await marketplace.create(7, ORDER)
    assert isinstance(outcome, Ambiguous)
    assert outcome.label == ORDER.label
    assert len(requests) == 1


async def test_an_order_that_found_nobody_to_take_it_rented_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Marketplace(f"http://127.0.0.1:{port}", API_KEY, paces=Paces.unpaced()) as nobody:
        outcome = await nobody.create(7, ORDER)
    assert isinstance(outcome, Refused)
    assert outcome.kind is RefusalKind.NOT_SENT
    assert isinstance(outcome.error(), RetryLater)


async def test_orders_keep_their_distance_and_more_of_it_after_a_429(market: Market) -> None:
    paces = Paces(create_seconds=0.05, create_after_429_seconds=0.2)
    market.answers("PUT", ASK, {"success": True, "new_contract": 1})
    market.answers("PUT", ASK, "too frequent", status=429)
    market.answers("PUT", ASK, {"success": True, "new_contract": 2})
    clock = asyncio.get_running_loop().time
    async with (
        Marketplace(market.url, API_KEY, paces=paces) as one,
        Marketplace(market.url, API_KEY, paces=paces) as another,
    ):
        started = clock()
        assert await one.create(7, ORDER) == Created(1)
        assert isinstance(await another.create(7, ORDER), Ambiguous)
        after_two = clock() - started
        assert await one.create(7, ORDER) == Created(2)
        after_three = clock() - started
    assert after_two >= 0.05
    assert after_three >= 0.05 + 0.2


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": ""},
        {"label": "x" * 257},
        {"image": ""},
        {"disk_gb": 7},
        {"arguments": ("x" * 4097,)},
        {"environment": {"TOKEN": "secret-value" * 30}},
        {"environment": {f"V{n}": "secret-value" * 20 for n in range(200)}},
    ],
)
def test_an_order_the_marketplace_would_cut_short_is_refused_here(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"image": "i", "disk_gb": 8, "label": "l"}
    CreateOrder(**good)
    with pytest.raises(Misconfigured) as refused:
        CreateOrder(**good | wrong)
    assert "secret-value" not in str(refused.value)


def test_no_secret_shows_in_what_is_printed() -> None:
    order = CreateOrder(
        image="i",
        disk_gb=8,
        label="l",
        environment={"TOKEN": "hush"},
        image_login=SecretStr("-p hush"),
    )
    shown = repr(
        (order, Created(1, SecretStr("hush")), Marketplace("https://vast.example", "hush"))
    )
    assert "hush" not in shown
    assert order.body()["image_login"] == "-p hush"


@pytest.mark.parametrize(
    "url",
    [
        "http://console.vast.ai",
        "http://10.0.0.4:8000",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "https://user:pw@console.vast.ai",
        "https://",
        "http://[::1",
        "console.vast.ai",
    ],
)
def test_the_key_travels_only_encrypted_or_within_this_machine(url: str) -> None:
    with pytest.raises(Misconfigured):
        Marketplace(url, API_KEY)


@pytest.mark.parametrize(
    "url", ["https://console.vast.ai/", "http://127.0.0.1:9", "http://[::1]:9"]
)
def test_an_address_over_https_or_on_this_machine_will_do(url: str) -> None:
    assert Marketplace(url, API_KEY).url == url.rstrip("/")


@pytest.mark.parametrize("key", ["", "  ", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(BadKey) as refused:
        Marketplace("https://vast.example", key)
    assert not key.strip() or key not in str(refused.value)
