"""Once a second: ping the quiet, close the dead and those whose token has ended, end what nobody types (CON-7, T4)."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final

from fairlead import codes
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import leaving, people
from fairlead_gateway.sessions.replica import Replica

PING: Final = b"fl"
"""What our pings carry; a pong with anything else is not an answer to them."""

_QUIET: Final = 0.9
"""Who did not answer our ping, nor say anything for this part of an interval, is quiet: looks come somewhat early."""


async def beat(replica: Replica) -> None:
    """Turn the wheels each second, until cancelled. One timer serves every connection."""
    loop = asyncio.get_running_loop()
    while True:
        now = loop.time()
        for connection in replica.heartbeats.turn(int(now)):
            _look_at(replica, connection, now)
        for connection in replica.expiries.turn(int(time.time())):
            connection.expires_at = 0
            leaving.end(replica, connection, codes.TOKEN_EXPIRED, "send refresh in time, or reconnect with a new token")
        for connection, session in replica.typists.turn(int(now)):
            people.stopped_typing(replica, connection, session)
        replica.interest.tidy()
        due = math.floor(loop.time()) + 1.0
        await asyncio.sleep(due - loop.time())
        replica.tallies.loop_lag_ms.add((loop.time() - due) * 1000)


def answered(replica: Replica, connection: Connection, payload: bytes) -> None:
    """A pong came in; the difference to the ping that waits for one is the quality of the connection."""
    if payload == PING and connection.last_pong < connection.last_ping:
        connection.last_pong = time.time()
        replica.quiet.discard(connection)
        replica.counters.round_trip_ms.add((connection.last_pong - connection.last_ping) * 1000)


def _look_at(replica: Replica, connection: Connection, now: float) -> None:
    settings = replica.settings
    dead_at = connection.socket.heard_at + settings.heartbeat_timeout_seconds
    if now >= dead_at:
        leaving.end(
            replica, connection, codes.HEARTBEAT_TIMEOUT, f"silent for {now - connection.socket.heard_at:.0f} s"
        )
        return
    if connection.last_pong >= connection.last_ping:
        connection.last_ping = time.time()
    elif now - connection.socket.heard_at > settings.heartbeat_interval_seconds * _QUIET:
        replica.quiet.add(connection)
    else:
        replica.quiet.discard(connection)
    connection.socket.ping(PING)
    due = min(now + settings.heartbeat_interval_seconds, dead_at)
    connection.heartbeat_at = replica.heartbeats.put(connection, int(due) + (due == dead_at))
