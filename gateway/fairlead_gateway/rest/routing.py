"""The table as routes of Starlette, and the few beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.openapi import document
from fairlead_gateway.rest.problems import problem
from fairlead_gateway.rest.requests import serve
from fairlead_gateway.rest.route import PREFIX, Row
from fairlead_gateway.rest.table import ROWS

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
"""Whatever is asked below `PREFIX` is answered by us, with a problem document at least."""


class Resource:
    """All rows of one path; a class, so that Starlette leaves methods to it."""

    def __init__(self, api: Api, rows: Sequence[Row]) -> None:
        self._api = api
        self._rows = {row.method: row for row in rows}
        gets = ("GET", "HEAD") if "GET" in self._rows else ()
        self._allow = ", ".join(dict.fromkeys((*gets, *self._rows, "OPTIONS")))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await (await self._answer(request))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        for known, row in self._rows.items():
            if known == method:
                return await serve(self._api, row, request)
        if method == "OPTIONS":
            return Response(status_code=204, headers={"allow": self._allow})
        return problem(405, f"this takes {self._allow}", headers={"allow": self._allow})


def api_routes(api: Api, rows: Iterable[Row] = ROWS) -> list[BaseRoute]:
    """The table, and what says so where there is no such route."""
    by_path: dict[str, list[Row]] = {}
    for row in rows:
        by_path.setdefault(row.path, []).append(row)

    async def nowhere(_request: Request) -> Response:
        return problem(404, "there is no such route; see /openapi.json", code="not_found")

    return [
        *(Route(PREFIX + _pattern(some[0]), Resource(api, some), name=path) for path, some in by_path.items()),
        Route(PREFIX + "/{rest:path}", nowhere, methods=METHODS),
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
    """The description of the table."""
    made = document(ROWS)

    async def openapi(_request: Request) -> Response:
        return JSONResponse(made, headers={"cache-control": "no-cache"})

    return [Route("/openapi.json", openapi, methods=["GET"])]
