"""The door for other languages: ``XADD fl:ingress * to user:42 message '{"type":"hello"}'``."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from fairlead.errors import FairleadError, InvalidMessage
from fairlead.format.codec import from_json
from fairlead.format.envelope import Envelope
from fairlead.format.messages import SYSTEM, checked_sender, push
from fairlead.names import Names, checked_channel
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.sent import Sent
from fairlead.redis.atlas import nowhere
from fairlead.redis.shards import Shards, shards_of
from fairlead.streams.consumer import Consumer
from fairlead.streams.entries import text
from fairlead.streams.groups import Entry, Pace, Share

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.typing import EncodableT, FieldT

log = logging.getLogger(__name__)

GROUP: Final = "replicas"
"""The consumer group that all replicas form."""

PACE: Final = Pace(least=128, most=128)

REJECTED: Final = 1000
"""Rejected entries that are kept."""

REJECTED_BYTES: Final = 4096
"""How much of a rejected message is kept."""


class Parcel(NamedTuple):
    """An entry, ready to publish."""

    channel: str
    envelope: Envelope


def parcel(entry_id: str, fields: Mapping[bytes, bytes]) -> Parcel:
    """
    What an entry asks to send. Its id makes the message id, so that an entry taken twice is sent once.

    :raises FairleadError: what is wrong with it.
    """
    channel = checked_channel(text(fields, b"to"))
    message = from_json(text(fields, b"message"))
    if not isinstance(message, dict):
        raise InvalidMessage("message must be a JSON object")
    given = text(fields, b"id") if b"id" in fields else message.get("id")
    message_id = given or f"{GROUP}-{entry_id}"
    sender = checked_sender(message.get("from", SYSTEM))
    return Parcel(channel, push({**message, "id": message_id}, channel, sender=sender))


class Ingress:
    """
    One consumer of the stream; every replica runs one.

    An entry is acknowledged and deleted after its message was published, so a consumer that dies loses nothing:
    another one takes over what it had, after `Pace.idle_ms`. Only on ephemeral channels can a message then arrive
    twice, under the same id. An entry that cannot be sent moves to ``ingress:rejected`` with the reason.

    :param consumer_name: unlike that of every other replica.
    """

    def __init__(
        self, redis: Redis | Shards, names: Names, publisher: Publisher, consumer_name: str, pace: Pace = PACE
    ) -> None:
        self._shards = shards_of(redis)
        self._stream = names.ingress
        self._rejected = names.ingress_rejected
        self._publisher = publisher
        self._consumer = Consumer(redis, Share(names.ingress, GROUP, consumer_name, from_start=True, pace=pace))

    async def run(self) -> None:
        """Consume until cancelled; Redis may come and go."""
        try:
            while True:
                retrying = AsyncRetrying(
                    retry=retry_if_exception_type((RedisError, OSError, FairleadError)),
                    wait=wait_random_exponential(multiplier=0.1, max=2.0),
                    before_sleep=_log_interruption,
                )
                await retrying(self._round)
        finally:
            await self._consumer.hang_up()

    async def _round(self) -> None:
        """Take what there is, or wait a moment for it; after a failure, begin with what was left undone."""
        await self._consumer.take()
        entries: list[Entry] = []
        while (entry := self._consumer.next()) is not None:
            entries.append(entry)
            self._consumer.drop()
        try:
            await self._handle(entries)
        except BaseException:
            await self._consumer.hang_up()
            raise

    async def _handle(self, entries: list[Entry]) -> None:
        """Publish or reject each entry, and acknowledge it; what Redis did not take stays ours, and raises."""
        done: list[str] = []
        rejected: list[tuple[Mapping[bytes, bytes], str]] = []
        posted: list[tuple[str, asyncio.Future[Sent]]] = []
        for entry_id, fields, _ in entries:
            try:
                if fields is not None:
                    posted.append((entry_id, self._publisher.post(*parcel(entry_id, fields))))
                    continue
            except FairleadError as error:
                rejected.append((fields or {}, error.message))
            done.append(entry_id)
        if posted:
            await asyncio.wait([answer for _, answer in posted])
        done += [entry_id for entry_id, answer in posted if answer.exception() is None]
        if done:
            await self._acknowledge(done, rejected)
        for _, answer in posted:
            answer.result()

    def _redis(self, stream: str) -> Redis:
        """Where *stream* is now."""
        shard = self._shards.find(stream)
        if shard is None:
            raise nowhere()
        return shard.redis

    async def _acknowledge(self, done: list[str], rejected: list[tuple[Mapping[bytes, bytes], str]]) -> None:
        for fields, reason in rejected:
            redis = self._redis(self._rejected)
            await redis.xadd(self._rejected, _rejection(fields, reason), maxlen=REJECTED, approximate=True)
        async with self._redis(self._stream).pipeline(transaction=True) as pipeline:
            pipeline.xack(self._stream, GROUP, *done)
            pipeline.xdel(self._stream, *done)
            await pipeline.execute()


def _log_interruption(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if state.attempt_number == 1:
        log.warning("ingress interrupted: %s: %s", type(error).__name__, error)


def _rejection(fields: Mapping[bytes, bytes], reason: str) -> dict[FieldT, EncodableT]:
    return {
        "reason": reason,
        "to": fields.get(b"to", b"")[:REJECTED_BYTES],
        "message": fields.get(b"message", b"")[:REJECTED_BYTES],
    }
