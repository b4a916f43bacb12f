"""A plain echo server on the gateway's WebSocket protocol: ``python -m tests.conformance.echo PORT``."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from fairlead_gateway.edge.door import door_class
from fairlead_gateway.edge.protocol import protocol_class
from fairlead_gateway.wire.limits import WireLimits

LIMITS = WireLimits(max_message_bytes=16 * 1024 * 1024, max_outbox_bytes=32 * 1024 * 1024, compression=True)


async def echo(websocket: WebSocket) -> None:
    """Every message back as it came."""
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})


app = Starlette(routes=[WebSocketRoute("/{path:path}", echo)])


def main() -> None:
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        http=door_class(5.0),
        ws=protocol_class(LIMITS),
        loop="uvloop",
        log_level="warning",
        lifespan="off",
    )


if __name__ == "__main__":
    main()
