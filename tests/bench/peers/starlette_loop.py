"""The plain loop of the tutorials: a set of sockets, a Redis listener, ``await send_text`` for each."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.ground import Ground, Server, resp
from fairlead_gateway.bench.orders import Opening, Role
from fairlead_gateway.bench.publisher import Sender, SocketSender
from fairlead_gateway.bench.stamps import InTurn, Template
from tests.bench.peers.peer import missing_modules, start_uvicorn

_CHANNEL = "bench"


def make_app() -> Starlette:
    sockets: set[WebSocket] = set()

    async def listen(websocket: WebSocket) -> None:
        await websocket.accept()
        sockets.add(websocket)
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            sockets.discard(websocket)

    async def relay(redis: Redis) -> None:
        async with redis.pubsub() as pubsub:
            await pubsub.subscribe(_CHANNEL)
            async for message in pubsub.listen():
                if message["type"] == "message":
                    for websocket in list(sockets):
                        await websocket.send_text(message["data"])

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True, socket_timeout=None) as redis:
            task = asyncio.create_task(relay(redis))
            yield
            task.cancel()

    return Starlette(routes=[WebSocketRoute("/ws", listen)], lifespan=lifespan)


@dataclass(frozen=True)
class StarletteLoop:
    name: str = "starlette"

    def missing(self) -> str:
        return missing_modules("starlette", "uvicorn", "uvloop", "websockets")

    def start(self, ground: Ground) -> Server:
        return start_uvicorn(ground, f"{__name__}:make_app")

    def listener(self, port: int, number: int, role: Role) -> Opening:
        return Opening(frames.upgrade(port, "/ws", {}), (), role)

    def sender(self, ground: Ground, size: int) -> Sender:
        template = Template.around(resp(b"PUBLISH", _CHANNEL.encode(), stamps.payload(size)))
        return SocketSender(ground.store.host, ground.store.port, InTurn([template]), greeting=ground.store.greeting)

    def frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(size)
