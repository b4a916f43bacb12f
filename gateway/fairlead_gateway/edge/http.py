"""uvicorn's HTTP/1.1 with a deadline and a bound for request heads, handing upgrades over as they were parsed."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from fairlead_gateway.edge.asgi import ends_of
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.wire.upgrade import Head, response

_MAX_HEAD_BYTES: Final = 64 * 1024
_MAX_PIPELINED: Final = 16
"""Requests that may wait for the answer to an earlier one; hardly any client sends a second."""


class _TooManyRequests(Exception):
    """Stops the parser in the middle of what was read."""


class HttpProtocol(HttpToolsProtocol):
    """
    One HTTP connection.

    A client that has not sent a whole request head in time is answered 408, or cut off if it has said nothing: uvicorn
    would wait for ever (0.54).
    """

    header_timeout_seconds: ClassVar[float] = 5.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._upgrades = False

    # -- the deadline ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # Not uvicorn's, which spends a tenth of a handshake on asking the socket for its two names (0.54).
        self.connections.add(self)
        self.transport = transport
        self.flow = FlowControl(transport)
        self._ends = ends_of(transport)
        self.client, self.server = self._ends.client, self._ends.server
        self.scheme = "https" if self._ends.secure else "http"
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        # uvicorn leaves it running after a reset, and all of this with it (0.54).
        self._unset_keepalive_if_required()
        # These know this object, too: without this they would wait for the collector.
        self.pipeline.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        if len(self.pipeline) == _MAX_PIPELINED:
            # uvicorn sets no bound (0.54): one read of 256 KiB can hold thousands, each of them some kilobytes here.
            self.transport.abort()
            raise _TooManyRequests
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        self._upgrades = self.parser.should_upgrade() and super()._should_upgrade()
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        """uvicorn asks this up to four times for each request."""
        return self._upgrades

    def _expect_head(self) -> None:
        if self._head_deadline is None:
            self._head_bytes = 0
            self._head_deadline = self.loop.call_later(self.header_timeout_seconds, self._head_is_late)

    def _head_is_here(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    @property
    def _is_answering(self) -> bool:
        """Whether an earlier request of this connection still waits for the end of its response."""
        return self.cycle is not None and not self.cycle.response_complete

    def _head_is_late(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT if self._head_bytes else None)

    def _refuse(self, status: HTTPStatus | None) -> None:
        """End the connection, with a response if one may be sent: never into the middle of another."""
        self._head_is_here()
        if status is not None and not self._is_answering:
            self.transport.write(response(status, self.server_state.default_headers))
        self.transport.close()

    # -- bytes -------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            # Not `send_400_response`: it logs a warning for every scanner that passes by.
            self._refuse(HTTPStatus.BAD_REQUEST)
        except httptools.HttpParserUpgrade as upgrade:
            self._leave(data[upgrade.args[0] :])
        else:
            if self._head_deadline is not None:
                self._head_bytes += len(data)
                if self._head_bytes > _MAX_HEAD_BYTES:
                    self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _leave(self, early: bytes) -> None:
        """Hand the connection over; *early* is what the client has sent behind its request."""
        if not self._upgrades:
            # To another protocol: ignored, as HTTP permits; the request is being answered as any other.
            return
        if self._is_answering:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        if not issubclass(cast(type, self.ws_protocol_class), WebSocketProtocol):
            self.handle_websocket_upgrade()
            return
        head = Head(self.scope["method"].encode(), self.url, self.scope["http_version"], self.headers)
        self.connections.discard(self)
        socket = cast(type[WebSocketProtocol], self.ws_protocol_class)(self.config, self.server_state, self.app_state)
        socket.connection_made(self.transport)
        self.transport.set_protocol(socket)
        # The parser knows this object and this object the parser: without this both would wait for the collector.
        self.parser = None  # type: ignore[assignment]
        socket.begin(head, early, self._ends)


def http_class(header_timeout_seconds: float) -> type[HttpProtocol]:
    """The protocol with this deadline, for ``uvicorn.Config(http=…)``."""
    return type("HttpProtocol", (HttpProtocol,), {"header_timeout_seconds": header_timeout_seconds})
