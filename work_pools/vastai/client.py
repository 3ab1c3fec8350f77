"""The marketplace as we use it: search, rent, list, destroy, label, credit, charges.

What this guarantees:

- An order to rent is sent exactly once, whatever happens to it (`create`). Nothing else
  here can rent. All other requests may be repeated and are: after a 429, a 5xx or a
  broken connection, with growing, jittered pauses, until the patience is used up.
- "Nothing is rented" is only ever said by a complete, consistent list. Everything else
  is `Blind`.
- A destroy is `Destroyed` or `AlreadyGone` only if the marketplace says so in its own
  words; a 404 alone, or a success it denies in the body, is neither.
- The account's key and the instances' keys are in no URL, log line, message or `repr`.
- No endpoint is asked more often than `Paces` allows, across the whole process.
"""

import asyncio
import functools
import ipaddress
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from schema.failures import Misconfigured
from work_pools.vastai.answers import Answer, amount, rows_of
from work_pools.vastai.errors import BadKey, Blind, MarketplaceError, NotDestroyed, Unavailable
from work_pools.vastai.models import ChargeRow, Instance, Offer
from work_pools.vastai.pacing import Endpoint, Paces, Turns
from work_pools.vastai.renting import (
    MAX_LABEL,
    Ambiguous,
    Created,
    CreateOrder,
    Outcome,
    RefusalKind,
    Refused,
    outcome_of,
)
from work_pools.vastai.requirements import SearchQuery

__all__ = [
    "AlreadyGone",
    "Ambiguous",
    "CreateOrder",
    "Created",
    "Destroyed",
    "Marketplace",
    "Outcome",
    "Paces",
    "RefusalKind",
    "Refused",
]

READ_PATIENCE_SECONDS = 20.0
DESTROY_PATIENCE_SECONDS = 60.0
SEARCH_CAP = 64
"""A search has been seen to answer with no more offers than this, whatever was asked for."""
MAX_SEARCHES = 4
INSTANCES_PER_PAGE = 25
CHARGES_PER_PAGE = 100
MAX_PAGES = 400

