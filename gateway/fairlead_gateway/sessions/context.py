"""What an action is given: the client who asked, and the replica it asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fairlead.format.messages import push
from fairlead.publishing.sent import Sent
from fairlead_gateway.access.identity import Identity
from fairlead_gateway.pool import Connection

if TYPE_CHECKING:
    from fairlead_gateway.sessions.replica import Replica


class Context:
    """One action of one client. Handlers and middleware of applications get it beside the message."""

    __slots__ = ("afterwards", "connection", "frame", "has_answered", "replica")

    def __init__(self, replica: Replica, connection: Connection) -> None:
        self.replica = replica
        self.connection = connection
        self.frame: Mapping[str, Any] = {}
        """What is done now: all that the client sent, as middleware left it."""
        self.afterwards: list[Callable[[], None]] = []
        """What is to be done once the action has been answered, in the same turn of the loop."""
        self.has_answered = False
        """Whether the action has said its reply itself."""

    @property
    def connection_id(self) -> str:
        return self.connection.id

    @property
    def user_id(self) -> str:
        return self.connection.user_id

    @property
    def session_id(self) -> str:
        """The session this connection speaks in, or empty."""
        return self.connection.session_id

    @property
    def identity(self) -> Identity:
        return self.connection.identity

    async def publish(
        self,
        channel: str,
        message: Mapping[str, Any],
        *,
        exclude: str = "",
        durable: bool | None = None,
        message_id: str | None = None,
    ) -> Sent:
        """Send *message* in the name of this user to everybody in *channel*, on every replica."""
        envelope = push(message, channel, sender=f"user:{self.user_id}", exclude=exclude, message_id=message_id)
        return await self.replica.publisher.publish(channel, envelope, durable=durable)

    def answer(self, message: Mapping[str, Any]) -> None:
        """Write *message*, which is the reply to this action."""
        self.has_answered = True
        self.send(message)

    def send(self, message: Mapping[str, Any]) -> None:
        """Write *message* to this connection alone, at once."""
        self.replica.voice.say(self.connection, message)
