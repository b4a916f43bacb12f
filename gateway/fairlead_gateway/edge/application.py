"""The ASGI application of a replica: Starlette for HTTP, and for WebSockets the shortest way to the endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

PATHS: Final = (
    "/ws",
    "/ws/chat",
    "/ws/chat/session/{session_id}",
    "/ws/instance/{name}",
)
"""Where clients connect; the parameters are those of `fairlead_gateway.sessions.opening.Place`."""

_PATTERNS: Final = tuple(compile_path(path)[0] for path in PATHS)


class Application(Starlette):
    """
    Routes of Starlette, which can be mounted and wrapped like any other application.

    A WebSocket on one of `PATHS` skips Starlette's middleware for errors, which a replica answers itself, and the
    search through all routes; not so once somebody has added middleware of their own.
    """

    def __init__(self, endpoint: ASGIApp, routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette]) -> None:
        super().__init__(routes=[*(WebSocketRoute(path, endpoint) for path in PATHS), *routes], lifespan=lifespan)
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parameters = _parameters(scope) if scope["type"] == "websocket" and not self.user_middleware else None
        if parameters is None:
            await super().__call__(scope, receive, send)
        else:
            await self._endpoint({**scope, "app": self, "path_params": parameters}, receive, send)


def _parameters(scope: Scope) -> dict[str, str] | None:
    """The path parameters of a WebSocket for us, or None."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    for pattern in _PATTERNS:
        if (match := pattern.match(path)) is not None:
            return match.groupdict()
    return None
