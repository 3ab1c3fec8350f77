"""The events of a run, from a host's WebSocket to Prefect.

The host's Prefect client believes it speaks to Prefect; here its login frame is
answered, and its events, checked one by one, go on in requests with the gateway's own
login. Nothing of that login is on the host's side of it.

Guarantees: no event passes that is not of the token's own run; the token is asked for
again every few seconds, so that a revoked one ends its connection too. An event that
may not pass is dropped and named in the log; a host that keeps on is disconnected.
"""

import asyncio
import contextlib
import logging
import time

import psycopg
from fastapi import HTTPException, WebSocket, WebSocketDisconnect
from psycopg_pool import PoolTimeout
from pydantic import ValidationError
from starlette.websockets import WebSocketState

from gateway.attempts import attempt_of
from gateway.prefect_api import JsonObject, PrefectApi, PrefectAway, PrefectRefused
from gateway.prefect_messages import EventRefused, HostEvent, forwarded_event
from gateway.refusals import POLICY_VIOLATION, refuse
from gateway.services import Services
from sql.sessions import Attempt

log = logging.getLogger("aseagi.gateway.prefect")

MAX_EVENT_CHARACTERS = 512 * 1024
LOGIN_SECONDS = 10.0
ASK_AGAIN_SECONDS = 5.0
REFUSED_AT_MOST = 50

TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


class _Ended(Exception):
    """The connection is over; `code` and text tell the host why."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


async def deny(socket: WebSocket, status: int, reason: str) -> None:
    """Refuse a WebSocket that is not accepted yet, with a status and a reason."""
    await refuse(socket.scope, socket.receive, socket.send, status, reason)


async def carry_events(socket: WebSocket) -> None:
    """Carry events until the host leaves, its token ends, or Prefect is away."""
    using: Services = socket.app.state.services
    try:
        await attempt_of(socket, using)
    except HTTPException as stranger:
        await deny(socket, stranger.status_code, str(stranger.detail))
        return
    offered = socket.headers.get("sec-websocket-protocol", "")
    await socket.accept(subprotocol="prefect" if "prefect" in offered else None)
    try:
        await _answer_login(socket)
        await _carry(socket, using)
    except WebSocketDisconnect:
        return
    except _Ended as ended:
        await _close(socket, ended.code, str(ended))
    except PrefectAway as away:
        log.warning("events cannot be passed on: %s", away)
        await _close(socket, TRY_AGAIN_LATER, "Prefect is away; try again.")
    except (psycopg.Error, PoolTimeout) as away:
        log.warning("events cannot be passed on: %s", type(away).__name__)
        await _close(socket, TRY_AGAIN_LATER, "The database is away; try again.")


async def _answer_login(socket: WebSocket) -> None:
    """Take the login frame of Prefect's protocol; who calls is known by the token already."""
    try:
        async with asyncio.timeout(LOGIN_SECONDS):
            frame = await _text_of_frame(socket)
    except TimeoutError:
        raise _Ended(POLICY_VIOLATION, "No 'auth' message came.") from None
    if len(frame) > 10_000 or '"auth"' not in frame:
        raise _Ended(POLICY_VIOLATION, "Expected an 'auth' message.")
    await socket.send_json({"type": "auth_success"})


async def _carry(socket: WebSocket, using: Services) -> None:
    refused = 0
    attempt = await _valid_attempt(socket, using)
    asked = time.monotonic()
    while True:
        text = await _next_frame(socket)
        if time.monotonic() - asked > ASK_AGAIN_SECONDS or text is None:
            attempt = await _valid_attempt(socket, using)
            asked = time.monotonic()
        if text is None:
            continue
        if len(text) > MAX_EVENT_CHARACTERS:
            raise _Ended(TOO_BIG, f"An event exceeds {MAX_EVENT_CHARACTERS} characters.")
        try:
            event = await _allowed(text, attempt, using.prefect)
            await using.prefect.call("POST", "events", [event])
        except (EventRefused, PrefectRefused) as reason:
            refused += 1
            log.warning("an event of run %s was refused: %s", attempt.flow_run_id, reason)
            if refused > REFUSED_AT_MOST:
                raise _Ended(POLICY_VIOLATION, "Too many refused events.") from None
            continue


async def _next_frame(socket: WebSocket) -> str | None:
    """The next frame; None when none came for a while."""
    try:
        async with asyncio.timeout(ASK_AGAIN_SECONDS):
            return await _text_of_frame(socket)
    except TimeoutError:
        return None


async def _text_of_frame(socket: WebSocket) -> str:
    try:
        return await socket.receive_text()
    except KeyError:  # Starlette's word for a frame that is not text
        raise _Ended(POLICY_VIOLATION, "Only text frames are understood.") from None


async def _valid_attempt(socket: WebSocket, using: Services) -> Attempt:
    try:
        return await attempt_of(socket, using)
    except HTTPException as over:
        raise _Ended(POLICY_VIOLATION, str(over.detail)) from None


async def _allowed(text: str, attempt: Attempt, prefect: PrefectApi) -> JsonObject:
    """The event as it may go on; raises `EventRefused` if it may not."""
    try:
        told = HostEvent.model_validate_json(text)
    except ValidationError:
        raise EventRefused("it is no event") from None
    event = forwarded_event(told, await prefect.run(attempt.flow_run_id))
    task_run_id = told.resource_id("task-run")
    if task_run_id and not await prefect.owns_task_run(attempt.flow_run_id, task_run_id):
        raise EventRefused("the task run is of another flow run")
    return event


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    if socket.client_state == WebSocketState.CONNECTED:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.close(code, reason)
