"""How a connection comes to be: admitted, seated, greeted; or refused for a reason the client can read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from fairlead import codes
from fairlead.errors import InvalidMessage, Unavailable
from fairlead.format.control import close_order
from fairlead.format.messages import now as timestamp
from fairlead.ids import uuid7
from fairlead.names import channel as channel_name
from fairlead.names import checked_channel, kind_of
from fairlead.state.tasks import task_channel
from fairlead_gateway.access.authorizer import Verb
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.access.rejected import TokenRejected
from fairlead_gateway.dispatch.dispatcher import finish
from fairlead_gateway.dispatch.tracks import Caught
from fairlead_gateway.pool import Connection, Format
from fairlead_gateway.pool.meter import Meter
from fairlead_gateway.pool.socket import Socket
from fairlead_gateway.sessions import admins, devices, leaving, people, questions, seating
from fairlead_gateway.sessions.replica import Replica
from fairlead_gateway.sessions.seating import Recover
from fairlead_gateway.sessions.voice import encode

if TYPE_CHECKING:
    from fairlead.pushes import Established, Standing

log = structlog.get_logger(__name__)


class Refused(Exception):
    """The connection will not be opened; ends as a close frame."""

    def __init__(self, close: codes.Close, text: str = "") -> None:
        super().__init__(close.reason(text))
        self.close = close
        self.text = text


class Place(NamedTuple):
    """Where the path puts a connection (§2.1 of the protocol)."""

    session_id: str = ""
    instance: str = ""
    monitor: str = ""
    """``tasks`` for a connection that watches all tasks of its user, ``admin`` for one that watches the fleet."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that the connection hears beside its own.

        :raises InvalidMessage: the path holds something that is no id.
        """
        session = (channel_name("session", self.session_id),) if self.session_id else ()
        instance = (channel_name("instance", self.instance),) if self.instance else ()
        return session + instance

    @property
    def given(self) -> tuple[str, ...]:
        """Channels that it hears besides, for which nobody is asked."""
        return admins.HEARD if self.monitor == "admin" else ()


class Greeting(NamedTuple):
    """An opened connection, not yet live: what to send first, and what it has missed in its channels."""

    connection: Connection
    established: bytes
    caught: Mapping[str, Caught]
    is_asked: bool
    """Whether there are questions that it may answer."""


async def open_connection(
    replica: Replica,
    socket: Socket,
    format: Format,
    identity: Identity,
    place: Place,
    recover: Recover,
    ref: str | None = None,
) -> Greeting:
    """
    Admit *identity* on *socket*, which may have yet to be accepted, and seat it where *place* says.

    :param recover: where the client stands; it is seated in these channels, too, as far as it may hear them.
    :param ref: id of the ``connect`` frame, which the greeting answers.
    :raises Refused: with the close code that says why.
    """
    await _ensure_allowed(replica, identity, place)
    back, denied = await _coming_back(replica, identity, place, recover)
    tasks = await _tasks(replica, identity, place.channels + back) if place.monitor == "tasks" else ()
    extra = place.given + place.channels + back + tasks
    if len(replica.pool) >= replica.settings.max_connections:
        raise Refused(codes.REPLICA_FULL, "this replica holds all the connections it may")
    _ensure_in_force(replica, identity)
    connection = Connection(uuid7(), identity, socket, format, Meter(), time.time())
    connection.session_id, connection.instance = place.session_id, place.instance
    _enter(replica, connection, extra)
    try:
        caught, is_asked = await _admit(replica, connection, extra, recover)
        is_asked = is_asked or await replica.questions.may_be_asked(identity.role)
        if await seating.left_meanwhile(replica, connection):
            _ensure_in_force(replica, identity)
            raise Refused(codes.REPLACED, "by a newer connection")
    except Unavailable:
        leaving.gone(replica, connection, codes.INTERNAL_ERROR.code, "redis cannot be reached")
        raise Refused(codes.INTERNAL_ERROR, "redis cannot be reached, try again") from None
    except BaseException:
        leaving.gone(replica, connection, codes.INTERNAL_ERROR.code, "not opened")
        raise
    if place.monitor == "tasks":
        replica.monitors.add(connection, tasks)
    shown = (f"user:{connection.user_id}", *place.channels, *back, *tasks)
    positions = seating.told({name: one for name, one in caught.items() if name in shown or one.position.epoch})
    return Greeting(connection, _established(replica, connection, positions | denied, ref), caught, is_asked)


def go_live(replica: Replica, greeting: Greeting) -> None:
    """Send the greeting and what was missed; from here on the connection hears its channels."""
    connection = greeting.connection
    missed = seating.settle_in(replica, connection, greeting.caught)
    if missed:
        connection.socket.make_room(len(missed))
    connection.go_live(greeting.established + missed)


def settle(replica: Replica, greeting: Greeting) -> None:
    """The greeted connection is live: from here on its heartbeat and its token's end are watched."""
    settings, connection = replica.settings, greeting.connection
    now = connection.socket.heard_at
    connection.heartbeat_at = replica.heartbeats.put(connection, int(now + settings.heartbeat_interval_seconds))
    leaving.expect_expiry(replica, connection)
    replica.counters.connections_opened += 1
    log.info(
        "connection opened", connection_id=connection.id, user_id=connection.user_id, address=connection.socket.remote
    )
    connection.tell_news()
    replica.events.emit("connection", connection_id=connection.id, user_id=connection.user_id)
    if greeting.is_asked:
        channels = questions.asked_of(connection)
        replica.tasks.start(questions.show_again(replica, connection, channels), name="open questions")
    # A task may have begun after the others were asked for, and before the user's channel was heard.
    replica.monitors.look(replica, connection.user_id)


