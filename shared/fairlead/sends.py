"""What can be sent to, by name; the asyncio face, the blocking face and their batches share these methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeAlias, TypedDict, TypeVar, Unpack

from fairlead.acks import ACK_SECONDS, checked_seconds
from fairlead.envelope import Envelope
from fairlead.messages import SYSTEM, checked_sender, push
from fairlead.names import BROADCAST, channel, checked_channel, checked_id
from fairlead.publication import Sayable

Receipt = TypeVar("Receipt", covariant=True)
"""What a send gives: a `Sent`, or something to await that gives one."""

Message: TypeAlias = Mapping[str, object]
"""At least a ``type``; see `fairlead.messages.push`."""


class Options(TypedDict, total=False):
    """What every send may be told; their defaults are those of `Sends.send`."""

    message_id: str | None
    """Makes sending again harmless on durable channels; None for a new one."""

    exclude: str
    """``connection:<id>`` or ``user:<id>`` who must not get the message."""

    requires_ack: bool
    """
    Whether clients are to acknowledge it. The receipt then comes when the outcome is known, and has it as ``status``;
    what nobody acknowledges is meanwhile sent again under the same id. Not in a batch.
    """

    ack_timeout: float
    """Seconds to wait for the first acknowledgement."""


class Sends(ABC, Generic[Receipt]):
    """
    Sending, one method a kind of channel; each takes `Options`.

    What cannot be sent raises `InvalidMessage`, `InvalidJson` or `TooLarge` at once, before Redis is touched.

    :param sender: whom messages come from when they do not say so themselves.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender

    @abstractmethod
    def _say(self, channel: str, said: Sayable) -> Receipt:
        """Send on its way what has been checked."""

    @abstractmethod
    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Receipt:
        """As `_say`, for a message that must be acknowledged within *ack_seconds*."""

    def send(
        self,
        channel: str,
        message: Message,
        *,
        message_id: str | None = None,
        exclude: str = "",
        requires_ack: bool = False,
        ack_timeout: float = ACK_SECONDS,
    ) -> Receipt:
        """Send to a channel such as ``session:s1`` or ``broadcast``; a ``from`` in *message* says who speaks."""
        channel = checked_channel(channel)
        given = message.get("from") if isinstance(message, Mapping) else None
        sender = self._sender if given is None else checked_sender(given)
        envelope = push(
            message, channel, sender=sender, message_id=message_id, exclude=exclude, requires_ack=requires_ack
        )
        if requires_ack:
            return self._say_and_wait(channel, envelope, checked_seconds(ack_timeout))
        return self._say(channel, envelope)

    def send_to_user(self, user_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to every device of a user, now or when it comes back."""
        return self.send(channel("user", user_id), message, **options)

    def send_to_session(self, session_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to the members of a session."""
        return self.send(channel("session", session_id), message, **options)

    def send_to_instance(self, name: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to whoever watches an instance."""
        return self.send(channel("instance", name), message, **options)

    def send_to_topic(self, name: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to whoever has subscribed to a topic at this moment."""
        return self.send(channel("topic", name), message, **options)

    def send_to_connection(self, connection_id: str, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to one connection, as long as it lives."""
        return self.send(channel("connection", connection_id), message, **options)

    def broadcast(self, message: Message, **options: Unpack[Options]) -> Receipt:
        """Send to everybody who is connected at this moment."""
        return self.send(BROADCAST, message, **options)


def service(name: str) -> str:
    """How the service *name* is called as a sender; without a name it is the system."""
    return f"service:{checked_id(name, 'name')}" if name else SYSTEM
