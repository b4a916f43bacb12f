"""The asyncio face of Fairlead for backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay

from fairlead.envelope import Envelope
from fairlead.errors import Conflict
from fairlead.names import DURABLE_KINDS, Names, checked_channel, checked_id
from fairlead.presence import ALL_PARTITIONS, Member, online_key, present
from fairlead.publisher import BACK_OFF, Publisher
from fairlead.redis.connect import open_async
from fairlead.redis.outage import is_passing, unavailable
from fairlead.sends import Sends
from fairlead.sent import Sent

Sending: TypeAlias = Coroutine[Any, Any, Sent]
T = TypeVar("T")


def connect(
    url: str,
    *,
    name: str = "",
    prefix: str = "fl",
    durable: Collection[str] = DURABLE_KINDS,
    history_size: int = 256,
    history_ttl_seconds: int = 3600,
    timeout_seconds: float = 5.0,
) -> Backend:
    """
    ``async with fairlead.connect("redis://…") as fl``: what a backend sends through.

    Connects when first used. Sends within one turn of the loop share a round trip.

    :param name: of this service; messages then come from ``service:<name>``.
    :param prefix: as the gateway's ``FAIRLEAD_PREFIX``; *durable* and *history…* likewise as the gateway has them.
    :param timeout_seconds: how long to go on trying while Redis is away, before `Unavailable`.
    """
    names = Names(prefix)
    redis = open_async(url, names, client_name=f"fairlead:{name or 'backend'}", answer_seconds=timeout_seconds)
    publisher = Publisher(
        redis,
        names,
        durable=durable,
        history_size=history_size,
        history_ttl_seconds=history_ttl_seconds,
        timeout_seconds=timeout_seconds,
    )
    return Backend(redis, names, publisher, name=name, timeout_seconds=timeout_seconds)


class Backend(Sends[Sending]):
    """Sends, and asks who is there."""

    def __init__(
        self, redis: Redis, names: Names, publisher: Publisher, *, name: str = "", timeout_seconds: float = 5.0
    ) -> None:
        super().__init__(name)
        self._redis = redis
        self._names = names
        self._publisher = publisher
        self._timeout_seconds = timeout_seconds
        self._batch: ContextVar[Batch | None] = ContextVar("batch", default=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for what is on its way, and disconnect."""
        await self._publisher.aclose()
        await self._redis.aclose()

    def _say(self, channel: str, envelope: Envelope) -> Sending:
        batch = self._batch.get()
        if batch is None or not batch.is_open:
            return self._publisher.publish(channel, envelope)
        return batch._say(channel, envelope)

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """
        Send what is sent inside in one round trip, at the end.

        Receipts given inside know no more than their id until then. An exception inside means that nothing is
        sent; a message that Redis refuses raises at the end, after the others have been sent.
        """
        batch = Batch(self._sender)
        token = self._batch.set(batch)
        try:
            yield batch
        except BaseException:
            batch.abandon()
            raise
        finally:
            self._batch.reset(token)
        await batch.publish(self._publisher)

    # -- who may come in, who is there -----------------------------------------------------------

    async def grant_session(self, session_id: str, user_ids: Iterable[str]) -> None:
        """Let users join a session."""
        key, users = self._names.members(checked_id(session_id, "session id")), checked_users(user_ids)
        if users:
            await self._ask(lambda: self._redis.sadd(key, *users))

    async def revoke_session(self, session_id: str, user_ids: Iterable[str]) -> None:
        """Let users no longer join a session; who is in it stays."""
        key, users = self._names.members(checked_id(session_id, "session id")), checked_users(user_ids)
        if users:
            await self._ask(lambda: self._redis.srem(key, *users))

    async def online_users(self) -> set[str]:
        """Users with at least one connection."""
        pipeline = self._redis.pipeline(transaction=False)
        for partition in ALL_PARTITIONS:
            pipeline.smembers(self._names.online(partition))
        sets = await self._ask(pipeline.execute)
        return {user.decode() for users in sets for user in users}

    async def is_online(self, user_id: str) -> bool:
        """Whether a user has a connection."""
        key = online_key(self._names, user_id)
        return bool(await self._ask(lambda: self._redis.sismember(key, user_id)))

    async def presence(self, channel: str) -> list[Member]:
        """Connections that are in a channel now."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(self._names.here(checked_channel(channel)))
        pipeline.zrange(self._names.replicas, 0, -1, withscores=True)
        pipeline.time()
        here, leases, (seconds, micros) = await self._ask(pipeline.execute)
        return present(here, leases, seconds * 1000 + micros / 1000)

    async def _ask(self, command: Callable[[], Any]) -> Any:
        """What *command* gives, tried again while Redis is away; for what may be done twice."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_passing),
            wait=BACK_OFF,
            stop=stop_after_delay(self._timeout_seconds),
            reraise=True,
        )
        try:
            return await retrying(command)
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
