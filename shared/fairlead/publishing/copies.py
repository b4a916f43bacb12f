"""How many servers must have a durable message before it counts as sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.exceptions import ResponseError

from fairlead.publishing.forms import bulk
from fairlead.publishing.outgoing import Outgoing
from fairlead.redis.calls import Sure
from fairlead.redis.outage import TooFewCopies

WAIT_MS: Final = 200
"""How long replicas may take to confirm a batch before it is tried again."""


def sure(replicas: int, timeout_seconds: float) -> Sure | None:
    """What one WAIT asks for, of the time limit of what it confirms; None when nobody need confirm."""
    # A WAIT of 0 ms would wait for ever.
    return Sure(replicas, max(1, min(WAIT_MS, int(timeout_seconds * 1000 / 4)))) if replicas else None


class Copies:
    """
    Which of two classes durable messages belong to (DEP-3).

    *Relay* (0 replicas): the master has the message when it is acknowledged. A failover right after may lose it;
    the epoch's term then tells readers so. *Replicated* (1 or more): that many replicas have it as well, in memory.
    A failover to one of them keeps it; losing all of these machines at once does not, since nobody waits for a disk.

    :param replicas: how many must confirm.
    :param timeout_seconds: the time limit of a message, of which one WAIT takes a small part.
    """

    def __init__(self, replicas: int, timeout_seconds: float) -> None:
        if replicas < 0:
            raise ValueError("durable_replicas must not be negative")
        self._replicas = replicas
        wait = sure(replicas, timeout_seconds)
        self._wait = b"*3\r\n" + bulk("WAIT", *wait) if wait else b""

    def question(self, batch: Sequence[Outgoing]) -> bytes:
        """What to write behind *batch* on the same connection: one WAIT for all of it, or nothing."""
        if self._wait and any(message.form is not None for message in batch):
            return self._wait
        return b""

    def hear(self, batch: Sequence[Outgoing], answer: int | ResponseError) -> None:
        """
        Conclude what was stored, now that *answer* says how many replicas have it.

        :raises TooFewCopies: it must be tried again, under the same id.
        :raises ResponseError: the server cannot say.
        """
        if isinstance(answer, ResponseError):
            raise answer
        if answer < self._replicas:
            raise TooFewCopies(f"{answer} of {self._replicas} replicas confirmed")
        for message in batch:
            message.copied()
