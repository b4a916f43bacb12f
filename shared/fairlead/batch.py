"""Messages that are said one by one and sent together."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.envelope import Envelope
from fairlead.errors import Conflict, FairleadError, InvalidMessage
from fairlead.publication import Sayable
from fairlead.sends import Receipt, Sends
from fairlead.sent import Fate, Sent


class Batch(Sends[Receipt]):
    """
    What is collected between the beginning and the end of a batch.

    `sent` holds the receipts in the order of sending; they know more than their id when the batch has ended.
    """

    def __init__(self, sender: str, give: Callable[[Sent], Receipt]) -> None:
        super().__init__(sender)
        self.sent: list[Sent] = []
        self.is_open = True
        self._give = give
        self._messages: list[tuple[str, Sayable]] = []

    def _say(self, channel: str, said: Sayable) -> Receipt:
        if not self.is_open:
            raise Conflict("this batch has ended")
        receipt = Sent(said.id)
        self.sent.append(receipt)
        self._messages.append((channel, said))
        return self._give(receipt)

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Receipt:
        raise InvalidMessage("a batch does not wait: send a message that requires_ack outside of it")

    def end(self) -> list[tuple[str, Sayable]]:
        """Take nothing more; what was collected, to be sent."""
        self.is_open = False
        return self._messages

    def settle(self, fates: list[Fate | FairleadError]) -> None:
        """Fill the receipts; the first refusal raises, after all have been filled."""
        for receipt, fate in zip(self.sent, fates, strict=True):
            receipt.settle(fate)
        for fate in fates:
            if isinstance(fate, FairleadError):
                raise fate

    def abandon(self) -> None:
        """Take nothing more and send nothing."""
        self.is_open = False
        for receipt in self.sent:
            receipt.settle(Conflict("its batch ended with an exception; nothing was sent", message_id=receipt.id))
