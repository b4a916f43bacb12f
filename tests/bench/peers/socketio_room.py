"""python-socketio with its Redis manager: everybody in one room, emitted to from outside."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairlead_gateway.bench import frames, stamps
from fairlead_gateway.bench.ground import Ground, Server, resp
from fairlead_gateway.bench.orders import Opening, Role, Step
from fairlead_gateway.bench.publisher import Sender, SocketSender
from fairlead_gateway.bench.stamps import InTurn, Template
from tests.bench.peers.peer import missing_modules, start_uvicorn

if TYPE_CHECKING:
    import socketio  # type: ignore[import-untyped]

_ROOM = "bench"
_EVENT = "bench"


def make_app() -> socketio.ASGIApp:
    import socketio

    manager = socketio.AsyncRedisManager(os.environ["REDIS_URL"])
    server = socketio.AsyncServer(async_mode="asgi", client_manager=manager, ping_interval=300)

    @server.event  # type: ignore[untyped-decorator]
    async def connect(sid: str, _: dict[str, object]) -> None:
        await server.enter_room(sid, _ROOM)

    return socketio.ASGIApp(server)


@dataclass(frozen=True)
class SocketIoRoom:
    name: str = "socketio"

    def missing(self) -> str:
        return missing_modules("socketio", "uvicorn")

    def start(self, ground: Ground) -> Server:
        return start_uvicorn(ground, f"{__name__}:make_app")

    def listener(self, port: int, number: int, role: Role) -> Opening:
        request = frames.upgrade(port, "/socket.io/?EIO=4&transport=websocket", {})
        return Opening(request, (Step(hear=b"0{"), Step(say=b"40", hear=b"40{")), role)

    def sender(self, ground: Ground, size: int) -> Sender:
        template = Template.around(resp(b"PUBLISH", b"socketio", _emission(size)))
        return SocketSender(ground.store.host, ground.store.port, InTurn([template]), greeting=ground.store.greeting)

    def frame_bytes(self, size: int) -> int:
        return frames.server_frame_bytes(size + len(f'42["{_EVENT}",]'))


def _emission(size: int) -> bytes:
    """What a manager in another process would publish for ``emit(event, data, room)``."""
    message = {
        "method": "emit",
        "event": _EVENT,
        "data": [json.loads(stamps.payload(size))],
        "binary": False,
        "namespace": "/",
        "room": _ROOM,
        "skip_sid": None,
        "callback": None,
        "host_id": "bench",
    }
    return json.dumps(message).encode()
