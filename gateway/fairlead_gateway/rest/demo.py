"""The demonstration page of ``fairlead dev``: two people in one session, each on a replica of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fairlead.errors import InvalidMessage
from fairlead.names import checked_id
from fairlead_gateway.access.minting import Wish, mint
from fairlead_gateway.preflight import is_loopback
from fairlead_gateway.rest.headers import Files, page_headers
from fairlead_gateway.settings import Settings

FOLDER: Final = Path(__file__).parent.parent / "static" / "dev"
TOKEN_SECONDS: Final = 3600
MAX_REQUEST_BYTES: Final = 1024

Answer = Callable[[Request], Awaitable[Response]]


def demo_routes(settings: Settings) -> list[BaseRoute]:
    """The routes of the page; none unless ``settings.demo`` names the replicas it may use."""
    if not settings.demo:
        return []
    page = _page(settings)
    return [
        Route("/", page, methods=["GET"]),
        Route("/demo", page, methods=["GET"]),
        Route("/demo/invitations", _invitations(settings), methods=["POST"]),
        Mount("/demo/static", Files(FOLDER, page_headers())),
    ]


def sockets(settings: Settings) -> list[str]:
    """WebSocket origins of the replicas: ``ws://127.0.0.1:8000``."""
    return [origin.replace("http", "ws", 1) for origin in settings.demo]


def _page(settings: Settings) -> Answer:
    headers = page_headers(connect=sockets(settings))

    async def page(_request: Request) -> Response:
        return FileResponse(FOLDER / "index.html", headers=headers)

    return page


def _invitations(settings: Settings) -> Answer:
    secret = settings.jwt_secret.get_secret_value()

    async def invitation(request: Request) -> Response:
        if not may_be_invited(request.headers.get("host", ""), request.headers.get("origin"), settings):
            return _problem(403, "only the page itself may ask, under a name of this machine")
        try:
            user = checked_id(await _user(request), "user")
        except (InvalidMessage, ValueError) as error:
            return _problem(400, str(error))
        grants = dict.fromkeys(("sessions", "topics", "tasks"), ("*",))
        wish = Wish(
            user, ttl_seconds=TOKEN_SECONDS, grants=grants, audience=settings.jwt_audience, issuer=settings.jwt_issuer
        )
        answer = {"token": mint(secret, wish), "sockets": sockets(settings)}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return invitation


def may_be_invited(host: str, origin: str | None, settings: Settings) -> bool:
    """Whether the request is from the page: another site's name that resolves to this machine is not ours."""
    named = urlsplit(f"//{host}").hostname or ""
    return is_loopback(named) and (origin is None or origin in settings.allowed_origins)


async def _user(request: Request) -> object:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise InvalidMessage("the request is too long")
    asked = orjson.loads(body)
    return asked.get("user") if isinstance(asked, dict) else None


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"status": status, "detail": detail}, status, media_type="application/problem+json")