log = logging.getLogger("aseagi.vastai")

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The marketplace says that it destroyed the instance. A list without it is the proof."""

    instance_id: int


@dataclass(frozen=True, slots=True)
class AlreadyGone:
    """The marketplace says that there is no such instance."""

    instance_id: int


class Marketplace:
    """One account at one marketplace. Use as an async context manager.

    `url` is HTTPS unless it is this machine. Raises `Misconfigured` for another one, and
    `BadKey` for a key that cannot be one.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        paces: Paces | None = None,
        patience_seconds: float = READ_PATIENCE_SECONDS,
    ) -> None:
        self.url = _checked_url(url)
        self._api_key = _checked_key(api_key)
        self._paces = paces or Paces()
        self._turns = Turns(self.url, self._api_key, self._paces)
        self._patience_seconds = patience_seconds
        certificates = _certificates(encrypted=self.url.startswith("https:"))

        def client(timeout_seconds: float, kept_connections: int) -> httpx.AsyncClient:
            return httpx.AsyncClient(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._api_key}", "Accept": "application/json"},
                timeout=httpx.Timeout(timeout_seconds, connect=10),
                limits=httpx.Limits(max_keepalive_connections=kept_connections),
                verify=certificates,
                follow_redirects=False,
                transport=transport,
            )

        self._http = client(30, 5)
        # An order goes over a fresh connection: one that was kept may have been closed by
        # the other side, and then nobody can say whether the order arrived.
        self._orders = client(120, 0)

    def __repr__(self) -> str:
        return f"Marketplace({self.url!r})"

    async def __aenter__(self) -> "Marketplace":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._orders.aclose()

    async def search(self, query: SearchQuery) -> list[Offer]:
        """Offers, cheapest first by the hour. Check them again (`requirements.unmet`).

        Asks again from the last price on when the answer seems cut off. Raises
        `Unavailable`, also when the day's searches are used up.
        """
        offers: dict[int, Offer] = {}
        for _ in range(MAX_SEARCHES):
            body = await self._read(Endpoint.SEARCH, "POST", "/api/v0/bundles/", json=query.body())
            # The documentation's example is one bare offer.
            bare = isinstance(body.get("offers"), dict)
            rows = [body["offers"]] if bare else rows_of(body, "offers")
            if rows is None:
                raise Unavailable("The marketplace's answer to a search has no offers in it.")
            page = [offer for row in rows if (offer := _offer(row)) is not None]
            new = [offer for offer in page if offer.id not in offers]
            offers.update((offer.id, offer) for offer in new)
            prices = [offer.dph_total for offer in page if offer.dph_total is not None]
            if not new or not prices or len(rows) != SEARCH_CAP or query.limit <= SEARCH_CAP:
                break
            query = SearchQuery(query.filters, query.disk_gb, query.limit, max(prices))
        return list(offers.values())

    async def create(self, offer_id: int, order: CreateOrder) -> Outcome:
        """Rent. The order is sent exactly once, and what came of it is said, never raised.

        Waits for its turn first. If this is cancelled while it waits for the answer,
        treat it as `Ambiguous`. The caller has recorded the intent before.
        """
        await self._turns.wait(Endpoint.CREATE)
        try:
            response = await self._orders.put(f"/api/v0/asks/{offer_id}/", json=order.body())
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # No connection, so nothing was sent.
            return Refused(RefusalKind.NOT_SENT, f"no connection ({type(error).__name__})")
        except httpx.HTTPError as error:
            return Ambiguous(order.label, f"no answer ({type(error).__name__})")
        answer = Answer.of(response)
        if answer.status == 429:
            seconds = max(self._paces.create_after_429_seconds, answer.retry_after_seconds or 0)
            self._turns.push_back(Endpoint.CREATE, seconds)
        return outcome_of(answer, order=order, api_key=self._api_key)

    async def list_instances(self) -> list[Instance]:
        """Everything the account has rented and pays for, oldest first.

        Raises `Blind` on any failure and for a list that is incomplete or contradicts
        itself, `BadKey` for a refused key. An empty list means: nothing is rented.
        """
        return await self._instances({})

    async def find_by_label(self, label: str) -> list[Instance]:
        """The instances with exactly this label; raises as `list_instances` does.

        An instance just created may not be listed for a minute or two.
        """
        found = await self._instances({"label": {"in": [label]}})
        return [instance for instance in found if instance.label == label]

    async def destroy(
        self, instance_id: int, *, patience_seconds: float = DESTROY_PATIENCE_SECONDS
    ) -> Destroyed | AlreadyGone:
        """Destroy an instance, repeating the request until that long after the first one.

        Raises `NotDestroyed` if the marketplace did not confirm by then, `BadKey` for a
        refused key. Either way the instance may still cost money.
        """
        path = f"/api/v0/instances/{instance_id}/"
        try:
            answer = await self._until(
                lambda answer: answer.confirms or answer.says_no_such_instance,
                Endpoint.DESTROY,
                "DELETE",
                path,
                patience_seconds=patience_seconds,
                repeat_refusals=True,
                json={},
            )
        except Unavailable as error:
            raise NotDestroyed(
                f"The marketplace did not confirm that instance {instance_id} is destroyed: {error}"
            ) from None
        return Destroyed(instance_id) if answer.confirms else AlreadyGone(instance_id)

    async def credit(self) -> Decimal:
        """Dollars of prepaid credit left. Raises `Unavailable`."""
        body = await self._read(Endpoint.CREDIT, "GET", "/api/v0/users/current/")
        credit = amount(body.get("credit"))
        if credit is None:
            raise Unavailable("The marketplace does not say how much credit is left.")
        return credit

    async def charges(self, first_day: date, last_day: date) -> list[ChargeRow]:
        """What each instance cost on these days (UTC, both included), oldest first.

        Final only some time after an instance is gone. Raises `Unavailable`, rather than
        leaving out a row it cannot read.
        """
        first = datetime.combine(first_day, datetime.min.time(), UTC)
        end = datetime.combine(last_day, datetime.min.time(), UTC) + timedelta(days=1)
        day = {"gte": int(first.timestamp()), "lte": int(end.timestamp()) - 1}
        return await self._pages(
            _Listing(
                Endpoint.CHARGES,
                "/api/v0/charges/",
                {
                    "select_filters": json.dumps({"day": day, "type": {"in": ["instance"]}}),
                    "limit": str(CHARGES_PER_PAGE),
                    "latest_first": "false",
                    "format": "table",
                },
                rows="results",
                rows_in_page="count",
                rows_in_all="total",
            ),
            ChargeRow.model_validate,
            lambda row: row.model_dump_json(),
            Unavailable,
        )

    async def label(self, instance_id: int, text: str) -> None:
        """Give an instance another label. Raises `Unavailable` if that is not confirmed."""
        if len(text) > MAX_LABEL:
            raise Misconfigured(f"A label has at most {MAX_LABEL} characters.")
        await self._read(
            Endpoint.LABEL, "PUT", f"/api/v0/instances/{instance_id}/", json={"label": text}
        )

    async def _instances(self, filters: Mapping[str, Any]) -> list[Instance]:
        try:
            return await self._pages(
                _Listing(
                    Endpoint.LIST,
                    "/api/v1/instances/",
                    {
                        "select_filters": json.dumps(filters),
                        "order_by": json.dumps([{"col": "id", "dir": "asc"}]),
                        "limit": str(INSTANCES_PER_PAGE),
                    },
                    rows="instances",
                    rows_in_page="instances_found",
                    rows_in_all="total_instances",
                ),
                Instance.model_validate,
                lambda instance: instance.id,
                Blind,
            )
        except Unavailable as error:
            raise Blind(f"What is rented cannot be seen: {error}") from None

    async def _pages(
        self,
        listing: "_Listing",
        read_row: Callable[[object], Row],
        identity: Callable[[Row], object],
        error: type[MarketplaceError],
    ) -> list[Row]:
        """All rows of all pages; `error` unless they are complete and agree with their count."""
        found: dict[object, Row] = {}
        tokens: set[str] = set()
        parameters = dict(listing.parameters)
        for _ in range(MAX_PAGES):
            body = await self._read(listing.endpoint, "GET", listing.path, params=parameters)
            rows = listing.rows_of(body, error)
            for row in rows:
                try:
                    read = read_row(row)
                except ValidationError:
                    raise error(f"A row of {listing.path} cannot be read.") from None
                found[identity(read)] = read
            token = body.get("next_token")
            if token is None or token == "":
                listing.check_total(body, len(found), error)
                return list(found.values())
            if not isinstance(token, str) or token in tokens or not rows:
                raise error(f"The pages of {listing.path} do not come to an end.")
            tokens.add(token)
            parameters["after_token"] = token
        raise error(f"{listing.path} has more than {MAX_PAGES} pages.")

    async def _read(
        self, endpoint: Endpoint, method: str, path: str, **request: Any
    ) -> Mapping[str, Any]:
        answer = await self._until(
            lambda answer: answer.succeeded,
            endpoint,
            method,
            path,
            patience_seconds=self._patience_seconds,
            repeat_refusals=False,
            **request,
        )
        return answer.body or {}

    async def _until(
        self,
        is_final: Callable[[Answer], bool],
        endpoint: Endpoint,
        method: str,
        path: str,
        *,
        patience_seconds: float,
        repeat_refusals: bool,
        **request: Any,
    ) -> Answer:
        """Send a request that may be repeated until its answer is final.

        A passing trouble is waited out; a refusal only where `repeat_refusals` says so.
        Every request but the first is sent before the patience is used up.
        """
        await self._turns.wait(endpoint)
        deadline = time.monotonic() + patience_seconds
        pause = self._paces.first_pause_seconds
        while True:
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            try:
                response = await self._http.request(method, path, **request)
            except httpx.HTTPError as error:
                trouble = f"no answer ({type(error).__name__})"
            else:
                answer = Answer.of(response)
                if is_final(answer):
                    return answer
                trouble = answer.summary(self._api_key)
                if answer.refuses_the_key:
                    raise BadKey(f"The marketplace refuses the account's key. {trouble}")
                passing = answer.status in {408, 425, 429} or answer.status >= 500
                if answer.quota_is_used_up or not (passing or repeat_refusals):
                    raise Unavailable(f"{path} answered {trouble}")
                if answer.retry_after_seconds is not None:
                    wait = max(wait, answer.retry_after_seconds)
                    self._turns.push_back(endpoint, answer.retry_after_seconds)
            if time.monotonic() + wait > deadline:
                raise Unavailable(f"{path}: {trouble}")
            log.info("%s %s: %s; again in %.1f s", method, path, trouble, wait)
            await asyncio.sleep(wait)
            await self._turns.wait(endpoint)
            pause = min(pause * 2, self._paces.longest_pause_seconds)


