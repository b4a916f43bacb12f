"""Where a fault happens: a Redis of its own, replica processes, and a cable between each of them and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

import fairlead
from fairlead.backend import Backend
from fairlead.names import Names
from tests.support.cable import Cable
from tests.support.namespace import Namespace
from tests.support.redis import Server
from tests.support.replica import Replica

PREFIX: Final = "faults"

HISTORY: Final = 20_000
"""Messages kept, so that only a fault makes a history end."""

SETTINGS: Final = {"lease_seconds": 3, "rate_messages_per_second": 0, "drain_seconds": 1, "history_size": HISTORY}


class Ground:
    """
    One Redis and *count* replicas, until the end of the block.

    :param redis_options: of the Redis server, as on its command line.
    :param is_cabled: whether replicas reach Redis through cables; backends never do.
    :param is_apart: whether the first replica lives in a network namespace; needs root.
    :param settings: of the replicas, beside those that make faults show quickly.
    """

    def __init__(
        self,
        count: int = 2,
        *,
        redis_options: Sequence[str] = (),
        is_cabled: bool = False,
        is_apart: bool = False,
        **settings: object,
    ) -> None:
        self.namespace = Namespace() if is_apart else None
        binding = ("--bind", "127.0.0.1", self.namespace.here, "--protected-mode", "no") if self.namespace else ()
        self.server = Server(*redis_options, *binding)
        self.names = Names(PREFIX)
        self.cables: list[Cable] = []
        self.fleet: list[Replica] = []
        self._count = count
        self._is_cabled = is_cabled
        self._settings = {**SETTINGS, **settings}
        self._stack = AsyncExitStack()
        self.backend: Backend
        self.redis: Redis
        """For whoever makes the fault, and for looking at what Redis holds."""

    async def __aenter__(self) -> Self:
        if self.namespace is not None:
            self._stack.enter_context(self.namespace)
        self._stack.enter_context(self.server)
        if self._is_cabled:
            self.cables = [await self._stack.enter_async_context(Cable(self.server.port)) for _ in range(self._count)]
        urls = [cable.url for cable in self.cables] or [self.server.url] * self._count
        self.fleet = [self._replica(number, url) for number, url in enumerate(urls, 1)]
        for replica in self.fleet:
            self._stack.callback(replica.close)
            replica.launch()
        for replica in self.fleet:
            await asyncio.to_thread(replica.wait_ready)
        self.backend = await self._stack.enter_async_context(self.new_backend())
        self.redis = Redis.from_url(self.server.url, retry=Retry(NoBackoff(), 3), retry_on_error=[ConnectionError])
        self._stack.push_async_callback(self.redis.aclose)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _replica(self, number: int, url: str) -> Replica:
        if self.namespace is None or number > 1:
            return Replica(url, PREFIX, name=f"r{number}", **self._settings)
        url = url.replace("127.0.0.1", self.namespace.here)
        apart = {"host": self.namespace.there, "within": self.namespace.within}
        return Replica(url, PREFIX, name=f"r{number}", **apart, **self._settings)

    def new_backend(self) -> Backend:
        """Another backend process's way in."""
        return fairlead.connect(self.server.url, prefix=PREFIX, history_size=HISTORY)

    def urls(self) -> list[str]:
        """Where devices may try to connect."""
        return [replica.url for replica in self.fleet]

    async def survivors(self, channels: Sequence[str]) -> dict[str, set[str]]:
        """Ids of the messages that the logs hold."""
        found: dict[str, set[str]] = {}
        for channel in channels:
            entries: list[Any] = await self.redis.xrange(self.names.log(channel))
            found[channel] = {fields[b"m"].decode() for _, fields in entries}
        return found

    async def seats(self, user: str) -> int:
        """Connections of *user* that Redis counts."""
        return int(await self.redis.hlen(self.names.conns(user)))

    async def heal(self) -> None:
        """Everything runs again, as before the fault."""
        for cable in self.cables:
            cable.clear()
        for replica in self.fleet:
            if replica.process is not None and replica.process.poll() is not None:
                replica.launch()
        for replica in self.fleet:
            await asyncio.to_thread(replica.wait_ready)
