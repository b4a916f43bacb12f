"""Sitting down in channels and getting up again: pool, interest and shared facts, always in this order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from fairlead.errors import NotFound, RateLimited, Unavailable
from fairlead.messages import push
from fairlead.names import id_of
from fairlead_gateway.facts.seats import Position
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)


async def sit(replica: Replica, connection: Connection, channels: Sequence[str]) -> Mapping[str, Position]:
    """
    Let *connection* hear *channels* from now on; answers where each of them stands.

    The pool is written before Redis is asked, so that two who join at once find each other; the position is read after
    Redis has confirmed, so that nothing falls between what was before and what comes live.

    :raises RateLimited: more channels than one connection may hear.
    :raises NotFound: it has ended meanwhile.
    """
    heard = {*connection.channels, *own_channels(connection)}
    new = [channel for channel in dict.fromkeys(channels) if channel not in heard]
    limit = replica.settings.max_channels_per_connection
    if new and len(connection.channels) + len(new) > limit:
        raise RateLimited(f"a connection may hear {limit} channels; leave some first", limit=limit)
    connection.channels += tuple(new)
    for channel in new:
        replica.pool.join(connection, channel)
    try:
        await replica.interest.want(*channels)
        if not connection.joined:
            raise NotFound("this connection has ended")
        return await replica.seats.join(connection.id, connection.user_id, channels, connection.channels)
    except BaseException:
        _get_up(replica, connection, new)
        raise


def stand_up(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    """Let *connection* hear *channels* no more; those it does not hear are passed over."""
    heard = [channel for channel in channels if channel in connection.channels]
    if heard and connection.joined:
        _get_up(replica, connection, heard)
        replica.seats.leave(connection.id, connection.user_id, heard, connection.channels)


async def announce(replica: Replica, connection: Connection, event: str, channel: str) -> None:
    """Tell the members of a session, and this replica's handlers, that somebody joined or left; at most once."""
    facts = {"user_id": connection.user_id, "connection_id": connection.id, "session_id": id_of(channel)}
    envelope = push({"type": event, **facts}, channel, sender=f"user:{connection.user_id}")
    replica.events.emit(event, **facts)
    try:
        await replica.publisher.publish(channel, envelope, durable=False)
    except Unavailable as error:
        log.warning("not announced", about=event, channel=channel, why=error.message)


async def reseat(replica: Replica, connection: Connection) -> None:
    """
    Write a connection down again that Redis has forgotten; it is here anyway, so no limit is asked.

    One that has yet to be greeted asks for its seat itself, under the limit.
    """
    if connection.joined and connection.is_live:
        await replica.seats.admit(
            connection.id,
            connection.user_id,
            connection.identity.device_id,
            connection.channels,
            limit=0,
            policy="keep",
        )
        await left_meanwhile(replica, connection)


async def left_meanwhile(replica: Replica, connection: Connection) -> bool:
    """Whether *connection* ended before its admission was answered; what that has written since is taken back."""
    if not connection.joined:
        await replica.seats.release(connection.id, connection.user_id, connection.channels)
    return not connection.joined


def own_channels(connection: Connection) -> tuple[str, str, str]:
    """What every connection hears without asking."""
    return f"user:{connection.user_id}", f"connection:{connection.id}", "broadcast"


def _get_up(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    connection.channels = tuple(channel for channel in connection.channels if channel not in channels)
    if connection.session_id and f"session:{connection.session_id}" not in connection.channels:
        connection.session_id = ""
    for channel in channels:
        if replica.pool.leave(connection, channel):
            replica.interest.release(channel)
