"""Messages that are said one by one and sent together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fairlead.backend.sends import Receipt, Sends
from fairlead.errors import Conflict, FairleadError, InvalidMessage
from fairlead.format.envelope import Envelope
from fairlead.publishing.publication import Sayable
from fairlead.publishing.sent import Fate, Sent


class Batch(Sends[Receipt]):
    """
    What is collected between the beginning and the end of a batch.

    `sent` holds the receipts in the order of sending; they know more than their id when the batch has ended.
    """

    def __init__(self, sends: Sends[Any], give: Callable[[Sent], Receipt]) -> None:
        """:param sends: what it is a batch of."""
        super().__init__(sends._sender, sends._names, sends._state_ttl_seconds)
        self.sent: list[Sent] = []
        self.is_open = True
        self._give = give
        self._messages: list[tuple[str, Sayable]] = []
        self._receipts: list[Sent] = []

    def _say(self, channel: str, said: Sayable) -> Receipt:
        receipt = self._take(channel, said)
        self.sent.append(receipt)
        return self._give(receipt)

    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Receipt:
        self._take(*first)
        return self._say(channel, said)

    def _take(self, channel: str, said: Sayable) -> Sent:
        if not self.is_open:
            raise Conflict("this batch has ended")
        receipt = Sent(said.id)
        self._receipts.append(receipt)
        self._messages.append((channel, said))
        return receipt

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Receipt:
        raise InvalidMessage("a batch does not wait: send a message that requires_ack outside of it")

    def end(self) -> list[tuple[str, Sayable]]:
        """Take nothing more; what was collected, to be sent."""
        self.is_open = False
        return self._messages

    def settle(self, fates: list[Fate | FairleadError]) -> None:
        """Fill the receipts; the first refusal raises, after all have been filled."""
        for receipt, fate in zip(self._receipts, fates, strict=True):
            receipt.settle(fate)
        for fate in fates:
            if isinstance(fate, FairleadError):
                raise fate

    def abandon(self) -> None:
        """Take nothing more and send nothing."""
        self.is_open = False
        for receipt in self._receipts:
            receipt.settle(Conflict("its batch ended with an exception; nothing was sent", message_id=receipt.id))
