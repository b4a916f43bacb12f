"""The gateway: replicas that hold sockets, and `WebSocketManager`, which is one of them inside your application."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairlead_gateway.dispatch.dispatcher import MessageDispatcher as MessageDispatcher
    from fairlead_gateway.manager import WebSocketManager as WebSocketManager
    from fairlead_gateway.monitor import ConnectionMonitor as ConnectionMonitor
    from fairlead_gateway.pool import ConnectionPool as ConnectionPool
    from fairlead_gateway.settings import Settings as Settings

_HOMES = {
    "ConnectionMonitor": "fairlead_gateway.monitor",
    "ConnectionPool": "fairlead_gateway.pool",
    "MessageDispatcher": "fairlead_gateway.dispatch.dispatcher",
    "Settings": "fairlead_gateway.settings",
    "WebSocketManager": "fairlead_gateway.manager",
}

__all__ = ["ConnectionMonitor", "ConnectionPool", "MessageDispatcher", "Settings", "WebSocketManager"]


def __getattr__(name: str) -> Any:
    """Loaded when first asked for: a command line that only sends must not wait for a server to be imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
