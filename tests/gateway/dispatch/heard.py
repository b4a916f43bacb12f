"""What a connection on a recording socket was given, as messages again."""

from __future__ import annotations

from typing import Any

import msgpack
import orjson

from fairlead_gateway.pool import Connection
from fairlead_gateway.wire.parser import FrameParser
from tests.gateway.pool.sockets import socket_of


def messages_of(connection: Connection) -> list[Any]:
    """Everything written so far, in order, whatever its format."""
    parser = FrameParser(1 << 30, from_client=False, deflates=connection.format.is_deflated)
    parser.feed(socket_of(connection).bytes_written)
    decode = msgpack.unpackb if connection.format.is_msgpack else orjson.loads
    found = []
    while (event := parser.next()) is not None:
        found.append(decode(bytes(event[1])))
    assert parser.pending == 0, "half a frame was written"
    return found
