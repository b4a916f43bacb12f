"""A socket on any other ASGI server, or in a test client: the same face over plain ``receive`` and ``send``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar, cast

from starlette.types import Message, Receive, Scope, Send

from fairlead.codes import TOO_LARGE
from fairlead_gateway.edge.asgi import SOCKET
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.pool.formats import Format
from fairlead_gateway.pool.socket import Listener
from fairlead_gateway.wire.frames import (
    ABNORMAL,
    BINARY,
    NO_STATUS,
    TEXT,
    binary_frame,
    close_frame,
    text_frame,
)
from fairlead_gateway.wire.limits import WireLimits
from fairlead_gateway.wire.parser import FrameParser

Owner = TypeVar("Owner")

PINGS: Final = (text_frame(b'{"type":"ping"}'), binary_frame(b"\x81\xa4type\xa4ping"))
"""ASGI cannot send a ping; this is asked instead, in JSON or in msgpack, and answered with the action ``pong``."""

_MAX_FRAME_BYTES: Final = 1 << 40


class AsgiSocket:
    """
    The `fairlead_gateway.pool.socket.Socket` that somebody else's server carries.

    Whoever takes it awaits `run`, which lasts as long as the connection. Finished frames are taken apart again, since
    ASGI wants messages; compression and pongs are the server's business.
    """

    deflates = False
    echoes_pings = False

    def __init__(
        self, receive: Receive, send: Send, limits: WireLimits, subprotocol: str | None = None, remote: str = ""
    ) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._frames = FrameParser(_MAX_FRAME_BYTES, from_client=False)
        self._outbox: deque[tuple[Message, int]] = deque()
        self._outbox_bytes = 0
        self._room = limits.max_outbox_bytes
        self._outbox_filled = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._ended = asyncio.Event()
        self._attached = asyncio.Event()
        self._listener: Listener[object] | None = None
        self._owner: object = None
        self._said_slow = False
        self._close: tuple[int, str] | None = None
        self._heard_close: tuple[int, str] = (ABNORMAL, "")
        self.write: Callable[[bytes], None] = self._take_apart
        self.subprotocol = subprotocol
        self.heard_at = self._loop.time()
        self.remote = remote

    # -- the socket --------------------------------------------------------------------------------

    def attach(self, listener: Listener[Owner], owner: Owner) -> None:
        """See `fairlead_gateway.pool.socket.Socket.attach`."""
        if self._ended.is_set():
            self._loop.call_soon(listener.closed, owner, *(self._close or self._heard_close))
            return
        self._listener, self._owner = cast("Listener[object]", listener), owner
        self._said_slow = False
        self._attached.set()
        self._check_outbox()

    @property
    def outbox_bytes(self) -> int:
        return self._outbox_bytes

    def ping(self, payload: bytes) -> None:
        self.write(PINGS[Format.of(self.subprotocol, self.deflates).is_msgpack])

    def make_room(self, size: int) -> None:
        self._room = max(self._room, self._limits.max_outbox_bytes + size)

    def pause_reading(self) -> None:
        self._reading.clear()

    def resume_reading(self) -> None:
        self._reading.set()

    def close(self, code: int, reason: str = "") -> None:
        if self._close is None and not self._ended.is_set():
            close_frame(code, reason)
            self._close = (code, reason)
            self.write = _ignore
            self._put({"type": "websocket.close", "code": code, "reason": reason}, 0)
            self._reading.set()
            self._attached.set()
            self._loop.call_later(self._limits.closing_seconds, self._ended.set)

    def abort(self) -> None:
        self.write = _ignore
        self._ended.set()

    async def run(self) -> None:
        """Carry messages both ways until the connection ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                both = (tasks.create_task(self._hear()), tasks.create_task(self._speak()))
                await self._ended.wait()
                for task in both:
                    task.cancel()
        finally:
            self._end()

    def _end(self) -> None:
        self._ended.set()
        self.write = _ignore
        self._outbox.clear()
        listener, owner = self._listener, self._owner
        self._listener = self._owner = None
        if listener is not None:
            listener.closed(owner, *(self._close or self._heard_close))

    # -- from the client ---------------------------------------------------------------------------

    async def _hear(self) -> None:
        await self._attached.wait()
        while (message := await self._receive())["type"] == "websocket.receive":
            self.heard_at = self._loop.time()
            await self._reading.wait()
            self._tell(message)
        self._heard_close = (message.get("code") or NO_STATUS, message.get("reason") or "")
        self._ended.set()

    def _tell(self, message: Message) -> None:
        text = message.get("text")
        payload = message["bytes"] if text is None else text.encode()
        if len(payload) > self._limits.max_message_bytes:
            self.close(TOO_LARGE.code, TOO_LARGE.reason())
        elif self._close is None and self._listener is not None:
            self._listener.message(self._owner, payload, text is not None)

    # -- to the client -----------------------------------------------------------------------------

    def _take_apart(self, frames: bytes) -> None:
        self._frames.feed(frames)
        while (event := self._frames.next()) is not None:
            opcode, payload = event
            if opcode == TEXT:
                self._put({"type": "websocket.send", "text": payload.decode()}, len(payload))
            elif opcode == BINARY:
                self._put({"type": "websocket.send", "bytes": payload}, len(payload))
        self._check_outbox()

    def _put(self, message: Message, size: int) -> None:
        self._outbox.append((message, size))
        self._outbox_bytes += size
        self._outbox_filled.set()

    def _check_outbox(self) -> None:
        if self._outbox_bytes > self._room and self._listener is not None and not self._said_slow:
            self._said_slow = True
            self._listener.slow(self._owner)

    async def _speak(self) -> None:
        try:
            while True:
                await self._outbox_filled.wait()
                while self._outbox:
                    message, size = self._outbox.popleft()
                    await self._send(message)
                    self._outbox_bytes -= size
                self._outbox_filled.clear()
        except OSError:
            # How ASGI says that the client has left.
            self._ended.set()


def take_socket(
    scope: Scope, receive: Receive, send: Send, limits: WireLimits, subprotocol: str | None = None
) -> WebSocketProtocol | AsgiSocket:
    """
    The socket of an accepted WebSocket; an `AsgiSocket` lives only as long as its ``run`` is awaited.

    :param subprotocol: what was accepted; a `WebSocketProtocol` knows it already.
    """
    socket = scope.get("extensions", {}).get(SOCKET)
    if isinstance(socket, WebSocketProtocol):
        return socket
    client = scope.get("client")
    return AsgiSocket(receive, send, limits, subprotocol, client[0] if client else "")


def _ignore(frames: bytes) -> None:
    """What `AsgiSocket.write` is after the end."""
