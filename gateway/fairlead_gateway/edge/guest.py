"""Guests: sockets that an application accepts on a route of its own and reads itself; we only write to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from fairlead import codes
from fairlead.errors import InvalidMessage
from fairlead.ids import uuid7
from fairlead.names import checked_id, id_of, kind_of
from fairlead_gateway.access.identity import CLAIM_OF_KIND, Identity
from fairlead_gateway.edge.adapter import AsgiSocket
from fairlead_gateway.edge.asgi import SOCKET
from fairlead_gateway.edge.protocol import WebSocketProtocol
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.sessions import leaving, opening
from fairlead_gateway.sessions.opening import Place, Refused
from fairlead_gateway.sessions.receiver import Receiver
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.wire.limits import WireLimits


class Guests:
    """The connections that stand for an application's own sockets."""

    def __init__(
        self, replica: Replica, receiver: Receiver, limits: WireLimits, check_open: Callable[[], None]
    ) -> None:
        self._check_open = check_open
        self._replica = replica
        self._receiver = receiver
        self._limits = limits
        self._connections: dict[WebSocket, Connection] = {}

    async def connect(
        self,
        websocket: WebSocket,
        instance_name: str = "",
        *,
        user_id: str = "",
        session_id: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """See `fairlead_gateway.WebSocketManager.connect`; what the application says about the user is believed."""
        await websocket.accept()
        socket = _GuestSocket(websocket, self._limits)
        place = Place(session_id, instance_name)
        try:
            identity = _vouched_for(user_id, place, metadata or {})
            self._check_open()
            greeting = await opening.open_connection(self._replica, socket, Format.JSON, identity, place, {})
            self._still_open(greeting.connection)
        except InvalidMessage as error:
            raise await self._refuse(socket, websocket, Refused(codes.BAD_REQUEST, error.message)) from error
        except Refused as refused:
            raise await self._refuse(socket, websocket, refused) from refused
        connection = greeting.connection
        self._connections[websocket] = connection
        self._replica.tasks.start(socket.run(), name="guest")
        opening.go_live(self._replica, greeting)
        socket.attach(self._receiver, connection)
        opening.settle(self._replica, greeting)
        return connection.id

    def _still_open(self, connection: Connection) -> None:
        """Give *connection* up if the replica began to drain while it was opened."""
        try:
            self._check_open()
        except Refused as refused:
            leaving.gone(self._replica, connection, refused.close.code, str(refused))
            raise

    async def _refuse(self, socket: AsgiSocket, websocket: WebSocket, refused: Refused) -> RuntimeError:
        """Close *websocket* so that the client can read why, and the error for the application."""
        leaving.refused(self._replica, refused.close, refused.text, socket.remote)
        await websocket.close(refused.close.code, refused.close.reason(refused.text))
        return RuntimeError(f"{refused.close.code} {refused}")

    def disconnect(self, websocket: WebSocket) -> None:
        """See `fairlead_gateway.WebSocketManager.disconnect`."""
        connection = self._connections.pop(websocket, None)
        if connection is not None:
            leaving.gone(self._replica, connection, 1000, "the application is done with it")
            connection.socket.abort()

    def hear(self, websocket: WebSocket, data: str | bytes) -> None:
        """Treat *data* as something that the client of *websocket* said; nothing happens once it has left."""
        connection = self._connections.get(websocket)
        if connection is not None and connection.joined:
            payload = data.encode() if isinstance(data, str) else data
            self._receiver.message(connection, payload, isinstance(data, str))


class _GuestSocket(AsgiSocket):
    """We write and the application reads, so that whether the client still lives is known to the server below alone."""

    def __init__(self, websocket: WebSocket, limits: WireLimits) -> None:
        address = websocket.client.host if websocket.client else ""
        carrier = websocket.scope.get("extensions", {}).get(SOCKET)
        self._carrier = carrier if isinstance(carrier, WebSocketProtocol) else None
        super().__init__(_silence, _sending(websocket), limits, None, address)

    @property
    def heard_at(self) -> float:
        """Of a foreign server, which asks its clients itself and tells us the end: now."""
        return self._loop.time() if self._carrier is None else self._carrier.heard_at

    @heard_at.setter
    def heard_at(self, moment: float) -> None:
        """Nothing is heard here."""

    def ping(self, payload: bytes) -> None:
        if self._carrier is not None:
            self._carrier.ping(payload)


def _vouched_for(user_id: str, place: Place, metadata: Mapping[str, Any]) -> Identity:
    """
    Whom the application has let in, and where.

    :raises InvalidMessage: the name of a user, session or instance is no id.
    """
    return Identity(
        checked_id(user_id, "user_id") if user_id else f"anonymous-{uuid7()}",
        grants={CLAIM_OF_KIND[kind_of(name)]: (id_of(name),) for name in place.channels},
        metadata=metadata,
        anonymous=not user_id,
        issued_at=time.time(),
    )


async def _silence() -> Message:
    """What we hear: nothing, the application listens itself."""
    never: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await never


def _sending(websocket: WebSocket) -> Send:
    async def send(message: Message) -> None:
        try:
            await websocket.send(message)
        except (WebSocketDisconnect, RuntimeError) as error:
            raise ConnectionResetError("the client has left") from error

    return send
