"""What nobody expected becomes an answer and one line in the log, without what was said.

A traceback of a library may quote a document, a token or a signed link in its message.
So the log names the kind of error and the places it came through, not its words.
"""

import logging
import traceback

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.refusals import refuse

log = logging.getLogger("aseagi.gateway")

PLACES = 6


class Surprises:
    """ASGI middleware: 500 for an error that is nobody's; silence for a client who left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the last line of defence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answered = False

        async def watched(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, its words stay in here
            log.error("a request failed: %s at %s", type(error).__name__, _places(error))  # noqa: TRY400
            if answered:
                raise BrokenOff from None
            await refuse(scope, receive, send, 500, "The gateway failed; its log says where.")


class BrokenOff(Exception):
    """An answer was begun and cannot be ended: the connection is closed."""


def _places(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    return " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
