"""Each safeguard of the gateway is needed: without it, what it is there for goes wrong.

A row names a safeguard, how to take it away, and what happens that it is there for. Every
row is played twice: with the safeguard the same check holds that fails without it. The
table is documented in docs/gateway.md.
"""

import asyncio
import gzip
import importlib
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from limits import RateLimitItemPerMinute
from prefect.client.orchestration import get_client
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.settings import get_current_settings
from pydantic import BaseModel, JsonValue
from websockets.asyncio.client import connect

from blocks import inbox
from gateway import (
    access_log,
    app,
    attempts,
    bodies,
    callers,
    clients,
    connections,
    events,
    headers,
    host,
    notifications,
    prefect_door,
    prefect_events,
    prefect_messages,
    rates,
    surprises,
    upload_page,
    uploads,
)
from gateway.callers import Caller, KnownFirst, hashed, introduce
from gateway.prefect_api import JsonObject, OwnRun
from gateway.prefect_messages import HostEvent
from gateway.turns import Room
from schema.host import MAX_RESULT_BYTES
from schema.lanes import Lane
from sql import sessions
from sql.arrivals import SeenObject
from sql.clients import ApiClient, add_client, revoke_client
from sql.connection import Connection
from sql.leases import HeldPage, PageOutcome, release_leases, settle_pages
from sql.sessions import Attempt, find_attempt
from sql.upload_links import UploadLink, create_link
from tests.e2e.conftest import eventually
from tests.e2e.test_prefect_door import event
from tests.gateway.conftest import Door, Site, bearer, kept_lines, open_door, read
from tests.gateway.test_notifications import aws

SOON_SECONDS = 8.0
BRIEF_SECONDS = 0.3
MANY = RateLimitItemPerMinute(1_000_000)

Scenario = Callable[[Door], Awaitable[None]]
TakeAway = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True)
class Safeguard:
    """One of them."""

    name: str
    scenario: Scenario
    take_away: TakeAway


# --- What happens, and what must be true afterwards


async def answer_to(door: Door, *pieces: bytes) -> bytes:
    """What comes back soon; nothing, if the gateway goes on waiting."""
    try:
        return await door.raw(*pieces, seconds=SOON_SECONDS)
    except TimeoutError:
        return b""


def head(path: str, token: str) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 100\r\nConnection: close\r\n\r\n"
    ).encode()


async def a_stranger_announces_a_body(door: Door) -> None:
    """It is not waited for."""
    assert (await answer_to(door, head("/host/complete", "forged"))).startswith(b"HTTP/1.1 401")


async def an_earlier_attempt_speaks_up(door: Door) -> None:
    run = uuid4()
    stale = await door.host(run=run)
    await door.host(run=run, run_count=1)
    assert (await door.post("/host/lease", stale.token, {})).status_code == 401


async def a_token_outlives_its_host(door: Door) -> None:
    old = await door.host()
    await door.site.change("update aseagi.session_attempts set expires_at = now()")
    assert (await door.post("/host/lease", old.token, {})).status_code == 401


async def a_closed_session_goes_on(door: Door) -> None:
    over = await door.host()
    await door.site.change(
        "update aseagi.ocr_sessions set state = 'closed', closed_at = now(), close_reason = 'over'"
        " where state = 'running'"
    )
    assert (await door.post("/host/heartbeat", over.token, {})).status_code == 409


async def a_result_comes_after_another_host_took_the_page(door: Door) -> None:
    slow = await door.host()
    late = await door.lease(slow)
    await door.site.change("update aseagi.leases set expires_at = now() - interval '1 second'")
    async with door.site.database.connect() as db:
        await release_leases(db)
    quick = await door.host(pages=0)
    await door.lease(quick)
    await door.complete(slow.token, late, read(slow.documents[0], 1, "late"))
    assert await door.site.rows("select state, text from aseagi.pages") == [("leased", None)]


async def a_host_reports_a_page_that_it_was_not_lent(door: Door) -> None:
    """Nothing of it is stored, not even its words in the bucket."""
    nosy = await door.host(pages=2)
    lease = await door.lease(nosy, limit=1)
    before = await door.site.picture()
    await door.complete(nosy.token, lease, read(nosy.documents[0], 2))
    assert await door.site.picture() == before


async def a_link_is_kept(door: Door) -> None:
    """It opens nothing after ten minutes."""
    keeper = await door.host()
    answer = (await door.post("/host/lease", keeper.token, {})).json()
    (document,) = answer["lease"]["documents"]
    assert int(httpx.URL(document["url"]).params["X-Amz-Expires"]) <= 600


