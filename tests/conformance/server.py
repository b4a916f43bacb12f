"""A real uvicorn in the loop of the test, and a listener that remembers what it was told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from fairlead_gateway.edge.adapter import AsgiSocket, take_socket
from fairlead_gateway.edge.door import door_class
from fairlead_gateway.edge.protocol import protocol_class
from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.wire.limits import WireLimits

DEADLINE_SECONDS = 5.0


@dataclass
class Served:
    """Where a server listens, and what it holds."""

    port: int
    state: ServerState
    server: uvicorn.Server


@asynccontextmanager
async def serving(app: ASGIApp, limits: WireLimits | None = None, **options: Any) -> AsyncIterator[Served]:
    """*app* on a free port, on our protocols unless *options* say otherwise."""
    listener = socket.create_server(("127.0.0.1", 0))
    ours = {"http": door_class(5.0), "ws": protocol_class(limits or WireLimits()), "lifespan": "off"}
    config = uvicorn.Config(app, **{**ours, "log_config": None, "timeout_graceful_shutdown": 3, **options})
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    await server.on_tick(0)
    try:
        yield Served(listener.getsockname()[1], server.server_state, server)
    finally:
        # What uvicorn does at its end, without the tenth of a second that it sleeps.
        for accepting in server.servers:
            accepting.close()
        for connection in list(server.server_state.connections):
            connection.shutdown()
        await until(lambda: not (server.server_state.connections or server.server_state.tasks))


async def until(fact: Callable[[], object], seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for *fact*, or fail."""
    async with asyncio.timeout(seconds):
        while not fact():
            await asyncio.sleep(0.005)


@dataclass
class Recorder:
    """A listener whose owner is the socket itself."""

    heard: list[tuple[Any, ...]] = field(default_factory=list)
    owners: list[object] = field(default_factory=list)
    react: Callable[[Any, bytes], None] | None = None

    def message(self, owner: Any, payload: bytes, is_text: bool) -> None:
        self._note(owner, "text" if is_text else "binary", payload)
        if self.react is not None:
            self.react(owner, payload)

    def pong(self, owner: Any, payload: bytes) -> None:
        self._note(owner, "pong", payload)

    def slow(self, owner: Any) -> None:
        self._note(owner, "slow")

    def flooded(self, owner: Any) -> None:
        self._note(owner, "flooded")

    def closed(self, owner: Any, code: int, reason: str) -> None:
        self._note(owner, "closed", code, reason)

    def _note(self, owner: object, *event: Any) -> None:
        assert owner in self.owners
        self.heard.append(event)

    def kinds(self) -> list[str]:
        return [event[0] for event in self.heard]

    async def event(self, kind: str) -> tuple[Any, ...]:
        """The first event of this kind, however long it takes within reason."""
        await until(lambda: kind in self.kinds())
        return next(event for event in self.heard if event[0] == kind)


class Attaching:
    """An application that accepts every WebSocket and attaches a `Recorder`, as the gateway does."""

    def __init__(self, recorder: Recorder | None = None, limits: WireLimits | None = None) -> None:
        self.recorder = recorder or Recorder()
        self.sockets: list[Socket] = []
        self.scopes: list[Scope] = []
        self._limits = limits or WireLimits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        subprotocol = next(iter(scope["subprotocols"]), None)
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        socket = take_socket(scope, receive, send, self._limits, subprotocol)
        self.recorder.owners.append(socket)
        self.scopes.append(scope)
        socket.attach(self.recorder, socket)
        self.sockets.append(socket)
        if isinstance(socket, AsgiSocket):
            await socket.run()

    async def socket(self) -> Socket:
        """The first socket, once it is attached."""
        await until(lambda: self.sockets)
        return self.sockets[0]
