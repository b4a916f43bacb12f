"""A replica with as many connections as one likes, none of which goes anywhere."""

from __future__ import annotations

from typing import Any

from fairlead.ids import uuid7
from fairlead_gateway import WebSocketManager
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.meter import Meter
from fairlead_gateway.sessions.replica import Replica
from tests.gateway.pool.sockets import RecordingSocket
from tests.gateway.running import settings_for


def lonely_replica() -> Replica:
    """A replica that was never started."""
    return WebSocketManager(settings_for("redis://127.0.0.1:1/0", replica="r"))._parts.replica


def seat(replica: Replica, user_id: str, *channels: str, **metadata: Any) -> Connection:
    """One more live connection of *user_id*."""
    identity = Identity(user_id, metadata=metadata)
    connection = Connection(uuid7(), identity, RecordingSocket(), Format.JSON, Meter(), 1_700_000_000.0)
    connection.joined = connection.is_live = True
    connection.channels = channels
    replica.pool.enter(connection.id, connection)
    for channel in (f"user:{user_id}", *channels):
        replica.pool.join(connection, channel)
    return connection


def get_up(replica: Replica, connection: Connection) -> None:
    """It has left."""
    connection.joined = False
    replica.pool.exit(connection.id)
    for channel in (f"user:{connection.user_id}", *connection.channels):
        replica.pool.leave(connection, channel)