@dataclass(frozen=True, slots=True)
class _Listing:
    """Where a list of several pages is, and what its parts are called."""

    endpoint: Endpoint
    path: str
    parameters: Mapping[str, str]
    rows: str
    rows_in_page: str
    rows_in_all: str

    def rows_of(self, body: Mapping[str, Any], error: type[MarketplaceError]) -> Sequence[object]:
        """The rows of a page, if they are as many as it says."""
        rows = rows_of(body, self.rows)
        if rows is None:
            raise error(f"The answer of {self.path} has no list in it.")
        said = body.get(self.rows_in_page)
        if said is not None and said != len(rows):
            raise error(f"{self.path} announces {said} rows in a page of {len(rows)}.")
        return rows

    def check_total(
        self, body: Mapping[str, Any], found: int, error: type[MarketplaceError]
    ) -> None:
        """Raise unless as many rows were found as the last page says there are."""
        said = body.get(self.rows_in_all)
        if said is not None and said != found:
            raise error(f"{self.path} announces {said} rows in all, {found} were found.")


def _offer(row: object) -> Offer | None:
    """An offer nobody can name cannot be rented: it is left out."""
    try:
        return Offer.model_validate(row)
    except ValidationError:
        return None


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise Misconfigured("The marketplace's address is not an address.") from None
    if parts.username or parts.password or parts.query or parts.fragment or not host:
        raise Misconfigured("The marketplace's address must be a plain https://host.")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise Misconfigured(
            f"The marketplace's address {parts.scheme}://{host} is not https: the account's key "
            "would travel in the open."
        )
    return url.rstrip("/")


@functools.cache
def _certificates(*, encrypted: bool) -> ssl.SSLContext:
    """Loaded once: they take time and memory. Plain HTTP, on this machine, needs none."""
    return httpx.create_ssl_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_key(api_key: str) -> str:
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise BadKey("The marketplace key is empty or holds characters no key has.")
    return key
