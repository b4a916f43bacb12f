"""Who may ask for what the demonstration page asks for: the page itself, under a name of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from fairlead_gateway.preflight import is_loopback
from fairlead_gateway.settings import Settings

WHY_NOT: Final = "only the page itself may ask, under a name of this machine"


def may_ask(host: str, origin: str | None, settings: Settings) -> bool:
    """Whether the request is from the page: another site's name that resolves to this machine is not ours."""
    named = urlsplit(f"//{host}").hostname or ""
    return is_loopback(named) and (origin is None or origin in settings.allowed_origins)


def for_page(request: Request) -> dict[str, str]:
    """Headers of an answer that the page of the other replica may read as well, if `may_ask` let it."""
    origin = request.headers.get("origin")
    shared = {} if origin is None else {"access-control-allow-origin": origin, "vary": "origin"}
    return {"cache-control": "no-store", **shared}


def sockets(settings: Settings) -> list[str]:
    """WebSocket origins of the replicas: ``ws://127.0.0.1:8000``."""
    return [origin.replace("http", "ws", 1) for origin in settings.demo]


def sockets_for(host: str, settings: Settings) -> Sequence[str]:
    """
    The origins that a page at *host* connects to; none where it shall use the one that it came from.

    Whoever came to a replica itself knows them all by name. Whoever came to another port, where something stands in
    front of the replicas, stays with that.
    """
    ports = {urlsplit(origin).port for origin in settings.demo}
    return sockets(settings) if urlsplit(f"//{host}").port in ports else ()