async def a_bomb_is_sent(door: Door) -> None:
    bomber = await door.host()
    answer = await door.http.post(
        "/host/complete",
        content=gzip.compress(b" " * (MAX_RESULT_BYTES + 1)),
        headers=bomber.headers | {"Content-Encoding": "gzip"},
    )
    assert answer.status_code == 413


async def a_body_is_larger_than_its_call_needs(door: Door) -> None:
    large = await door.host()
    body = b"{}" + b" " * 200_000
    answer = await door.http.post("/host/heartbeat", content=body, headers=large.headers)
    assert answer.status_code == 413


async def a_body_trickles(door: Door) -> None:
    slow = await door.host()
    answer = await answer_to(door, head("/host/lease", slow.token), b"{")
    assert answer.startswith(b"HTTP/1.1 408")


async def headers_trickle(door: Door) -> None:
    answer = await answer_to(door, b"GET /health HTTP/1.1\r\nX: ")
    assert answer.startswith(b"HTTP/1.1 408")


async def tokens_are_guessed(door: Door) -> None:
    asked = [(await door.post("/host/lease", f"guess-{n}", {})).status_code for n in range(4)]
    assert asked == [401, 401, 401, 429]


async def a_host_asks_without_end(door: Door) -> None:
    hasty = await door.host()
    asked = [(await door.post("/host/heartbeat", hasty.token, {})).status_code for _ in range(21)]
    assert asked[-1] == 429


async def very_many_ask_at_once(door: Door) -> None:
    """So many are worked on, the others wait, and all are answered."""
    busy = await door.host()
    inside = most = 0
    seen = host.mark_seen

    async def counted(db: Connection, *session: Any, **more: Any) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.5)  # for the others, if they do not wait
        inside -= 1
        await seen(db, *session, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "mark_seen", counted)
        answers = await asyncio.gather(
            *(door.post("/host/heartbeat", busy.token, {}) for _ in range(8))
        )
    assert {one.status_code for one in answers} == {200}
    assert most <= 2


async def scoped(door: Door) -> tuple[str, str]:
    """The token and the run of a host that Prefect knows."""
    run = await door.site.prefect_run()
    return (await door.host(run=run)).token, str(run)


async def a_host_asks_prefect_for_what_it_does_not_need(door: Door) -> None:
    token, _ = await scoped(door)
    answer = await door.http.get("/prefect/api/admin/settings", headers=bearer(token))
    assert answer.status_code == 403


async def a_host_reads_another_run(door: Door) -> None:
    token, _ = await scoped(door)
    foreign = await door.site.prefect_run()
    answer = await door.http.get(f"/prefect/api/flow_runs/{foreign}", headers=bearer(token))
    assert answer.status_code == 403


async def a_host_schedules_its_run_anew(door: Door) -> None:
    token, run = await scoped(door)
    state = {"state": {"type": "SCHEDULED"}}
    await door.post(f"/prefect/api/flow_runs/{run}/set_state", token, state)
    async with get_client() as prefect:
        assert (await prefect.read_flow_run(UUID(run))).state_name == "Pending"


async def a_host_reads_its_deployment(door: Door) -> None:
    """The settings of the house are not in it."""
    token, _ = await scoped(door)
    path = f"/prefect/api/deployments/{door.site.deployment}"
    answer = await door.http.get(path, headers=bearer(token))
    assert answer.status_code == 200
    assert "job_variables" not in answer.json()


async def a_host_says_that_a_document_arrived(door: Door) -> None:
    """Prefect never hears of it, though it hears what the host may say behind it."""
    token, run = await scoped(door)
    name = f"aseagi.object.created.{uuid4().hex}"
    hostile = event(name, UUID(run)) | {"resource": {"prefect.resource.id": "aseagi.object.x"}}
    url = f"{door.url.replace('http', 'ws', 1)}/prefect/api/events/in"
    async with connect(url, additional_headers=bearer(token)) as socket:
        await socket.send(json.dumps({"type": "auth"}))
        await socket.recv()
        await socket.send(json.dumps(hostile))
        await socket.send(json.dumps(event("prefect.flow-run.heartbeat", UUID(run))))

        async def came() -> bool:
            return f"prefect.flow-run.{run}" in await about("prefect.flow-run.heartbeat")

        await eventually(came)
    assert await about(name) == []


async def about(name: str) -> list[str]:
    """What the events of that name are about, as Prefect knows them."""
    wanted = EventFilter(event=EventNameFilter(name=[name])).model_dump(mode="json")
    async with get_client() as prefect:
        answer = await prefect._client.post(  # pyright: ignore[reportPrivateUsage]
            "/events/filter", json={"filter": wanted, "limit": 50}
        )
    return [one["resource"]["prefect.resource.id"] for one in answer.json()["events"]]


