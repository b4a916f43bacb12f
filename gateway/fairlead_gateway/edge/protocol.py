"""One WebSocket on one TCP connection, as uvicorn starts it; when attached it lives on without a task or a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from fairlead.codes import RESTART
from fairlead_gateway.edge.asgi import AsgiCall, Ends, ends_of, scope_of
from fairlead_gateway.pool.socket import Listener
from fairlead_gateway.wire.deflate import negotiate
from fairlead_gateway.wire.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    PONG,
    TEXT,
    Violation,
    close_frame,
    decode_close,
    ping_frame,
    pong_frame,
)
from fairlead_gateway.wire.limits import WireLimits
from fairlead_gateway.wire.parser import FrameParser
from fairlead_gateway.wire.upgrade import Head, Refusal, read_upgrade, response, split_head

if TYPE_CHECKING:
    from uvicorn.server import Protocols

Owner = TypeVar("Owner")


class State(Enum):
    """How far a socket is in its life."""

    NEW = auto()
    """Nobody has read the request."""
    OPENING = auto()
    """The application has been asked."""
    OPEN = auto()
    CLOSING = auto()
    """Our close frame is out, the client's is not in."""
    ENDED = auto()
    """Nothing is read or written any more."""
    LOST = auto()
    """The transport is gone and the listener knows."""


def _ignore(frames: bytes) -> None:
    """What `WebSocketProtocol.write` is while nothing may be written."""


