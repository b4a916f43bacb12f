"""The ASGI application of a replica: Starlette for HTTP, and for WebSockets the shortest way to the endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute, WebSocketRoute, compile_path
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

PATHS: Final[Mapping[str, Mapping[str, str]]] = {
    "/ws": {},
    "/ws/chat": {},
    "/ws/chat/session/{session_id}": {},
    "/ws/instance/{name}": {},
    "/ws/monitor/tasks": {"monitor": "tasks"},
    "/ws/admin/monitor": {"monitor": "admin"},
}
"""Where clients connect, and what such a path says by itself; see `fairlead_gateway.sessions.opening.Place`."""

OPERATORS: Final = frozenset({"/ws/admin/monitor"})
"""Those of `PATHS` that belong where operators connect (T16)."""

CLIENTS: Final[Mapping[str, Mapping[str, str]]] = {path: said for path, said in PATHS.items() if path not in OPERATORS}
"""The others."""

PAGED: Final[Mapping[str, Mapping[str, str]]] = {path: {**said, "pages": "own"} for path, said in PATHS.items()}
"""All of them, where the pages of operators are served and may connect."""


class Application(Starlette):
    """
    Routes of Starlette, which can be mounted and wrapped like any other application.

    A WebSocket on one of *paths* skips Starlette's middleware for errors, which a replica answers itself, and the
    search through all routes; not so once somebody has added middleware of their own.

    :param paths: as `PATHS`, or some of them.
    """

    def __init__(
        self,
        endpoint: ASGIApp,
        routes: Sequence[BaseRoute],
        lifespan: Lifespan[Starlette],
        paths: Mapping[str, Mapping[str, str]] = PATHS,
    ) -> None:
        super().__init__(
            routes=[*(WebSocketRoute(path, _Told(endpoint, said)) for path, said in paths.items()), *routes],
            lifespan=lifespan,
        )
        self._endpoint = endpoint
        self._patterns = tuple((compile_path(path)[0], said) for path, said in paths.items())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parameters = self._parameters(scope) if scope["type"] == "websocket" and not self.user_middleware else None
        if parameters is None:
            await super().__call__(scope, receive, send)
        else:
            await self._endpoint({**scope, "app": self, "path_params": parameters}, receive, send)

    def _parameters(self, scope: Scope) -> dict[str, str] | None:
        """The path parameters of a WebSocket for us, or None."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        for pattern, said in self._patterns:
            if (match := pattern.match(path)) is not None:
                return {**match.groupdict(), **said}
        return None


class _Told:
    """The endpoint, told what a path says by itself; a class, since Starlette takes functions for something else."""

    def __init__(self, endpoint: ASGIApp, said: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._said = said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint({**scope, "path_params": {**scope["path_params"], **self._said}}, receive, send)