async def a_stranger_announces_an_object(door: Door) -> None:
    await door.tell(aws(), token="of-nobody")
    assert await door.site.rows("select key from aseagi.arrivals") == []


async def the_store_tells_of_what_the_house_wrote(door: Door) -> None:
    await door.tell(aws("processed/abc/original"))
    assert await door.site.rows("select key from aseagi.arrivals") == []


async def a_path_names_a_document(door: Door) -> None:
    with kept_lines() as lines:
        await door.http.get("/Smith v. Jones.pdf")
    assert len(lines) == 1
    assert "Smith" not in json.dumps(lines)


async def an_error_quotes_a_document(door: Door) -> None:
    unlucky = await door.host()
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the plaintiff")

    keep = Keep()
    surprises.log.addHandler(keep)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(host, "mark_seen", fail)
            answer = await door.post("/host/heartbeat", unlucky.token, {})
    finally:
        surprises.log.removeHandler(keep)
    assert answer.status_code == 500
    assert said
    assert "the plaintiff" not in answer.text + str(said)


async def a_browser_is_sent_here(door: Door) -> None:
    answer = await door.http.get("/nowhere")
    assert answer.headers.get("X-Content-Type-Options") == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers.get("Content-Security-Policy", "")


# Uploads


PDF = b"%PDF-1.7 "


async def a_client(door: Door, name: str) -> str:
    """A client's token."""
    token = uuid4().hex
    async with door.site.database.connect() as db:
        await add_client(db, name, hashed(token))
    return token


async def upload(door: Door, token: str, content: bytes, path: str) -> httpx.Response:
    return await door.http.post(
        "/uploads", params={"path": path}, content=content, headers=bearer(token)
    )


async def a_revoked_client_goes_on(door: Door) -> None:
    name = uuid4().hex
    token = await a_client(door, name)
    async with door.site.database.connect() as db:
        assert await revoke_client(db, name)
    assert (await upload(door, token, PDF, "a.pdf")).status_code == 401


