"""The table as routes of Starlette, and the few beside it."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache, partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from fairlead.errors import Unavailable
from fairlead_gateway.rest import asyncapi, openapi
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.intake import Intake
from fairlead_gateway.rest.metrics import metrics_routes
from fairlead_gateway.rest.pages import client_routes, page_routes
from fairlead_gateway.rest.problems import problem, problem_of
from fairlead_gateway.rest.requests import serve
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS


class Below(ABC):
    """Whatever is asked below `PREFIX`, in whichever method; a class, so that Starlette leaves methods to it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        intake = Intake(scope, receive)
        try:
            response = await self._answer(Request(scope), intake)
            if not intake.is_over:
                await intake.drain()
        except asyncio.CancelledError:
            # The server ends, and breaks off what still goes on: the client asks elsewhere, and nothing has failed.
            response = problem_of(Unavailable("this replica leaves; ask again"))
        if not intake.is_over and scope["http_version"] in ("1.0", "1.1"):
            # What still comes would hold the connection for as long as the client likes.
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    @abstractmethod
    async def _answer(self, request: Request, intake: Intake) -> Response: ...


class Resource(Below):
    """All rows of one path."""

    def __init__(self, api: Api, rows: Sequence[Row]) -> None:
        self._api = api
        self._rows: dict[str, Row] = {row.method: row for row in rows}
        if "GET" in self._rows:
            self._rows["HEAD"] = self._rows["GET"]
        self._allow = ", ".join((*self._rows, "OPTIONS"))

    async def _answer(self, request: Request, intake: Intake) -> Response:
        row = self._rows.get(request.method)
        if row is not None:
            return await serve(self._api, row, request, intake)
        allow = {"allow": self._allow}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        return problem(405, f"this takes {self._allow}", headers=allow)


class Nowhere(Below):
    """No route of ours."""

    async def _answer(self, request: Request, intake: Intake) -> Response:
        return problem(404, "there is no such route", code="not_found")


class Exactly(Route):
    """A route for a path and no other: that of Starlette ignores a line feed at the end, and stops at any before."""

    def __init__(self, path: str, endpoint: Below, name: str | None = None) -> None:
        super().__init__(path, endpoint, name=name)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$") + r"\Z", re.DOTALL)


def routes_of_clients(api: Api) -> list[BaseRoute]:
    """What clients use, and nothing else (T16)."""
    return [*health_routes(api), *api_routes(api, [row for row in ROWS if row.is_public]), *client_routes()]


def all_routes(api: Api) -> list[BaseRoute]:
    """What clients use, and what is for operators alone."""
    pages = [*document_routes(), *page_routes(), *client_routes()]
    return [*health_routes(api), *metrics_routes(api), *api_routes(api), *pages]


def api_routes(api: Api, rows: Iterable[Row] = ROWS) -> list[BaseRoute]:
    """The table, and what says so where there is no such route."""
    by_path: dict[str, list[Row]] = {}
    for row in rows:
        by_path.setdefault(row.path, []).append(row)
    nowhere = Nowhere()

    return [
        *(Exactly(PREFIX + _pattern(some[0]), Resource(api, some), name=path) for path, some in by_path.items()),
        Exactly(PREFIX, nowhere),
        Exactly(PREFIX + "/{rest:path}", nowhere),
    ]


def _pattern(row: Row) -> str:
    return row.path.replace("}", ":path}") if row.is_wide else row.path


def health_routes(api: Api) -> list[BaseRoute]:
    """Whether the process lives, and whether clients should be sent here (ADM-5)."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        checks = api.readiness()
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def document_routes() -> list[BaseRoute]:
    """What is asked over HTTP, and what is said over WebSockets, each described."""
    return [
        Route("/openapi.json", _document(partial(openapi.document, ROWS)), methods=["GET"]),
        Route("/asyncapi.json", _document(asyncapi.document), methods=["GET"]),
    ]


def _document(make: Callable[[], Mapping[str, object]]) -> Callable[[Request], Awaitable[Response]]:
    """Made when it is first asked for: most replicas are never asked."""
    once = cache(make)

    async def document(_request: Request) -> Response:
        return JSONResponse(once(), headers={"cache-control": "no-cache"})

    return document
