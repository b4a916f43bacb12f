"""Sending and waiting until somebody acknowledges; the sender sends again what nobody does (RT-5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from fairlead.format.envelope import Envelope
from fairlead.names import Names
from fairlead.publishing import acks
from fairlead.publishing.acks import Record, Standing
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.replies import Replies
from fairlead.publishing.sent import NOT_AGAIN, Outcome, Sent
from fairlead.redis.patience import patiently
from fairlead.redis.shards import Shards, shards_of

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Receipts:
    """
    Sends messages that must be acknowledged.

    :param replies: where this process is told of acknowledgements.
    :param timeout_seconds: how long Redis may be away before a send raises; and, after the deadline of a message that
        was sent, before it has ``failed``.
    """

    def __init__(
        self, redis: Redis | Shards, names: Names, publisher: Publisher, replies: Replies, *, timeout_seconds: float
    ) -> None:
        self._shards = shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._replies = replies
        self._timeout_seconds = timeout_seconds

    async def send(self, channel: str, envelope: Envelope, seconds: float) -> Sent:
        """
        Publish, and return when it is known whether somebody acknowledged within *seconds*.

        Sent again with the same id, it is not published again where that can be known, and the outcome is the same.

        :raises Unavailable: Redis did not take it in time; ``detail["unknown"]`` if it may have, unanswered.
        """
        record = acks.record(self._names, channel, envelope.id)
        found = await self._expect(record, seconds)
        if found.outcome is not None and not self._publisher.is_durable(channel):
            return Sent(envelope.id, NOT_AGAIN, found.outcome)
        sent = await self._publisher.publish(channel, envelope)
        outcome = found.outcome or await self._outcome(record, channel, envelope, found.left_seconds)
        return Sent(sent.id, sent.fate, outcome)

    async def begin(self, channel: str, envelope: Envelope, seconds: float) -> Sent:
        """
        As `send`, and do not wait: what becomes of it, `fairlead.publishing.acks.way` tells. Nothing is sent again
        meanwhile.

        :raises Unavailable: as `send`.
        """
        await self._expect(acks.record(self._names, channel, envelope.id), seconds)
        return await self._publisher.publish(channel, envelope)

    async def _expect(self, record: Record, seconds: float) -> Standing:
        """Before anybody can have got the message, so that no acknowledgement comes too early."""
        call = acks.expect(record, self._replies.address, seconds)
        return acks.standing((await patiently(self._timeout_seconds, self._shards.run_all, [call]))[0])

    async def _outcome(self, record: Record, channel: str, envelope: Envelope, left_seconds: float) -> Outcome:
        time = asyncio.get_running_loop().time
        began = time()
        with self._replies.waiting(record.key, acks.look(record), _ended) as answer:
            for attempt, due in enumerate(acks.moments(left_seconds), 2):
                await asyncio.wait([answer], timeout=began + due - time())
                if answer.done():
                    return answer.result()
                posted = self._publisher.post(channel, acks.copy(envelope, attempt), durable=False)
                posted.add_done_callback(_looked_at)
            await asyncio.wait([answer], timeout=began + left_seconds - time())
            self._replies.hint(record.key)
            await asyncio.wait([answer], timeout=self._timeout_seconds)
            return answer.result() if answer.done() else Outcome("failed")


def _ended(reply: Any) -> Outcome | None:
    return acks.standing(reply).outcome


def _looked_at(copy: asyncio.Future[Sent]) -> None:
    """What becomes of a copy does not matter: the record tells whether any of them arrived."""
    if not copy.cancelled():
        copy.exception()
