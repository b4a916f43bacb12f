"""The lobby: upgraded sockets that have yet to say ``connect``; a deadline and one callback each, no task."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from fairlead import codes
from fairlead.errors import FairleadError, InvalidMessage
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.sessions import leaving
from fairlead_gateway.sessions.frames import Connect
from fairlead_gateway.sessions.opening import Place
from fairlead_gateway.sessions.reading import action_of, checked, read_frame
from fairlead_gateway.sessions.receiver import Receiver
from fairlead_gateway.sessions.replica import Replica

Enter = Callable[["Visitor", Connect], Awaitable[Connection | None]]
"""Opens a connection for a visitor; None if it was refused."""

MAX_EARLY: Final = 64
"""Frames that a client may send behind ``connect`` before it is let in."""


class Visitor:
    """A socket that has not said ``connect`` yet, and what is known about it."""

    __slots__ = ("_replica", "deadline", "early", "identity", "is_entering", "is_gone", "place", "socket")

    deadline: asyncio.TimerHandle

    def __init__(self, replica: Replica, socket: Socket, identity: Identity | None, place: Place) -> None:
        self._replica = replica
        self.socket = socket
        self.identity = identity
        self.place = place
        self.is_entering = False
        self.is_gone = False
        """Whether it is here no more: closed, let in, or left by itself."""
        self.early: list[tuple[bytes, bool]] = []
        """What came behind ``connect`` in the same breath; the connection will hear it first."""

    @property
    def is_busy(self) -> bool:
        """Whether it has said ``connect`` and waits to be let in, or to hear why not."""
        return self.is_entering

    def close(self, close: codes.Close, text: str) -> None:
        """Send it away for this reason."""
        self.is_gone = True
        self.deadline.cancel()
        leaving.refused(self._replica, close, text, self.socket.remote)
        self.socket.close(close.code, close.reason(text))


class Lobby:
    """Listens to visitors until their first frame; whoever says nothing in time is closed with 4408."""

    def __init__(self, replica: Replica, receiver: Receiver, enter: Enter) -> None:
        self._replica = replica
        self._receiver = receiver
        self._enter = enter

        self.visitors: set[Visitor] = set()
        """Who is here now."""

    def wait(self, socket: Socket, identity: Identity | None, place: Place) -> Visitor:
        """Give *socket* its time to say ``connect``."""
        seconds = self._replica.settings.auth_timeout_seconds
        visitor = Visitor(self._replica, socket, identity, place)
        visitor.deadline = asyncio.get_running_loop().call_later(
            seconds, visitor.close, codes.AUTH_TIMEOUT, f"no connect frame within {seconds:g} s"
        )
        self.visitors.add(visitor)
        socket.attach(self, visitor)
        return visitor

    # -- Listener --------------------------------------------------------------------------------

    def message(self, owner: Visitor, payload: bytes, is_text: bool) -> None:
        if owner.is_entering:
            owner.early.append((payload, is_text))
            if len(owner.early) > MAX_EARLY:
                self.flooded(owner)
            return
        owner.is_entering = True
        owner.deadline.cancel()
        try:
            connect = self._read(owner.socket, payload, is_text)
        except FairleadError as error:
            owner.close(codes.BAD_REQUEST, error.message)
            return
        owner.socket.pause_reading()
        self._replica.tasks.start(self._admit(owner, connect), name="enter from lobby")

    def _read(self, socket: Socket, payload: bytes, is_text: bool) -> Connect:
        speaks_msgpack = Format.of(socket.subprotocol, socket.deflates).is_msgpack
        frame = read_frame(payload, is_text, speaks_msgpack, self._replica.settings.max_message_depth)
        if action_of(frame) != "connect":
            raise InvalidMessage('the first frame must be {"action":"connect","token":…}')
        return checked(Connect, frame)

    async def _admit(self, owner: Visitor, connect: Connect) -> None:
        try:
            connection = await self._enter(owner, connect)
        except BaseException:
            owner.close(codes.INTERNAL_ERROR, "not let in, try again")
            raise
        if connection is None:
            return
        self.visitors.discard(owner)
        if owner.is_gone:
            leaving.gone(self._replica, connection, 1006, "left while entering")
            return
        owner.is_gone = True
        for payload, is_text in owner.early:
            self._receiver.message(connection, payload, is_text)
        owner.socket.resume_reading()

    def pong(self, owner: Visitor, payload: bytes) -> None:
        """Nothing was asked."""

    def slow(self, owner: Visitor) -> None:
        owner.socket.abort()

    def flooded(self, owner: Visitor) -> None:
        owner.close(codes.FLOODING, "too many control frames")

    def closed(self, owner: Visitor, code: int, reason: str) -> None:
        self.visitors.discard(owner)
        owner.is_gone = True
        owner.deadline.cancel()
