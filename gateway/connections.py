"""Connections that dawdle are closed: what uvicorn leaves to a proxy in front of it.

headers         sent whole within `HEADER_SECONDS` of the connection, or of their first byte
between two     uvicorn's own `timeout_keep_alive`
body            `gateway.bodies`
after a refusal the rest of a body is read and dropped for `LINGER_SECONDS`, so that the
                client sees the answer; then the connection is closed
"""

import asyncio
import json
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.headers import ALWAYS

HEADER_SECONDS = 10.0
LINGER_SECONDS = 5.0


class PunctualConnection(H11Protocol):
    """uvicorn's connection with a limit on the time that headers take."""

    _headers_due: asyncio.TimerHandle | None = None
    _close_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on, and see whether they end a request's headers, or begin some."""
        super().data_received(data)
        self._end_lingering()
        self._watch_headers()

    def _end_lingering(self) -> None:
        """The body came to its end after all: the connection may serve the next request."""
        if self._close_due is None:
            return
        # There is a cycle: it was when one was answered that the clock was set.
        if not self.cycle.response_complete or self.conn.their_state is not h11.SEND_BODY:
            self._close_due.cancel()
            self._close_due = None

    def on_response_complete(self) -> None:
        """Do not read for ever what is left of a body that was answered before its end."""
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._close_due = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            # Part of the next request is here already: uvicorn waits for it as between two.
            self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        for due in (self._headers_due, self._close_due):
            if due is not None:
                due.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words
        """Answer what is no HTTP in the words and with the headers of every other refusal."""
        self._refuse(400, "This is not HTTP, or its headers are too long.")

    def _watch_headers(self) -> None:
        waits = self.conn.their_state is h11.IDLE and not self.transport.is_closing()
        if waits and self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._headers_are_late)
        elif not waits and self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _headers_are_late(self) -> None:
        begun, _ = self.conn.trailing_data
        if begun:
            self._refuse(408, f"The headers took more than {HEADER_SECONDS:.0f} s.")
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer outside the application, which has seen nothing of the request; then close."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = json.dumps({"detail": reason}).encode()
            headers = ALWAYS | {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
            phrase = HTTPStatus(status).phrase.encode()
            answer = h11.Response(status_code=status, headers=list(headers.items()), reason=phrase)
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
