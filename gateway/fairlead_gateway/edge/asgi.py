"""The ASGI call that every socket begins with, and in which an ordinary endpoint spends the socket's whole life."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol, cast
from urllib.parse import unquote

import structlog
from starlette.types import ASGIApp, Message, Scope
from uvicorn.config import Config
from uvicorn.server import ServerState

from fairlead_gateway.wire.deflate import Deflate, deflated_frame
from fairlead_gateway.wire.frames import BINARY, FAILED, NORMAL, TEXT, binary_frame, text_frame
from fairlead_gateway.wire.upgrade import Upgrade, accept_response, response

SOCKET: Final = "fairlead.socket"
"""Where in ``scope["extensions"]`` the socket is found."""

log = structlog.get_logger(__name__)


class Disconnected(OSError):
    """The client left before this could be sent."""


class Ends(NamedTuple):
    """The two ends of a TCP connection."""

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    secure: bool


class Carrier(Protocol):
    """The part of a socket that its ASGI call uses."""

    write: Callable[[bytes], None]

    def accept(self, head: bytes, subprotocol: str | None, remote: str) -> None: ...

    def refuse(self, response: bytes) -> None: ...

    @property
    def is_writable(self) -> bool: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str = "") -> None: ...

    def abort(self) -> None: ...


class Phase(Enum):
    """How far the conversation with the application is."""

    ASKED = auto()
    ACCEPTED = auto()
    DENYING = auto()
    ATTACHED = auto()
    OVER = auto()


class AsgiCall:
    """
    One call of the application. Until a listener is attached to the socket, this is its listener.

    The client is read one message ahead of ``receive``: so an endpoint that does not receive holds the client back, and
    has answered a message before it hears that the next one broke the protocol.
    """

    __slots__ = (
        "_carrier",
        "_deflate",
        "_denial",
        "_drained",
        "_end",
        "_heard",
        "_key",
        "_phase",
        "_scope",
        "_server_state",
        "_waiter",
    )

    def __init__(
        self, carrier: Carrier, scope: Scope, key: bytes, deflate: Deflate | None, server_state: ServerState
    ) -> None:
        self._carrier = carrier
        self._scope = scope
        self._key = key
        self._deflate = deflate
        self._server_state = server_state
        self._phase = Phase.ASKED
        self._heard: deque[Message] = deque(({"type": "websocket.connect"},))
        self._end: Message | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._denial: tuple[int, Iterable[tuple[bytes, bytes]], bytes] = (0, (), b"")

    async def run(self, app: ASGIApp) -> None:
        """Call *app*, and answer the client if it did not."""
        try:
            await app(self._scope, self.receive, self.send)
        except Disconnected:
            self._finish(HTTPStatus.FORBIDDEN, NORMAL)
        except asyncio.CancelledError:
            self._carrier.abort()
            raise
        except Exception:
            log.exception("the application failed in a WebSocket")
            self._finish(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED)
        else:
            if self._phase is not Phase.ATTACHED:
                self._finish(HTTPStatus.FORBIDDEN, NORMAL)

    def _finish(self, status: HTTPStatus, code: int) -> None:
        if self._phase in (Phase.ASKED, Phase.DENYING):
            self._refuse(status)
        else:
            self._carrier.close(code)
        self._phase = Phase.OVER

    def detach(self) -> list[tuple[bytes, bool]]:
        """Leave the socket to somebody else: what was heard and not received, as payload and whether it is text."""
        if self._phase is not Phase.ACCEPTED:
            raise RuntimeError(f"a socket cannot be attached when it is {self._phase.name.lower()}")
        self._phase = Phase.ATTACHED
        return [_payload_of(message) for message in self._heard if message["type"] == "websocket.receive"]

    # -- what the application asks -----------------------------------------------------------------

    async def receive(self) -> Message:
        if self._phase is Phase.ATTACHED:
            raise RuntimeError("the socket was attached; its listener hears the client now")
        while not self._heard:
            if self._end is not None:
                return self._end
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._heard.popleft()
        if not self._heard and self._phase is Phase.ACCEPTED:
            self._carrier.resume_reading()
        return message

    async def send(self, message: Message) -> None:
        while not self._carrier.is_writable and self._end is None:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
        if self._end is not None:
            raise Disconnected("the client has left")
        answer = _ANSWERS.get((self._phase, message["type"]))
        if answer is None:
            raise RuntimeError(f"{message['type']} cannot be sent when the WebSocket is {self._phase.name.lower()}")
        answer(self, message)

    def _accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol")
        extension = self._deflate.response if self._deflate else None
        headers = (*self._server_state.default_headers, *message.get("headers", ()))
        head = accept_response(self._key, subprotocol, extension, headers)
        client = self._scope["client"]
        self._phase = Phase.ACCEPTED
        self._carrier.accept(head, subprotocol, client[0] if client else "")

    def _deny(self, message: Message) -> None:
        self._phase = Phase.OVER
        self._refuse(HTTPStatus.FORBIDDEN)

    def _begin_denial(self, message: Message) -> None:
        self._phase = Phase.DENYING
        self._denial = (message["status"], message.get("headers", ()), b"")

    def _continue_denial(self, message: Message) -> None:
        status, headers, body = self._denial
        self._denial = (status, headers, body + message.get("body", b""))
        if not message.get("more_body", False):
            self._phase = Phase.OVER
            self._refuse(*self._denial)

    def _refuse(self, status: int, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> None:
        self._carrier.refuse(response(status, (*self._server_state.default_headers, *headers), body))

    def _say(self, message: Message) -> None:
        payload, is_text = _payload_of(message)
        if self._deflate:
            frame = deflated_frame(TEXT if is_text else BINARY, payload, self._deflate.window_bits)
        else:
            frame = text_frame(payload) if is_text else binary_frame(payload)
        self._carrier.write(frame)

    def _close(self, message: Message) -> None:
        self._phase = Phase.OVER
        self._carrier.close(message.get("code", NORMAL), message.get("reason") or "")

    # -- what the socket tells ---------------------------------------------------------------------

    def message(self, owner: object, payload: bytes, is_text: bool) -> None:
        self._heard.append(
            {"type": "websocket.receive", "text": payload.decode()}
            if is_text
            else {"type": "websocket.receive", "bytes": payload}
        )
        self._carrier.pause_reading()
        _wake(self._waiter)

    def pong(self, owner: object, payload: bytes) -> None:
        """ASGI knows no pongs."""

    def slow(self, owner: object) -> None:
        """``send`` waits, that is all."""

    def flooded(self, owner: object) -> None:
        self._carrier.close(1008, "too many control frames")

    def closed(self, owner: object, code: int, reason: str) -> None:
        self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        _wake(self._waiter)
        _wake(self._drained)

    def drained(self) -> None:
        """The client has read enough to be written to again."""
        _wake(self._drained)


_ANSWERS: Final[dict[tuple[Phase, str], Callable[[AsgiCall, Message], None]]] = {
    (Phase.ASKED, "websocket.accept"): AsgiCall._accept,
    (Phase.ASKED, "websocket.close"): AsgiCall._deny,
    (Phase.ASKED, "websocket.http.response.start"): AsgiCall._begin_denial,
    (Phase.DENYING, "websocket.http.response.body"): AsgiCall._continue_denial,
    (Phase.ACCEPTED, "websocket.send"): AsgiCall._say,
    (Phase.ACCEPTED, "websocket.close"): AsgiCall._close,
    (Phase.ATTACHED, "websocket.close"): AsgiCall._close,
}
"""Which message an application may send when."""


def ends_of(transport: asyncio.BaseTransport) -> Ends:
    """Who is talking to whom; a Unix socket has a path at most."""
    client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    return Ends(
        (client[0], client[1]) if isinstance(client, tuple) else None,
        (server[0], server[1]) if isinstance(server, tuple) else (server, None) if server else None,
        transport.get_extra_info("sslcontext") is not None,
    )


def scope_of(upgrade: Upgrade, ends: Ends, config: Config, state: dict[str, object], socket: object) -> Scope:
    """The ASGI scope that *upgrade* becomes."""
    root = config.root_path
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if ends.secure else "ws",
        "server": ends.server,
        "client": ends.client,
        "root_path": root,
        "path": root + unquote(upgrade.path.decode("ascii")),
        "raw_path": root.encode("ascii") + upgrade.path,
        "query_string": upgrade.query,
        "headers": upgrade.headers,
        "subprotocols": upgrade.subprotocols,
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}, SOCKET: socket},
    }


def _payload_of(message: Message) -> tuple[bytes, bool]:
    """The bytes of a ``websocket.send`` or ``websocket.receive``, and whether they are text."""
    text = message.get("text")
    return (cast(bytes, message["bytes"]), False) if text is None else (text.encode(), True)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
