"""Guests: sockets that an application accepts on a route of its own and reads itself; we only write to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from fairlead.ids import uuid7
from fairlead.names import checked_id
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.edge.adapter import AsgiSocket
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.sessions import leaving, opening
from fairlead_gateway.sessions.opening import Place, Refused
from fairlead_gateway.sessions.receiver import Receiver
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.wire.limits import WireLimits


class Guests:
    """The connections that stand for an application's own sockets."""

    def __init__(self, replica: Replica, receiver: Receiver, limits: WireLimits) -> None:
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
        address = websocket.client.host if websocket.client else ""
        socket = AsgiSocket(_silence, _sending(websocket), self._limits, None, address)
        identity = Identity(
            checked_id(user_id, "user_id") if user_id else f"anonymous-{uuid7()}",
            grants={"sessions": (session_id,), "instances": (instance_name,)} if session_id or instance_name else {},
            metadata=metadata or {},
            anonymous=not user_id,
        )
        self._replica.tasks.start(socket.run(), name="guest")
        try:
            greeting = await opening.open_connection(
                self._replica, socket, Format.JSON, identity, Place(session_id, instance_name), {}
            )
        except Refused as refused:
            socket.close(refused.close.code, refused.close.reason(refused.text))
            raise RuntimeError(f"{refused.close.code} {refused}") from refused
        connection = greeting.connection
        greeting.go_live()
        socket.attach(self._receiver, connection)
        opening.settle(self._replica, connection)
        self._connections[websocket] = connection
        return connection.id

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
