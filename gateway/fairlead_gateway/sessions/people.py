"""People who come and go, as the others and the application are told: users, not sockets (ST-4)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from fairlead.errors import Unavailable
from fairlead.format.messages import push
from fairlead.names import id_of
from fairlead_gateway.facts.departures import Departure
from fairlead_gateway.facts.news import SessionEvent, moment, session_news
from fairlead_gateway.facts.seats import Admission
from fairlead_gateway.pool import Connection

if TYPE_CHECKING:
    from fairlead.pushes import Typing
    from fairlead_gateway.sessions.replica import Replica

log = structlog.get_logger(__name__)


def admitted(replica: Replica, connection: Connection, admission: Admission) -> None:
    """Tell of whoever has arrived with *connection*: nobody does by a second device, or by coming back in time."""
    if admission.arrived:
        replica.events.emit("user_connected", user_id=connection.user_id, connection_id=connection.id)
        replica.statuses.tell(connection.user_id, admission.shown)
    for session, answer in admission.shown.items():
        answer.add_done_callback(partial(_shown, replica, connection, session))


def came(replica: Replica, connection: Connection, session: str) -> None:
    """Tell the members of *session* that a user has come to it."""
    replica.tasks.start(_announce(replica, connection, session), name="session_joined")


def went(replica: Replica, connection: Connection, session: str) -> None:
    """The members of *session* have been told that the user of *connection* has left it."""
    _emit(replica, "session_left", session, connection.user_id, connection.id)


async def typing(replica: Replica, connection: Connection, session: str, is_typing: bool) -> None:
    """
    Show the others in *session* that the user of *connection* is typing, or has stopped; at most once.

    :raises Unavailable: Redis cannot be reached.
    """
    notice: Typing = {"type": "typing", "user_id": connection.user_id, "is_typing": is_typing}
    user = f"user:{connection.user_id}"
    await replica.publisher.publish(session, push(notice, session, sender=user, exclude=user), durable=False)


def typing_changed(replica: Replica, connection: Connection, session: str, is_typing: bool) -> None:
    """Tell the application that a user began to type, or has stopped."""
    facts = {"user_id": connection.user_id, "session_id": id_of(session), "is_typing": is_typing}
    replica.events.emit("typing_status_changed", **facts)


def stopped_typing(replica: Replica, connection: Connection, session: str) -> None:
    """Tell the others in its place that somebody has stopped who left, or fell silent."""
    typing_changed(replica, connection, session, False)
    replica.tasks.start(_stopped_typing(replica, connection, session), name="stopped typing")


class Farewells:
    """Tells of departures, wherever the connection was (see `fairlead_gateway.facts.departures.Teller`)."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    async def user_left(self, departure: Departure) -> None:
        user_id, last_seen = departure.user_id, departure.left_at
        await asyncio.gather(*self._replica.statuses.tell(user_id, departure.sessions, last_seen))
        facts = {"user_id": user_id, "connection_id": departure.connection_id, "last_seen": moment(last_seen)}
        self._replica.events.emit("user_disconnected", **facts)

    def user_is_back(self, departure: Departure) -> None:
        self._replica.statuses.tell(departure.user_id, departure.sessions)

    def session_left(self, departure: Departure) -> None:
        _emit(self._replica, "session_left", departure.session, departure.user_id, departure.connection_id)


def _shown(replica: Replica, connection: Connection, session: str, answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled() and answer.exception() is None and answer.result():
        came(replica, connection, session)


async def _stopped_typing(replica: Replica, connection: Connection, session: str) -> None:
    try:
        await typing(replica, connection, session, False)
    except Unavailable as error:
        log.warning("not announced", about="typing", channel=session, why=error.message)


async def _announce(replica: Replica, connection: Connection, session: str) -> None:
    _emit(replica, "session_joined", session, connection.user_id, connection.id)
    try:
        news = session_news("session_joined", session, connection.user_id, connection.id)
        await replica.publisher.publish(session, news, durable=False)
    except Unavailable as error:
        log.warning("not announced", about="session_joined", channel=session, why=error.message)


def _emit(replica: Replica, event: SessionEvent, session: str, user_id: str, connection_id: str) -> None:
    replica.events.emit(event, user_id=user_id, connection_id=connection_id, session_id=id_of(session))
