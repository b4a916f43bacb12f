"""Gives messages to Redis in the order of each channel; what is said within one turn of the loop goes together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from fairlead.names import DURABLE_KINDS, Names, partition_of
from fairlead.publishing.copies import Copies
from fairlead.publishing.posted import Posted
from fairlead.publishing.publication import Publications, Sayable
from fairlead.publishing.road import Road
from fairlead.publishing.sent import Sent
from fairlead.redis.roads import Roads
from fairlead.redis.sentinel import Service
from fairlead.redis.shards import Shard, Shards, shards_of

if TYPE_CHECKING:
    from redis.asyncio import Redis


class Publisher:
    """
    Publishes envelopes, each exactly once where that can be known.

    A durable message is tried again under the same id while Redis is away, since the publish script does nothing
    the second time. An ephemeral one is tried again only if it was never written, or was refused unread.

    :param redis: from `fairlead.redis.shards` or `fairlead.redis.connect`; the publisher opens connections of its own.
    :param durable: kinds of channel whose messages get an offset and are kept.
    :param timeout_seconds: after this a message that Redis has not taken ends as `Unavailable`.
    :param attempts: at most so many tries within that time; 0 for as many as it allows.
    :param durable_replicas: how many replicas of Redis must have a durable message before it counts as sent (see
        `fairlead.publishing.copies.Copies`).
    :param follows: whether to ask sentinels, from the first message on, if the master is still the same; a replica
        has a watch of its own for that.
    """

    def __init__(
        self,
        redis: Redis | Shards,
        names: Names,
        *,
        durable: Collection[str] = DURABLE_KINDS,
        history_size: int = 256,
        history_ttl_seconds: int = 3600,
        timeout_seconds: float = 5.0,
        attempts: int = 0,
        durable_replicas: int = 0,
        follows: bool = False,
    ) -> None:
        shards = shards_of(redis)
        self._services = [shard.place for shard in shards if isinstance(shard.place, Service)] if follows else []
        self._following: asyncio.Task[None] | None = None
        self._publications = Publications(
            names,
            durable=durable,
            history_size=history_size,
            history_ttl_seconds=history_ttl_seconds,
            is_sharded=shards.is_sharded,
        )
        self._timeout_seconds = timeout_seconds
        copies = Copies(durable_replicas, timeout_seconds)
        self._roads: Roads[Shard, Road] = Roads(shards, lambda: Road(shards, timeout_seconds, attempts, copies))

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return self._publications.is_durable(channel)

    async def publish(self, channel: str, said: Sayable, *, durable: bool | None = None) -> Sent:
        """
        Publish and return the receipt.

        :param durable: overrides what the kind of channel says.
        :raises Unavailable: Redis did not take it in time; ``detail["unknown"]`` if it may have, unanswered.
        """
        return await self.post(channel, said, durable=durable)

    async def publish_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Sent:
        """As `publish`, in one round trip with *first*; raises what either of them does."""
        _, sent = await asyncio.gather(self.post(*first), self.post(channel, said))
        return sent

    def post(self, channel: str, said: Sayable, *, durable: bool | None = None) -> asyncio.Future[Sent]:
        """As `publish`, at once and without a coroutine: calls in a row are published in that order."""
        partition = partition_of(channel)
        body, form = self._publications.pack(channel, said, durable)
        loop = asyncio.get_running_loop()
        deadline, answer = loop.time() + self._timeout_seconds, loop.create_future()
        self.follow()
        self._roads.of_partition(partition).take(Posted(said.id, partition, body, form, deadline, answer))
        return answer

    def follow(self) -> None:
        """Have sentinels asked from now on whether masters are still the same, as whoever posts has anyway."""
        if self._services and (self._following is None or self._following.done()):
            work = self._follow()
            self._following = asyncio.get_running_loop().create_task(work, name="fairlead follows masters")

    async def aclose(self) -> None:
        """Wait for what was posted, no longer than its time limit, and disconnect."""
        await asyncio.gather(*(road.aclose() for road in self._roads))
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def _follow(self) -> None:
        await asyncio.gather(*(service.follow() for service in self._services))
