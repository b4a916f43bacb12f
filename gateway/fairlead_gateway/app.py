"""A replica as an ASGI application of its own."""

from __future__ import annotations

from starlette.applications import Starlette

from fairlead_gateway.manager import WebSocketManager
from fairlead_gateway.settings import Settings


def create_app(settings: Settings | None = None) -> Starlette:
    """The application that ``fairlead serve`` runs; any ASGI server can."""
    return WebSocketManager(settings).app
