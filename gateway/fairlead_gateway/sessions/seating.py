"""Sitting down in channels and getting up again: pool, interest and shared facts, always in this order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from fairlead.errors import NotFound, RateLimited
from fairlead.format.position import Position
from fairlead.names import is_id, kind_of
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.dispatch.dispatcher import frames_for
from fairlead_gateway.dispatch.outgoing import Outgoing
from fairlead_gateway.dispatch.replays import MAX_REPLAY_BYTES
from fairlead_gateway.dispatch.tracks import Caught
from fairlead_gateway.pool import Connection
from fairlead_gateway.sessions import people
from fairlead_gateway.sessions.frames import Position as Claimed

if TYPE_CHECKING:
    from fairlead.pushes import Standing
    from fairlead_gateway.sessions.replica import Replica

EPHEMERAL: Final = (Caught(Position(0, ""), None, []), Caught(Position(0, ""), False, []))
"""Where a channel without offsets stands: for who asked for nothing, and for who wanted to recover."""

STATES_TOGETHER: Final = 8
"""States read at once for one client, each of which may have a megabyte."""

ONES_OWN: Final = ("user", "connection", "broadcast", "role")
"""Kinds of channel that belong to a connection, and that nobody can ask for."""

Recover = Mapping[str, Claimed]
"""Where a client says that it stands, by channel."""


async def sit(
    replica: Replica, connection: Connection, channels: Sequence[str], recover: Recover
) -> Mapping[str, Caught]:
    """
    Take places for *connection* in *channels*; answers where each of them stands, and what it has missed there.

    It hears nothing before `settle_in`. Places are taken before Redis is asked, so that two who come at once find each
    other; positions are read after Redis has confirmed, so that nothing falls between what was before and what comes.

    :raises RateLimited: more channels than one connection may hear.
    :raises NotFound: it has ended meanwhile.
    """
    heard = {*connection.channels, *own_channels(connection)}
    new = [channel for channel in dict.fromkeys(channels) if channel not in heard]
    limit = replica.settings.max_channels_per_connection
    if new and len(connection.channels) + len(new) > limit:
        raise RateLimited(f"a connection may hear {limit} channels; leave some first", limit=limit)
    connection.channels += tuple(new)
    reserve(replica, connection, new)
    try:
        await replica.interest.want(*channels)
        if not connection.joined:
            raise NotFound("this connection has ended")
        joined = replica.seats.join(connection.id, connection.user_id, channels, connection.channels)
        prepare(replica, channels, recover)
        caught = await catch_up(replica, channels, recover)
        for session in await joined.arrived():
            people.came(replica, connection, session)
        return caught
    except BaseException:
        _get_up(replica, connection, new)
        if new and connection.joined:
            # Redis may show it there already.
            _leave(replica, connection, new)
        raise


def reserve(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    """Keep places in *channels*; from now on they are needed here."""
    for channel in channels:
        replica.pool.reserve(connection, channel)
        replica.tracks.open(channel)


def prepare(replica: Replica, channels: Sequence[str], recover: Recover) -> None:
    """Ask at once for everything that `catch_up` will await, so that all of it takes one round trip."""
    for channel in channels:
        replica.tracks.prepare(channel, _position(recover.get(channel)))


async def catch_up(replica: Replica, channels: Sequence[str], recover: Recover) -> Mapping[str, Caught]:
    """
    Where *channels* stand, and what was missed since the positions in *recover*: of each all of it, or nothing.

    Nothing of a channel, too, with which all of them together would be more than `MAX_REPLAY_BYTES`. Where a channel
    has a state and it was not recovered, the state of now stands for what was missed: what comes later changes it. If
    that would be too much as well, the client is told to load it, by ``recovered: false``.
    """
    tracks = replica.tracks
    found: dict[str, Caught] = {}
    left = MAX_REPLAY_BYTES
    for channel in channels:
        caught = EPHEMERAL[channel in recover]
        if tracks.get(channel) is not None:
            caught = await tracks.catch_up(channel, _position(recover.get(channel)))
            size = sum(len(message.frame) for message in caught.missed)
            if size > left:
                caught = caught._replace(recovered=False, missed=[])
            else:
                left -= size
        found[channel] = caught
        replica.tallies.recovered(caught.recovered)
    stated = [name for name, one in found.items() if not one.recovered and kind_of(name) in replica.states]
    for start in range(0, len(stated), STATES_TOGETHER):
        some = stated[start : start + STATES_TOGETHER]
        for name, frame in zip(some, await asyncio.gather(*(state_of(replica, name) for name in some)), strict=True):
            left -= len(frame)
            if frame:
                fits = left >= 0
                found[name] = found[name]._replace(missed=[Outgoing(frame)]) if fits else _untold(found[name])
    return found


def _untold(caught: Caught) -> Caught:
    return caught._replace(recovered=False, missed=[])


async def state_of(replica: Replica, channel: str) -> bytes:
    """
    The state behind *channel*, as the JSON frame that a client gets; empty where there is none.

    :raises Unavailable: Redis cannot be reached.
    """
    tell = replica.states.get(kind_of(channel))
    return b"" if tell is None else await tell(channel)


def told(caught: Mapping[str, Caught]) -> dict[str, Standing]:
    """What a client is told about its channels: where each stands, and whether it has recovered what it missed."""
    return {channel: _told(*one) for channel, one in caught.items()}


def settle_in(replica: Replica, connection: Connection, caught: Mapping[str, Caught]) -> bytes:
    """
    Make *connection* a member of the channels in which it has places.

    :returns: the frames of all that it missed there, in order; to be written before anything else.
    """
    missed: list[bytes] = []
    own = own_channels(connection)
    for channel, one in caught.items():
        if connection.joined and (channel in own or channel in connection.channels):
            replica.pool.join(connection, channel)
            if messages := one.missed + replica.tracks.rest(channel, one):
                replica.counters.messages_sent += _replayed(connection, messages)
                _note_replay(replica, connection, channel, messages)
                missed.append(frames_for(connection, channel, messages))
    return b"".join(missed)


def _note_replay(replica: Replica, connection: Connection, channel: str, messages: Sequence[Outgoing]) -> None:
    first, last = messages[0], messages[-1]
    if first.offset:
        who = (connection.user_id, connection.id, connection.identity.device_id)
        replica.trail.stretch("replayed", channel, first.offset, last.offset, last.epoch, *who)


def go_on(replica: Replica, connection: Connection, caught: Mapping[str, Caught]) -> None:
    """`settle_in` for a connection that is live: what it missed is written at once."""
    if frames := settle_in(replica, connection, caught):
        connection.socket.make_room(len(frames))
        connection.write(frames)


async def become(replica: Replica, connection: Connection, identity: Identity) -> Mapping[str, Caught]:
    """
    Let *connection* speak for *identity* from now on: it gives up what was its own before, and takes places in what is.

    :returns: where the channels stand that are new to it, for `go_on`.
    :raises Unavailable: Redis cannot be reached; it is who it was.
    :raises NotFound: it has ended meanwhile.
    """
    before, own = own_channels(connection), own_channels(connection, identity)
    new = [channel for channel in own if channel not in before]
    reserve(replica, connection, new)
    try:
        await replica.interest.want(*new)
        caught = await catch_up(replica, new, {})
        if not connection.joined:
            raise NotFound("this connection has ended")
    except BaseException:
        _give_up(replica, connection, new)
        raise
    connection.identity = identity
    _give_up(replica, connection, [channel for channel in before if channel not in own])
    return caught


def stand_up(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    """Let *connection* hear *channels* no more; those it does not hear are passed over."""
    heard = [channel for channel in channels if channel in connection.channels]
    if heard and connection.joined:
        for session in replica.typists.stop(connection, heard):
            people.stopped_typing(replica, connection, session)
        _get_up(replica, connection, heard)
        _leave(replica, connection, heard)


async def reseat(replica: Replica, connection: Connection, was_swept: bool) -> None:
    """
    Write a connection down again that Redis has forgotten; it is here anyway, so no limit is asked.

    One that has yet to be greeted asks for its seat itself, under the limit.

    :param was_swept: whether others took it for gone and may have been told so; then they are told that it is here.
    """
    if connection.joined and connection.is_live:
        admission = await replica.seats.admit(
            connection.id,
            connection.user_id,
            connection.identity.device_id,
            connection.channels,
            limit=0,
            policy="keep",
        )
        if was_swept:
            people.admitted(replica, connection, admission)
        await left_meanwhile(replica, connection)


async def left_meanwhile(replica: Replica, connection: Connection) -> bool:
    """Whether *connection* ended before its admission was answered; what that has written since is taken back."""
    if not connection.joined:
        await replica.seats.release(connection.id, connection.user_id, connection.channels)
    return not connection.joined


def own_channels(connection: Connection, identity: Identity | None = None) -> tuple[str, ...]:
    """
    What a connection hears without asking: its user's, its own, everybody's, and its role's if it has one.

    :param identity: whom it would speak for; None for whom it does.
    """
    identity = identity or connection.identity
    own = (f"user:{identity.user_id}", f"connection:{connection.id}", "broadcast")
    return (*own, f"role:{identity.role}") if is_id(identity.role) else own


def _replayed(connection: Connection, messages: Sequence[Outgoing]) -> int:
    """How many of *messages* were said in the channel and are for *connection*; a state stands for none."""
    return sum(bool(message.offset) and message.is_for(connection.id, connection.user_id) for message in messages)


def _position(claimed: Claimed | None) -> Position | None:
    return None if claimed is None else Position(claimed.offset, claimed.epoch, claimed.id or "")


def _told(position: Position, recovered: bool | None, missed: Sequence[object]) -> Standing:
    facts: Standing = {"offset": position.offset, "epoch": position.epoch} if position.epoch else {}
    if recovered is not None:
        facts["recovered"] = recovered
    return facts


def _leave(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    told = partial(people.went, replica, connection)
    replica.seats.leave(connection.id, connection.user_id, channels, connection.channels, told)


def _get_up(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    connection.channels = tuple(channel for channel in connection.channels if channel not in channels)
    if connection.session_id and f"session:{connection.session_id}" not in connection.channels:
        connection.session_id = ""
    _give_up(replica, connection, channels)


def _give_up(replica: Replica, connection: Connection, channels: Sequence[str]) -> None:
    for channel in channels:
        if replica.pool.leave(connection, channel):
            replica.interest.release(channel)
