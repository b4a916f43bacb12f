"""What can be sent to, by name; the asyncio face, the blocking face and their batches share these methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeAlias, TypeVar

from fairlead.envelope import Envelope
from fairlead.messages import SYSTEM, checked_sender, push
from fairlead.names import BROADCAST, channel, checked_channel, checked_id

Receipt = TypeVar("Receipt", covariant=True)
"""What a send gives: a `Sent`, or something to await that gives one."""

Message: TypeAlias = Mapping[str, object]
"""At least a ``type``; see `fairlead.messages.push`."""


class Sends(ABC, Generic[Receipt]):
    """
    Sending, one method a kind of channel.

    Everywhere, *message_id* makes sending again harmless on durable channels, and *exclude*
    (``connection:<id>`` or ``user:<id>``) names who must not get the message. What cannot be sent raises
    `InvalidMessage`, `InvalidJson` or `TooLarge` at once, before Redis is touched.

    :param sender: whom messages come from when they do not say so themselves.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender

    @abstractmethod
    def _say(self, channel: str, envelope: Envelope) -> Receipt:
        """Send on its way what has been checked."""

    def send(self, channel: str, message: Message, *, message_id: str | None = None, exclude: str = "") -> Receipt:
        """Send to a channel such as ``session:s1`` or ``broadcast``; a ``from`` in *message* says who speaks."""
        channel = checked_channel(channel)
        given = message.get("from") if isinstance(message, Mapping) else None
        sender = self._sender if given is None else checked_sender(given)
        return self._say(channel, push(message, channel, sender=sender, message_id=message_id, exclude=exclude))

    def send_to_user(
        self, user_id: str, message: Message, *, message_id: str | None = None, exclude: str = ""
    ) -> Receipt:
        """Send to every device of a user, now or when it comes back."""
        return self.send(channel("user", user_id), message, message_id=message_id, exclude=exclude)

    def send_to_session(
        self, session_id: str, message: Message, *, message_id: str | None = None, exclude: str = ""
    ) -> Receipt:
        """Send to the members of a session."""
        return self.send(channel("session", session_id), message, message_id=message_id, exclude=exclude)

    def send_to_instance(
        self, name: str, message: Message, *, message_id: str | None = None, exclude: str = ""
    ) -> Receipt:
        """Send to whoever watches an instance."""
        return self.send(channel("instance", name), message, message_id=message_id, exclude=exclude)

    def send_to_topic(
        self, name: str, message: Message, *, message_id: str | None = None, exclude: str = ""
    ) -> Receipt:
        """Send to whoever has subscribed to a topic at this moment."""
        return self.send(channel("topic", name), message, message_id=message_id, exclude=exclude)

    def send_to_connection(
        self, connection_id: str, message: Message, *, message_id: str | None = None, exclude: str = ""
    ) -> Receipt:
        """Send to one connection, as long as it lives."""
        return self.send(channel("connection", connection_id), message, message_id=message_id, exclude=exclude)

    def broadcast(self, message: Message, *, message_id: str | None = None, exclude: str = "") -> Receipt:
        """Send to everybody who is connected at this moment."""
        return self.send(BROADCAST, message, message_id=message_id, exclude=exclude)


def service(name: str) -> str:
    """How the service *name* is called as a sender; without a name it is the system."""
    return f"service:{checked_id(name, 'name')}" if name else SYSTEM
