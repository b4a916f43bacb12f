"""The routes of the demonstration page: itself, its files, a token for it, and what it has backends do."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fairlead.errors import Conflict, FairleadError, Forbidden
from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.rest.api import Api
from fairlead_gateway.rest.demo.guests import WHY_NOT, for_page, may_ask, sockets, sockets_for
from fairlead_gateway.rest.demo.stage import Stage
from fairlead_gateway.rest.demo.wishes import Ask, Invitation, Notify, Roll, Say, wish
from fairlead_gateway.rest.headers import Files, page_headers
from fairlead_gateway.rest.problems import problem_of
from fairlead_gateway.rest.route import Body
from fairlead_gateway.settings import Settings

log = structlog.get_logger(__name__)

FOLDER: Final = Path(__file__).parents[2] / "static"
TOKEN_SECONDS: Final = 3600
GRANTED: Final = ("sessions", "topics", "tasks", "instances")

SETTLED_SECONDS: Final = 12.0
"""Life after which a replica may be killed; more than that after which `fairlead dev` takes a start for a good one."""

LAST_WORD_SECONDS: Final = 0.1
"""Between the answer of a replica that shall kill itself, and its end."""

Answer = Callable[[Request], Awaitable[Response]]
B = TypeVar("B", bound=Body)


def demo_routes(settings: Settings, api: Api) -> list[BaseRoute]:
    """The routes of the page; none unless ``settings.demo`` names the replicas it may use."""
    if not settings.demo:
        return []
    page, stage = _page(settings), Stage(api)
    asked = {
        "invitations": _invitations(settings),
        "tasks": _wishes(settings, Roll, stage.roll),
        "questions": _wishes(settings, Ask, stage.ask),
        "notifications": _wishes(settings, Notify, stage.notify),
        "messages": _wishes(settings, Say, stage.say),
        "kill": _kill(settings),
    }
    return [
        Route("/", page, methods=["GET"]),
        Route("/demo", page, methods=["GET"]),
        *(Route(f"/demo/{name}", answer, methods=["POST"]) for name, answer in asked.items()),
        Mount("/demo/static", Files(FOLDER / "demo", page_headers())),
        # Where only what clients use is served, the page has to bring along what it shares with the dashboard.
        Mount("/demo/dashboard", Files(FOLDER / "dashboard", page_headers())),
        Mount("/demo/client", Files(FOLDER / "client", page_headers())),
        Mount("/demo/vendor", Files(FOLDER / "vendor", page_headers())),
    ]


def _page(settings: Settings) -> Answer:
    headers = page_headers(connect=(*settings.demo, *sockets(settings)))

    async def page(_request: Request) -> Response:
        return FileResponse(FOLDER / "demo" / "index.html", headers=headers)

    return page


def _invitations(settings: Settings) -> Answer:
    secret = settings.jwt_secret.get_secret_value()
    grants = dict.fromkeys(GRANTED, ("*",))

    async def invite(request: Request) -> dict[str, Any]:
        user = (await wish(request, Invitation)).user
        token = Wish(
            user, ttl_seconds=TOKEN_SECONDS, grants=grants, audience=settings.jwt_audience, issuer=settings.jwt_issuer
        )
        return {"token": mint(secret, token), "sockets": sockets_for(request.headers.get("host", ""), settings)}

    return _answering(settings, 200, invite)


def _wishes(settings: Settings, kind: type[B], do: Callable[[B], Awaitable[dict[str, Any]]]) -> Answer:
    async def grant(request: Request) -> dict[str, Any]:
        return await do(await wish(request, kind))

    return _answering(settings, 202, grant)


def _kill(settings: Settings) -> Answer:
    """The end of this replica, as by a power cut; ``fairlead dev`` starts it again."""
    born = time.monotonic()

    async def kill(request: Request) -> dict[str, Any]:
        if request.headers.get("origin") is None:
            raise Forbidden(WHY_NOT)
        left = SETTLED_SECONDS - (time.monotonic() - born)
        if left > 0:
            # What dies again and again before it has settled is not started any more.
            raise Conflict(f"this replica has only just begun: try again in {math.ceil(left)} s")
        log.warning("killed from the demonstration page")
        asyncio.get_running_loop().call_later(LAST_WORD_SECONDS, os.kill, os.getpid(), signal.SIGKILL)
        return {}

    return _answering(settings, 202, kill)


def _answering(settings: Settings, status: int, do: Callable[[Request], Awaitable[dict[str, Any]]]) -> Answer:
    """What *do* returns, or why it does not, in words that the page can read; nobody else gets that far."""

    async def answer(request: Request) -> Response:
        if not may_ask(request.headers.get("host", ""), request.headers.get("origin"), settings):
            return problem_of(Forbidden(WHY_NOT))
        try:
            response: Response = JSONResponse(await do(request), status)
        except FairleadError as error:
            response = problem_of(error)
        response.headers.update(for_page(request))
        return response

    return answer