class WebSocketProtocol(asyncio.Protocol):
    """
    The `fairlead_gateway.pool.socket.Socket` that carries its bytes itself.

    Made by uvicorn: ``uvicorn.Config(ws=protocol_class(limits))``. The application is called as for any WebSocket and
    finds this object in ``scope["extensions"]["fairlead.socket"]``. If it attaches a listener after the accept, the
    call may return; if it does not, ``receive`` and ``send`` work as everywhere.
    """

    limits: ClassVar[WireLimits] = WireLimits()
    echoes_pings = True

    __slots__ = (
        "_call",
        "_code",
        "_connections",
        "_control_due",
        "_listener",
        "_loop",
        "_owner",
        "_parser",
        "_reading",
        "_reason",
        "_room",
        "_said_slow",
        "_start",
        "_state",
        "_timer",
        "_transport",
        "deflates",
        "heard_at",
        "is_writable",
        "remote",
        "subprotocol",
        "write",
    )

    write: Callable[[bytes], None]
    subprotocol: str | None
    _transport: asyncio.Transport
    _listener: Listener[object]
    _owner: object

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._connections = server_state.connections
        self._start: tuple[Config, ServerState, dict[str, object]] | None = (config, server_state, app_state)
        self._state = State.NEW
        self._call: AsgiCall | None = None
        self._parser: FrameParser | None = None
        self._reading = False
        self._room = 0
        self._said_slow = False
        self._control_due = 0.0
        self._code = ABNORMAL
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None
        self.write = _ignore
        self.is_writable = True
        self.subprotocol = None
        self.deflates = False
        self.heard_at = 0.0
        self.remote = ""

    # -- the handshake -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(cast("Protocols", self))

    def begin(self, head: Head, early: bytes = b"", ends: Ends | None = None) -> None:
        """Read the request and call the application; *early* is what came behind the head."""
        try:
            upgrade = read_upgrade(head)
        except Refusal as refusal:
            headers = (*refusal.headers, (b"content-type", b"text/plain; charset=utf-8"))
            self.refuse(response(refusal.status, headers, refusal.text.encode()))
            return
        if self._start is None:
            raise RuntimeError("a socket begins once")
        (config, server_state, app_state), self._start = self._start, None
        deflate = negotiate(upgrade.extensions) if self.limits.compression else None
        self.deflates = deflate is not None and deflate.takes_shared
        self._parser = FrameParser(self.limits.max_message_bytes, deflates=deflate is not None)
        self._state = State.OPENING
        scope = scope_of(upgrade, ends or ends_of(self._transport), config, app_state, self)
        self._call = call = AsgiCall(self, scope, upgrade.key, deflate, server_state)
        self._listener, self._owner = call, None
        task = self._loop.create_task(call.run(config.loaded_app))
        server_state.tasks.add(task)
        task.add_done_callback(server_state.tasks.discard)
        if early:
            self.data_received(early)

    def accept(self, head: bytes, subprotocol: str | None, remote: str) -> None:
        """End the handshake with *head*; what the client has already sent is heard in the next turn of the loop."""
        if self._state is not State.OPENING:
            return
        self._state = State.OPEN
        self.heard_at = self._loop.time()
        self.subprotocol = subprotocol
        self.remote = remote
        self._transport.set_write_buffer_limits(high=self.limits.max_outbox_bytes)
        self.write = partial(self._write_first, head)
        self._loop.call_soon(self._write_head)
        self.resume_reading()

    def _write_first(self, head: bytes, frames: bytes) -> None:
        """The end of the handshake and the first frames in one system call, which is half of what a greeting costs."""
        self.write = self._transport.write
        self.write(head + frames)

    def _write_head(self) -> None:
        if isinstance(self.write, partial):
            self.write(b"")

    def refuse(self, response: bytes) -> None:
        """Answer with *response* instead of a WebSocket."""
        if self._state in (State.NEW, State.OPENING):
            self._transport.write(response)
            self._cut_later()
            self._end()
            self._transport.close()

    # -- the socket --------------------------------------------------------------------------------

    def attach(self, listener: Listener[Owner], owner: Owner) -> None:
        """See `fairlead_gateway.pool.socket.Socket.attach`."""
        if self._state is State.LOST:
            self._loop.call_soon(listener.closed, owner, self._code, self._reason)
            return
        heard = self._call.detach() if self._call is not None else []
        self._call = None
        self._said_slow = False
        self._listener, self._owner = cast("Listener[object]", listener), owner
        for payload, is_text in heard:
            if self._state is State.OPEN:
                listener.message(owner, payload, is_text)
        if not self.is_writable:
            self.pause_writing()
        if heard:
            self.resume_reading()

    @property
    def outbox_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._state in (State.OPEN, State.CLOSING) else 0

    def ping(self, payload: bytes) -> None:
        self.write(ping_frame(payload))

    def make_room(self, size: int) -> None:
        if self._state is State.OPEN and size > self._room:
            self._room = size
            self._transport.set_write_buffer_limits(high=self.limits.max_outbox_bytes + size)

    def pause_reading(self) -> None:
        if self._state is State.OPEN and self._reading:
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._state in (State.OPEN, State.CLOSING) and not self._reading:
            self._reading = True
            self._transport.resume_reading()
            if self._parser is not None and self._parser.pending:
                # Not at once: whoever resumes may be inside a message, which must end before the next begins.
                self._loop.call_soon(self._pump)

    def close(self, code: int, reason: str = "") -> None:
        if self._state is State.OPEN:
            self._say_close(code, reason, close_frame(code, reason))
            self._state = State.CLOSING
            self.resume_reading()

    def abort(self) -> None:
        if self._state is not State.LOST:
            self._end()
            self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: the client may come back to another."""
        self.close(RESTART.code, RESTART.reason())
        self.refuse(response(HTTPStatus.SERVICE_UNAVAILABLE, ()))

    # -- what the transport tells ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self._parser is not None:
            self._parser.feed(data)
            self._pump()
        elif self._state is State.NEW:
            self.begin(*split_head(data))

    def eof_received(self) -> None:
        """The client is gone; returning None closes the transport."""

    def pause_writing(self) -> None:
        self.is_writable = False
        if self._state is State.OPEN and not self._said_slow:
            self._said_slow = self._call is None
            self._listener.slow(self._owner)

    def resume_writing(self) -> None:
        self.is_writable = True
        if self._call is not None:
            self._call.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(cast("Protocols", self))
        self._end()
        self._state = State.LOST
        if self._timer is not None:
            self._timer.cancel()
        if self._start is None:
            listener, owner = self._listener, self._owner
            # The owner holds the socket, too: without this each closed connection would wait for the collector.
            del self._listener, self._owner
            self._call = None
            listener.closed(owner, self._code, self._reason)

    # -- frames ------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Tell the listener what is there, one event at a time: it may pause, close or abort after each."""
        parser = self._parser
        if parser is None:
            return
        if self._state is State.OPENING and parser.pending > self.limits.max_message_bytes:
            self._transport.pause_reading()
        try:
            while self._reading and (event := parser.next()) is not None:
                opcode, payload = event
                if opcode > BINARY:
                    self._control(opcode, payload)
                elif self._state is State.OPEN:
                    self._listener.message(self._owner, payload, opcode == TEXT)
        except Violation as violation:
            self._fail(violation)

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self._client_closes(payload)
        elif self._state is not State.OPEN or self._control_due == inf:
            return
        elif not self._affords_control():
            self._control_due = inf
            self._listener.flooded(self._owner)
        elif opcode == PONG:
            self._listener.pong(self._owner, payload)
        elif self.is_writable:
            self.write(pong_frame(payload))

    def _affords_control(self) -> bool:
        """Whether one more control frame is within the rate; the bucket is kept as the time when it is full again."""
        seconds = 1 / self.limits.control_frames_per_second
        due = max(self._control_due, self.heard_at)
        self._control_due = due + seconds
        # Half a frame, because sums of floats are not exact.
        return due - self.heard_at < (self.limits.control_frames_burst - 0.5) * seconds

    def _client_closes(self, payload: bytes) -> None:
        closing = decode_close(payload)
        if self._state is State.OPEN:
            self._say_close(closing.code, closing.reason, close_frame(closing.code))
        self._end()
        self._transport.close()

    def _fail(self, violation: Violation) -> None:
        """Say what was wrong and look at nothing more; closing at once could reset the connection before it is read."""
        if self._state is State.OPEN:
            self._say_close(violation.code, violation.reason, close_frame(violation.code, violation.reason))
        self._end()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _say_close(self, code: int, reason: str, frame: bytes) -> None:
        self.write(frame)
        self.write = _ignore
        self._code, self._reason = code, reason
        self._cut_later()

    def _cut_later(self) -> None:
        self._timer = self._loop.call_later(self.limits.closing_seconds, self._transport.abort)

    def _end(self) -> None:
        self._state = State.ENDED
        self._reading = False
        self._parser = None
        self.write = _ignore


def protocol_class(limits: WireLimits) -> type[WebSocketProtocol]:
    """The protocol with these limits, for ``uvicorn.Config(ws=…)``."""
    return type("WebSocketProtocol", (WebSocketProtocol,), {"limits": limits, "__slots__": ()})
