"""The gateway: replicas that hold sockets, and `WebSocketManager`, which is one of them inside your application."""

from fairlead_gateway.manager import WebSocketManager
from fairlead_gateway.settings import Settings

__all__ = ["Settings", "WebSocketManager"]
