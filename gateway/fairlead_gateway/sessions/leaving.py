"""How a connection ends, whoever ends it."""

from __future__ import annotations

import math
import time

import structlog

from fairlead import codes
from fairlead.errors import Unavailable
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import people, seating
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)


def end(replica: Replica, connection: Connection, close: codes.Close, text: str = "") -> None:
    """Close *connection* for the reason *close*; it hears nothing more from this moment on."""
    end_as(replica, connection, close.code, close.reason(text))


def end_as(replica: Replica, connection: Connection, code: int, reason: str) -> None:
    """As `end`, with the code and reason that somebody else chose."""
    if connection.joined:
        gone(replica, connection, code, reason)
        connection.socket.close(code, reason)


def gone(replica: Replica, connection: Connection, code: int, reason: str) -> None:
    """Give up everything that *connection* held, here and in Redis; said twice, it is done once."""
    if not connection.joined:
        return
    connection.joined = False
    connection.tell_news()
    connection.write = _nowhere
    connection.inbox = None
    replica.heartbeats.drop(connection, connection.heartbeat_at)
    replica.quiet.discard(connection)
    forget_expiry(replica, connection)
    channels = connection.channels
    for session in replica.typists.stop(connection):
        people.stopped_typing(replica, connection, session)
    for channel in (*channels, *seating.own_channels(connection)):
        if replica.pool.leave(connection, channel):
            replica.interest.release(channel)
    replica.pool.exit(connection.id)
    replica.monitors.drop(connection)
    replica.watches.end(replica, connection)
    replica.tasks.start(_farewell(replica, connection, channels), name=f"farewell {connection.id}")
    facts = {"connection_id": connection.id, "user_id": connection.user_id, "code": code, "reason": reason}
    if connection.is_live:
        replica.counters.closed(code)
        seconds = round(time.time() - connection.connected_at, 3)
        log.info("connection closed", **facts, word=codes.word_of(code), seconds=seconds)
        replica.events.emit("disconnection", **facts)
        replica.told.ended(
            connection.id,
            connection.user_id,
            code,
            reason,
            connected_at=round(connection.connected_at, 3),
            address=connection.socket.remote,
            device_id=connection.identity.device_id,
        )


def refused(replica: Replica, close: codes.Close, text: str, address: str) -> None:
    """Somebody from *address* who was never greeted is sent away, for this reason."""
    replica.tallies.refused(close.word)
    log.info("connection refused", code=close.code, word=close.word, reason=text, address=address)


def expect_expiry(replica: Replica, connection: Connection) -> None:
    """Have the connection closed when its token ends (T4)."""
    expires_at = connection.identity.expires_at
    if expires_at is not None and connection.joined:
        connection.expires_at = replica.expiries.put(connection, _second(replica, expires_at))


def forget_expiry(replica: Replica, connection: Connection) -> None:
    """Its token was replaced, or it is gone."""
    if connection.expires_at:
        replica.expiries.drop(connection, connection.expires_at)
        connection.expires_at = 0


def _second(replica: Replica, expires_at: float) -> int:
    return math.ceil(expires_at + replica.settings.jwt_leeway_seconds)


async def _farewell(replica: Replica, connection: Connection, channels: tuple[str, ...]) -> None:
    """Tell Redis; the others learn it after the grace. Redis away: it is owed, or whoever sweeps after us does it."""
    try:
        await replica.seats.release(connection.id, connection.user_id, channels)
    except Unavailable as error:
        log.warning("seat not released", connection_id=connection.id, why=error.message)


def _nowhere(frame: bytes) -> None:
    """Where frames go that a fan-out under way still had for a connection that has ended."""