async def _ensure_allowed(replica: Replica, identity: Identity, place: Place) -> None:
    if place.monitor == "admin" and not admins.may_enter(identity, replica.settings):
        raise Refused(codes.FORBIDDEN, admins.REFUSAL)
    try:
        for channel in place.channels:
            if not await replica.authorizer.allows(identity, "join", channel):
                raise Refused(codes.FORBIDDEN, f"you may not join {channel}")
    except Unavailable as error:
        raise Refused(codes.INTERNAL_ERROR, error.message) from None


def _ensure_in_force(replica: Replica, identity: Identity) -> None:
    """Looked at in the turn in which the connection enters the pool, where whoever revokes its token finds it."""
    try:
        replica.revoked.known.check(identity)
    except TokenRejected as error:
        raise Refused(codes.TOKEN_EXPIRED, error.message) from None


async def _coming_back(
    replica: Replica, identity: Identity, place: Place, recover: Recover
) -> tuple[tuple[str, ...], dict[str, Standing]]:
    """
    The channels beyond its place that a client comes back to, and what it is told about those it may not hear.

    :raises Refused: something in *recover* is no channel, or they are too many.
    """
    if not recover:
        return (), {}
    back: list[str] = []
    denied: dict[str, Standing] = {}
    placed = {f"user:{identity.user_id}", f"role:{identity.role}", *place.channels, *place.given}
    try:
        for channel in map(checked_channel, recover):
            if channel in placed:
                continue
            verb: Verb = "join" if kind_of(channel) == "session" else "subscribe"
            if kind_of(channel) not in seating.ONES_OWN and await replica.authorizer.allows(identity, verb, channel):
                back.append(channel)
            else:
                denied[channel] = {"recovered": False, "code": "forbidden"}
    except InvalidMessage as error:
        raise Refused(codes.BAD_REQUEST, error.message) from None
    except Unavailable as error:
        raise Refused(codes.INTERNAL_ERROR, error.message) from None
    if len(back) + len(place.channels) > replica.settings.max_channels_per_connection:
        limit = replica.settings.max_channels_per_connection
        raise Refused(codes.BAD_REQUEST, f"a connection may hear {limit} channels")
    return tuple(back), denied


async def _tasks(replica: Replica, identity: Identity, others: Sequence[str]) -> tuple[str, ...]:
    """The channels of the current tasks of a user, the latest first, as many as there is room for beside *others*."""
    try:
        current = [task_channel(task) for task in await replica.task_states.current(identity.user_id)]
    except Unavailable as error:
        raise Refused(codes.INTERNAL_ERROR, error.message) from None
    room = replica.settings.max_channels_per_connection - len(others)
    return tuple([name for name in current if name not in others][:room])


def _enter(replica: Replica, connection: Connection, extra: tuple[str, ...]) -> None:
    connection.joined = True
    connection.channels = extra
    replica.pool.enter(connection.id, connection)
    seating.reserve(replica, connection, (*seating.own_channels(connection), *extra))


async def _admit(
    replica: Replica, connection: Connection, extra: Sequence[str], recover: Recover
) -> tuple[Mapping[str, Caught], bool]:
    """What it has missed, and whether its user may have questions to answer."""
    settings = replica.settings
    channels = (*seating.own_channels(connection), *extra)
    await replica.interest.want(*channels)
    recover = await devices.go_on(replica, connection.identity, recover)
    seating.prepare(replica, channels, recover)
    admission = await replica.seats.admit(
        connection.id,
        connection.user_id,
        connection.identity.device_id,
        extra,
        limit=settings.max_connections_per_user,
        policy=settings.user_limit_policy,
    )
    if not admission.admitted:
        leaving.gone(replica, connection, codes.TOO_MANY_CONNECTIONS.code, "refused")
        raise Refused(codes.TOO_MANY_CONNECTIONS, f"at most {settings.max_connections_per_user} for each user")
    connection.news = partial(people.admitted, replica, connection, admission)
    for evicted in admission.evicted:
        order = close_order(codes.REPLACED.code, codes.REPLACED.reason("by a newer connection"))
        await replica.publisher.publish(f"connection:{evicted}", order, durable=False)
    caught = await seating.catch_up(replica, channels, recover)
    if (own := caught[f"user:{connection.user_id}"]) not in seating.EPHEMERAL:
        await devices.note(replica, connection.identity, recover, own)
    return caught, admission.is_asked


def _established(replica: Replica, connection: Connection, channels: dict[str, Standing], ref: str | None) -> bytes:
    settings = replica.settings
    message: Established = {
        "type": "connection_established",
        "connection_id": connection.id,
        "user_id": connection.user_id,
        "session_id": connection.session_id or None,
        "instance": connection.instance or None,
        "replica": replica.id,
        "server_time": timestamp(),
        "heartbeat": {
            "interval": settings.heartbeat_interval_seconds,
            "timeout": settings.heartbeat_timeout_seconds,
        },
        "channels": channels,
    }
    if ref is not None:
        message["ref"], message["ok"] = ref, True
    return finish(encode(message), connection.format)