async def two_files_have_one_name(door: Door) -> None:
    """Both are kept."""
    token, path = await a_client(door, "somebody"), f"{uuid4().hex}.pdf"
    contents = [PDF + b"one", PDF + b"two"]
    keys = [(await upload(door, token, one, path)).json()["key"] for one in contents]
    client = door.site.storage.client()
    bucket = door.site.storage.bucket
    kept = [client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    assert kept == contents


async def a_name_leads_elsewhere(door: Door) -> None:
    token = await a_client(door, "somebody")
    assert (await upload(door, token, PDF, "../processed/x")).status_code == 422


async def a_link_is_used_again(door: Door) -> None:
    token = uuid4().hex
    async with door.site.database.connect() as db:
        await create_link(
            db,
            token_hash=hashed(token),
            source="telegram",
            submitted_by="somebody",
            matter=None,
            lane=Lane.NOW,
            note=None,
            ttl=timedelta(hours=1),
        )
    for status in (200, 404):
        params = {"path": f"{uuid4().hex}.pdf"}
        answer = await door.http.post(
            f"/upload/{token}", params=params, content=PDF + token.encode()
        )
        assert answer.status_code == status


# --- Taking safeguards away


def with_value(target: object, name: str, value: object) -> TakeAway:
    return lambda patch: patch.setattr(target, name, value)


def read_first(patch: pytest.MonkeyPatch) -> None:
    def get_route_handler(
        self: KnownFirst,
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = APIRoute.get_route_handler(self)

        async def read_then_ask(request: Request) -> Response:
            await request.body()
            await self.ask(request)
            return await answer(request)

        return read_then_ask

    patch.setattr(callers.KnownFirst, "get_route_handler", get_route_handler)
    importlib.reload(host)


def without_revocation(patch: pytest.MonkeyPatch) -> None:
    async def keep(*_: object, **__: object) -> None:
        return None

    patch.setattr(sessions, "_end_attempts", keep)


def without_expiry(patch: pytest.MonkeyPatch) -> None:
    async def whoever(db: Connection, token_hash: bytes) -> Attempt | None:
        await db.execute(
            "update aseagi.session_attempts set expires_at = now() + interval '1 hour'"
            " where token_hash = %s",
            (token_hash,),
        )
        return await find_attempt(db, token_hash)

    patch.setattr(attempts, "find_attempt", whoever)


def without_close(patch: pytest.MonkeyPatch) -> None:
    async def never_closed(db: Connection, token_hash: bytes) -> Attempt | None:
        found = await find_attempt(db, token_hash)
        return found and replace(found, closed=False)

    patch.setattr(attempts, "find_attempt", never_closed)


async def any_page(db: Connection, **_: Any) -> list[HeldPage]:
    """Every page there is, whoever holds it."""
    cursor = await db.execute(
        "select page.document_id, page.number, document.s3_processed_path from aseagi.pages page"
        " join aseagi.documents document on document.id = page.document_id"
    )
    return [HeldPage(*row) for row in await cursor.fetchall()]


def without_fencing(patch: pytest.MonkeyPatch) -> None:
    async def by_the_page_alone(
        db: Connection, *, outcomes: list[PageOutcome], **_: Any
    ) -> tuple[int, list[Any]]:
        cursor = await db.execute("select id, attempt_id from aseagi.leases where state = 'open'")
        row = await cursor.fetchone()
        assert row is not None
        return await settle_pages(db, lease_id=row[0], attempt_id=row[1], outcomes=outcomes)

    patch.setattr(host, "held_pages", any_page)
    patch.setattr(host, "settle_pages", by_the_page_alone)


def with_bounds(**changes: Any) -> TakeAway:
    """Let bodies be what they want."""

    def take_away(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(app, "BODIES", {"/": replace(bodies.DEFAULT, **changes)})

    return take_away


def pass_everything_on(patch: pytest.MonkeyPatch) -> None:
    def passed_on(path: str) -> HTTPException:
        answer = httpx.get(f"{get_current_settings().api.url}/{path}", trust_env=False, timeout=60)
        return HTTPException(answer.status_code, answer.json())

    patch.setattr(prefect_door, "_forbidden", passed_on)


class AnyState(BaseModel):
    """Of a state, what Prefect's own models would take."""

    type: str
    is_final: Literal[True] = True


class AnySetState(BaseModel):
    """A transition as it comes."""

    state: AnyState

    def forwarded(self, _run: object) -> JsonObject:
        return {"state": {"type": self.state.type}, "force": False}


def with_any_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(prefect_messages, "SetState", AnySetState)
    importlib.reload(prefect_door)


def with_any_event(patch: pytest.MonkeyPatch) -> None:
    def as_it_came(told: HostEvent, _run: OwnRun) -> JsonObject:
        return told.model_dump(mode="json")

    patch.setattr(prefect_events, "forwarded_event", as_it_came)


def without_the_stores_token(patch: pytest.MonkeyPatch) -> None:
    async def believe(_: object, request: Request) -> None:
        introduce(request, Caller("storage"))

    patch.setattr(events.StoreTokenFirst, "ask", believe)


def with_any_key(patch: pytest.MonkeyPatch) -> None:
    def arrived(key: str, etag: str, size_bytes: int) -> list[SeenObject]:
        return [SeenObject(key, etag, size_bytes)]

    patch.setattr(notifications, "_arrived", arrived)


def whole(body: JsonValue, _fields: object) -> JsonValue:
    return body


def path_of(scope: dict[str, Any]) -> str:
    return scope["path"]


def nobody_is_checked(*_: object) -> None:
    return None


def with_revoked_clients(patch: pytest.MonkeyPatch) -> None:
    async def find(db: Connection, token_hash: bytes) -> ApiClient | None:
        cursor = await db.execute(
            "select id, name from aseagi.api_clients where token_hash = %s", (token_hash,)
        )
        row = await cursor.fetchone()
        return ApiClient(*row) if row else None

    patch.setattr(clients, "find_client", find)


def with_overwriting(patch: pytest.MonkeyPatch) -> None:
    def nothing_lies_there(_bucket: object, _key: str) -> None:
        return None

    patch.setattr(inbox, "find_object", nothing_lies_there)
    patch.setattr(inbox, "_IF_NEW", {})


def with_any_name(patch: pytest.MonkeyPatch) -> None:
    def as_it_is_called(path: str, _matter: str | None) -> str:
        return f"uploads/{path}"

    patch.setattr(uploads, "inbox_key", as_it_is_called)


def with_links_for_ever(patch: pytest.MonkeyPatch) -> None:
    async def find(db: Connection, token_hash: bytes) -> UploadLink | None:
        cursor = await db.execute(
            "select id, source, submitted_by, matter, lane, note from aseagi.upload_links "
            "where token_hash = %s",
            (token_hash,),
        )
        row = await cursor.fetchone()
        return UploadLink(*row) if row else None

    async def claim(_db: Connection, _link_id: UUID) -> bool:
        return True

    patch.setattr(upload_page, "find_link", find)
    patch.setattr(upload_page, "claim_link", claim)


SAFEGUARDS = (
    Safeguard("token first", a_stranger_announces_a_body, read_first),
    Safeguard("attempt revoked", an_earlier_attempt_speaks_up, without_revocation),
    Safeguard("token expires", a_token_outlives_its_host, without_expiry),
    Safeguard("close ends work", a_closed_session_goes_on, without_close),
    Safeguard("lease fencing", a_result_comes_after_another_host_took_the_page, without_fencing),
    Safeguard(
        "held pages",
        a_host_reports_a_page_that_it_was_not_lent,
        with_value(host, "held_pages", any_page),
    ),
    Safeguard("links of minutes", a_link_is_kept, with_value(host, "LINK_SECONDS", 7 * 86_400)),
    Safeguard("unzip limit", a_bomb_is_sent, with_value(host, "MAX_RESULT_BYTES", 10**9)),
    Safeguard("body limit", a_body_is_larger_than_its_call_needs, with_bounds(max_bytes=10**9)),
    Safeguard("slow body", a_body_trickles, with_bounds(seconds=60.0)),
    Safeguard("slow headers", headers_trickle, with_value(connections, "HEADER_SECONDS", 60.0)),
    Safeguard("failed logins", tokens_are_guessed, with_value(rates, "FAILED_LOGINS", MANY)),
    Safeguard("request rate", a_host_asks_without_end, with_value(rates, "REQUESTS", {"/": MANY})),
    Safeguard("turns", very_many_ask_at_once, with_value(app, "ROOMS", {"/host/": Room(100, 100)})),
    Safeguard(
        "door: allow-list", a_host_asks_prefect_for_what_it_does_not_need, pass_everything_on
    ),
    Safeguard(
        "door: own run",
        a_host_reads_another_run,
        with_value(prefect_door, "_only_own", nobody_is_checked),
    ),
    Safeguard("door: states", a_host_schedules_its_run_anew, with_any_state),
    Safeguard(
        "door: no settings", a_host_reads_its_deployment, with_value(prefect_door, "_picked", whole)
    ),
    Safeguard("door: own events", a_host_says_that_a_document_arrived, with_any_event),
    Safeguard("notification token", a_stranger_announces_an_object, without_the_stores_token),
    Safeguard("inboxes alone", the_store_tells_of_what_the_house_wrote, with_any_key),
    Safeguard("log: routes", a_path_names_a_document, with_value(access_log, "_route", path_of)),
    Safeguard("log: errors", an_error_quotes_a_document, with_value(surprises, "_places", str)),
    Safeguard("security headers", a_browser_is_sent_here, with_value(headers, "ALWAYS", {})),
    Safeguard("client revoked", a_revoked_client_goes_on, with_revoked_clients),
    Safeguard("never over others", two_files_have_one_name, with_overwriting),
    Safeguard("names that stay", a_name_leads_elsewhere, with_any_name),
    Safeguard("link works once", a_link_is_used_again, with_links_for_ever),
)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes are fractions of a second, and thousands a few."""
    monkeypatch.setattr(app, "BODIES", {"/": replace(bodies.DEFAULT, seconds=BRIEF_SECONDS)})
    monkeypatch.setattr(app, "ROOMS", {"/host/": Room(at_once=2, per_caller=2)})
    monkeypatch.setattr(connections, "HEADER_SECONDS", BRIEF_SECONDS)
    monkeypatch.setattr(rates, "FAILED_LOGINS", RateLimitItemPerMinute(3))
    monkeypatch.setattr(rates, "REQUESTS", {"/host/": RateLimitItemPerMinute(20)})


@asynccontextmanager
async def without(safeguard: Safeguard, site: Site) -> AsyncGenerator[Door]:
    """The gateway as it would be without it."""
    with pytest.MonkeyPatch.context() as patch:
        safeguard.take_away(patch)
        async with open_door(site) as door:
            yield door
    # Routes made of what was taken away are made again.
    for module in (host, prefect_door):
        importlib.reload(module)


each_safeguard = pytest.mark.parametrize(
    "safeguard", SAFEGUARDS, ids=[one.name for one in SAFEGUARDS]
)


@each_safeguard
async def test_with_the_safeguard_it_goes_well(hasty: None, safeguard: Safeguard, at: Site) -> None:
    async with open_door(at) as door:
        await safeguard.scenario(door)


@each_safeguard
async def test_without_the_safeguard_it_does_not(
    hasty: None, safeguard: Safeguard, at: Site
) -> None:
    async with without(safeguard, at) as door:
        with pytest.raises(AssertionError):
            await safeguard.scenario(door)
