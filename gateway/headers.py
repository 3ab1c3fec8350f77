"""What every answer tells browsers and proxies: keep nothing, embed nothing, guess nothing.

The gateway speaks JSON to programs. A browser that comes here by a link or a trick of
somebody else's page must be able to do nothing with what it gets.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.refusals import DENIAL, refuse

ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer, whatever its status; a route may set its own instead."""

ON_HTTPS = "max-age=31536000"
"""A year of HTTPS only, where the gateway's own address is an https one."""

_ANSWERS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


class SecurityHeaders:
    """ASGI middleware: adds the headers, and gives refused WebSockets an answer to add them to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with a `send` that adds the headers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        answered = False

        async def with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] in _ANSWERS:
                answered = True
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                if _is_https(scope):
                    headers.setdefault("Strict-Transport-Security", ON_HTTPS)
            elif message["type"] == "websocket.close" and not answered and _may_deny(scope):
                reason = message.get("reason") or "There is no WebSocket here for this caller."
                await refuse(scope, receive, with_headers, 403, reason)
                return
            await send(message)

        await self._app(scope, receive, with_headers)


def _may_deny(scope: Scope) -> bool:
    return DENIAL in scope.get("extensions", {})


def _is_https(scope: Scope) -> bool:
    """Whether people reach the gateway by https, as its block says; a proxy's word is not asked."""
    services = getattr(scope["app"].state, "services", None)
    return services is not None and services.settings.url.startswith("https://")
