"""The door: a connection that begins as a WebSocket goes straight to its protocol, every other to uvicorn's HTTP."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from fairlead_gateway.edge.asgi import ends_of
from fairlead_gateway.edge.http import HttpProtocol, http_class
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.wire.upgrade import plain_upgrade


class Door(asyncio.Protocol):
    """
    Looks at the first bytes of a connection, then steps aside.

    A whole, plain upgrade request is what nearly every WebSocket client sends at once; reading it here saves making
    and feeding an HTTP parser, which is a tenth of a handshake. Anything else is `HttpProtocol`'s to judge.

    Who comes when few files are left is hung up on: the last ones are for Redis, which may have to be found again.
    """

    http: type[HttpProtocol] = HttpProtocol
    files = sys.maxsize
    """File descriptors from this number on are not for clients; the kernel gives the lowest that is free."""

    __slots__ = ("_app_state", "_config", "_deadline", "_server_state", "_transport")

    _transport: asyncio.Transport
    _deadline: asyncio.TimerHandle

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._server_state = server_state
        self._app_state = app_state

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(cast(Any, self))
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(self.http.header_timeout_seconds, self._transport.close)
        if self._transport.get_extra_info("socket").fileno() >= self.files:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._step_aside()
        if self._transport.is_closing():
            return
        socket_class = self._config.ws_protocol_class
        upgrade = plain_upgrade(data)
        if upgrade is None or not (isinstance(socket_class, type) and issubclass(socket_class, WebSocketProtocol)):
            protocol = self.http(self._config, self._server_state, self._app_state)
            protocol.connection_made(self._transport)
            self._transport.set_protocol(protocol)
            protocol.data_received(data)
            return
        socket = socket_class(self._config, self._server_state, self._app_state)
        socket.connection_made(self._transport)
        self._transport.set_protocol(socket)
        socket.begin(*upgrade, ends_of(self._transport))

    def connection_lost(self, exc: Exception | None) -> None:
        self._step_aside()

    def shutdown(self) -> None:
        """The server stops: nothing was asked yet."""
        self._transport.close()

    def _step_aside(self) -> None:
        self._deadline.cancel()
        self._server_state.connections.discard(cast(Any, self))


def door_class(header_timeout_seconds: float, files: int = sys.maxsize) -> type[Door]:
    """The protocol with this deadline for request heads and these *files*, for ``uvicorn.Config(http=…)``."""
    return type("Door", (Door,), {"http": http_class(header_timeout_seconds), "files": files, "__slots__": ()})
