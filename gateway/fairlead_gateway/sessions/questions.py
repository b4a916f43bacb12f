"""Questions on their way to and from the clients of this replica: shown again to who connects, and their ends told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from fairlead.errors import Unavailable
from fairlead.format.messages import push
from fairlead.names import kind_of
from fairlead.questions.asks import Standing
from fairlead.questions.shown import closed_message, question_message
from fairlead_gateway.dispatch.dispatcher import finish
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import seating
from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)


def asked_of(connection: Connection) -> list[str]:
    """The channels that a connection's questions come through: its user's, and its role's if it has one."""
    return [channel for channel in seating.own_channels(connection) if kind_of(channel) in ("user", "role")]


async def show_again(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    """
    Show a connection the questions that are open in *channels* when it comes to these.

    Whoever has seen one knows it by its callback id.
    """
    try:
        found = await replica.questions.open_of(channels)
        _write(connection, [_frame(connection, channels, one, question_message(one), "ask") for one in found])
        # That one of them is over may have been told while it was on its way here, and so before it was shown.
        looked = await replica.questions.looked_at(one.id for one in found)
        over = [one for one in looked if one.state != "pending"]
        _write(connection, [_frame(connection, channels, one, closed_message(one), "closed") for one in over])
    except Unavailable as error:
        log.warning("questions not shown again", connection_id=connection.id, why=error.message)


def _frame(
    connection: Connection, channels: Sequence[str], about: Standing, message: Mapping[str, object], what: str
) -> bytes:
    channel = next(channel for channel in channels if channel in about.to)
    return finish(push(message, channel, message_id=f"{what}:{about.round}").frame, connection.format)


def _write(connection: Connection, frames: Sequence[bytes]) -> None:
    if frames:
        # However many there are, they are no fault of a client who reads slowly.
        connection.socket.make_room(sum(map(len, frames)))
        connection.write(b"".join(frames))


async def announce(replica: Replica, standing: Standing) -> None:
    """Tell everybody that a question is over; should Redis be away, another replica does that a moment later."""
    try:
        await replica.questions.announce(standing)
    except Unavailable as error:
        log.warning("end of a question not told yet", question=standing.id, why=error.message)


async def tend(replica: Replica, id: str) -> int | None:
    """
    Do what is to be done about the question *id* now (see `fairlead_gateway.facts.due`).

    :raises Unavailable: Redis cannot be reached; it comes again.
    """
    await replica.questions.tend(id)
    return None
