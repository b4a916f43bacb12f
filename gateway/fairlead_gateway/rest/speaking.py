"""What callers of the HTTP interface send is sent in their own name: as ``service:<user of the token>``."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeAlias

from fairlead.backend.sends import Message, Sends, service
from fairlead.errors import InvalidMessage
from fairlead.format.envelope import Envelope
from fairlead.publishing.publication import Sayable
from fairlead.publishing.sent import Sent
from fairlead_gateway.rest.route import Asked

Sending: TypeAlias = Coroutine[Any, Any, Sent]


class Speaking(Sends[Sending]):
    """Sends for one caller; what it says of itself does not count."""

    def __init__(self, asked: Asked[Any, Any]) -> None:
        replica = asked.api.replica
        super().__init__(service(asked.identity.user_id), replica.names, replica.settings.state_ttl_seconds)
        self._sends = asked.api.sends

    @property
    def sender(self) -> str:
        """As clients see it."""
        return self._sender

    def checked(self, message: Message) -> Message:
        """
        *message*, which says nothing about who sends it.

        :raises InvalidMessage: it does, so that somebody would be taken for another.
        """
        if "from" in message:
            raise InvalidMessage(f"message: from: leave it out; it is sent as {self._sender}", errors=[{"at": "from"}])
        return message

    def _say(self, channel: str, said: Sayable) -> Sending:
        return self._sends._say(channel, said)

    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Sending:
        return self._sends._say_after(first, channel, said)

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Sending:
        return self._sends._say_and_wait(channel, envelope, ack_seconds)
