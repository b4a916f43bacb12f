"""A whole replica inside the loop of a test, and clients on real sockets that never wait for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from uuid import uuid4

import msgpack
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from fairlead_gateway import Settings, WebSocketManager
from fairlead_gateway.pool.formats import MSGPACK_SUBPROTOCOL
from fairlead_gateway.server import ServerTask
from fairlead_gateway.sessions.events import EVENTS
from tests.support.replica import SECRET, token

SECONDS = 5.0
"""How long anything may take that should happen at once."""

Message = dict[str, Any]


class Client:
    """One WebSocket client; what it has read and nobody has asked for yet is kept, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.unheard: list[Message] = []
        self.greeting: Message = {}
        self._ids = count(1)
        self._speaks_msgpack = socket.subprotocol == MSGPACK_SUBPROTOCOL

    @property
    def id(self) -> str:
        """The connection id that the server gave it."""
        return str(self.greeting["connection_id"])

    # -- speaking --------------------------------------------------------------------------------

    async def say(self, action: str, **fields: Any) -> None:
        """Send an action without waiting for anything."""
        await self.send({"action": action, **fields})

    async def send(self, frame: object) -> None:
        """Send *frame* in the format of this connection."""
        await self.socket.send(msgpack.packb(frame) if self._speaks_msgpack else json.dumps(frame))

    async def ask(self, action: str, **fields: Any) -> Message:
        """Send an action with an id, and return its one answer."""
        ref = f"q{next(self._ids)}"
        await self.say(action, id=ref, **fields)
        return await self.answer(ref)

    # -- hearing ---------------------------------------------------------------------------------

    async def answer(self, ref: str | None) -> Message:
        """The next message with this ``ref``."""
        return await self._find(lambda message: "ref" in message and message["ref"] == ref, f"an answer to {ref}")

    async def hear(self, type: str) -> Message:
        """The next message of this type."""
        return await self._find(lambda message: message["type"] == type, f"a {type}")

    async def next(self) -> Message:
        """The next message, whatever it is."""
        return await self._find(lambda message: True, "a message")

    async def heard(self) -> list[Message]:
        """All that was written to it before now, and that nobody has asked for yet."""
        await self.ask("ping")
        found, self.unheard = self.unheard, []
        return found

    async def closed(self, seconds: float = SECONDS) -> tuple[int, str]:
        """The code and reason it is closed with; what it reads until then is kept."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.unheard.append(await self._read())
        except ConnectionClosed as end:
            received = end.rcvd
            return (received.code, received.reason) if received else (1006, "")

    async def leave(self) -> None:
        """Close as a browser does."""
        await self.socket.close()

    async def _find(self, wanted: Any, what: str) -> Message:
        for message in self.unheard:
            if wanted(message):
                self.unheard.remove(message)
                return message
        try:
            async with asyncio.timeout(2 * SECONDS):
                while not wanted(message := await self._read()):
                    self.unheard.append(message)
                return message
        except TimeoutError:
            raise AssertionError(f"{what} did not come; instead: {self.unheard}") from None

    async def _read(self) -> Message:
        data = await self.socket.recv()
        message: Message = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
        return message


class Gateway:
    """A replica that serves, its clients, and the events it told."""

    def __init__(self, manager: WebSocketManager, port: int) -> None:
        self.manager = manager
        self.port = port
        self.events: list[Message] = []
        self.clients: list[Client] = []
        """Whom to hang up on at the end; who is taken out sees the end itself."""
        for event in EVENTS:
            manager.on(event, self.events.append)

    async def connect(self, user: str = "", path: str = "/ws", *, bearer: str | None = None, **options: Any) -> Client:
        """A client of *user* (a new one if none is named), who has been greeted."""
        bearer = bearer if bearer is not None else token(user or new_user())
        client = await self.open(path, bearer=bearer, **options)
        client.greeting = await client.next()
        assert client.greeting["type"] == "connection_established"
        return client

    async def open(
        self, path: str = "/ws", *, bearer: str = "", subprotocols: Sequence[str] = (), **options: Any
    ) -> Client:
        """A client whose upgrade was accepted, and who has read nothing yet."""
        offered = [*subprotocols, *([f"bearer.{bearer}"] if bearer else [])]
        socket = await connect(
            f"ws://127.0.0.1:{self.port}{path}",
            subprotocols=[Subprotocol(name) for name in offered] or None,
            **{"open_timeout": SECONDS, "compression": None, "ping_interval": None, **options},
        )
        client = Client(socket)
        self.clients.append(client)
        return client

    async def refusal(self, path: str = "/ws", **options: Any) -> tuple[int, str]:
        """How an upgrade ends that is accepted and then closed."""
        client = await self.open(path, **options)
        code, reason = await client.closed()
        assert client.unheard == [], "something was said before the close"
        return code, reason

    def told(self, event: str, **facts: Any) -> list[Message]:
        """The events of this name with these facts, so far."""
        return [entry for entry in self.events if entry["event"] == event and facts.items() <= {**entry}.items()]

    async def hang_up(self) -> None:
        for client in self.clients:
            client.socket.transport.abort()


def new_user() -> str:
    """A user whom no other test knows."""
    return f"u-{uuid4().hex[:12]}"


def new_session() -> str:
    """A session that no other test knows."""
    return f"s-{uuid4().hex[:12]}"


def settings_for(redis_url: str, **changes: Any) -> Settings:
    """Settings of a replica on a free port, in a corner of Redis that no other uses unless a prefix is named."""
    values: dict[str, Any] = {
        "redis_url": SecretStr(redis_url),
        "prefix": f"g{uuid4().hex[:12]}",
        "jwt_secret": SecretStr(SECRET),
        "jwt_leeway_seconds": 0.0,
        "host": "127.0.0.1",
        "port": 0,
        "drain_seconds": 2.0,
        "presence_grace_seconds": 0.2,
    }
    return Settings(**(values | changes))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Gateway]:
    """A replica that serves inside this block."""
    manager = WebSocketManager(settings)
    server = await manager.start_server()
    gateway = Gateway(manager, server.port)
    try:
        yield gateway
    finally:
        await gateway.hang_up()
        await manager.stop_server()


@asynccontextmanager
async def serving_app(
    app: ASGIApp, manager: WebSocketManager, ws: str | type[asyncio.Protocol]
) -> AsyncIterator[Gateway]:
    """An application that *manager* is part of, on uvicorn with the WebSocket implementation *ws*."""
    config = uvicorn.Config(
        app, port=0, ws=ws, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    server = await ServerTask.start(config)
    gateway = Gateway(manager, server.port)
    try:
        yield gateway
    finally:
        await gateway.hang_up()
        await server.stop()


async def request(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, Message]:
    """The status and the JSON that a replica answers over plain HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", "Content-Length: 0"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body.startswith(b"{") else {}
