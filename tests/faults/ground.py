"""Where a fault happens: a Redis of its own in some shape, replica processes, and what lies between them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError

import fairlead
from fairlead.backend.backend import Backend
from fairlead.names import Names
from tests.support.cable import Cable
from tests.support.namespace import Namespace
from tests.support.nginx import Nginx
from tests.support.redis import Server
from tests.support.replica import Replica
from tests.support.topologies import Cluster, Sentinels

PREFIX: Final = "faults"

HISTORY: Final = 20_000
"""Messages kept, so that only a fault makes a history end."""

FAREWELL: Final = "1s"
"""How long Nginx lets the connections of old workers live; as shipped nobody would notice a reload."""

SETTINGS: Final = {"lease_seconds": 3, "rate_messages_per_second": 0, "drain_seconds": 1, "history_size": HISTORY}


Shape: TypeAlias = Server | Sentinels | Cluster


class Ground:
    """
    Redis and *count* replicas, until the end of the block.

    :param shape: makes Redis; one server with *redis_options*, as on its command line, unless told otherwise.
    :param is_cabled: whether replicas reach Redis through cables; backends never do.
    :param is_apart: whether the first replica lives in a network namespace; needs root.
    :param is_proxied: whether devices reach the replicas through Nginx, whose old workers live for a second.
    :param files: how many files a replica may have open; 0 for as many as it wants.
    :param durable_replicas: servers that must have a message before a replica, or a backend, calls it sent.
    :param settings: of the replicas, beside those that make faults show quickly.
    """

    def __init__(
        self,
        count: int = 2,
        *,
        shape: Callable[[], Shape] | None = None,
        redis_options: Sequence[str] = (),
        is_cabled: bool = False,
        is_apart: bool = False,
        is_proxied: bool = False,
        files: int = 0,
        durable_replicas: int = 0,
        **settings: object,
    ) -> None:
        self.namespace = Namespace() if is_apart else None
        binding = ("--bind", "127.0.0.1", self.namespace.here, "--protected-mode", "no") if self.namespace else ()
        self.shape = shape() if shape else Server(*redis_options, *binding)
        self.names = Names(PREFIX)
        self.cables: list[Cable] = []
        self.fleet: list[Replica] = []
        self.doors: list[Replica] = []
        """Replicas that devices may try to connect to; the whole fleet, unless a fault says otherwise."""
        self.nginx: Nginx | None = None
        self._count = count
        self._is_cabled = is_cabled
        self._is_proxied = is_proxied
        self._limit = ("prlimit", f"--nofile={files}:{files}") if files else ()
        self._durable_replicas = durable_replicas
        self._settings = {**SETTINGS, "durable_replicas": durable_replicas, **settings}
        self._stack = AsyncExitStack()
        self._clients: dict[int, Redis] = {}
        self.backend: Backend

    @property
    def server(self) -> Server:
        """The one server, where there is one."""
        assert isinstance(self.shape, Server)
        return self.shape

    @property
    def sentinels(self) -> Sentinels:
        assert isinstance(self.shape, Sentinels)
        return self.shape

    @property
    def cluster(self) -> Cluster:
        assert isinstance(self.shape, Cluster)
        return self.shape

    @property
    def redis(self) -> Redis:
        """A client of the one server, for whoever makes the fault."""
        return self.redis_at(self.server)

    async def __aenter__(self) -> Self:
        if self.namespace is not None:
            self._stack.enter_context(self.namespace)
        self._stack.enter_context(self.shape)
        if self._is_cabled:
            self.cables = [await self._stack.enter_async_context(Cable(self.server.port)) for _ in range(self._count)]
        urls = [cable.url for cable in self.cables] or [self.shape.url] * self._count
        self.fleet = [self._replica(number, url) for number, url in enumerate(urls, 1)]
        self.doors = list(self.fleet)
        for replica in self.fleet:
            self._stack.callback(replica.close)
            replica.launch()
        for replica in self.fleet:
            await asyncio.to_thread(replica.wait_ready)
        if self._is_proxied:
            ports = [replica.port for replica in self.fleet]
            self.nginx = self._stack.enter_context(Nginx(ports, farewell=FAREWELL))
        self.backend = await self._stack.enter_async_context(self.new_backend())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()
        await self._stack.aclose()

    def _replica(self, number: int, url: str) -> Replica:
        if self.namespace is None or number > 1:
            return Replica(url, PREFIX, name=f"r{number}", within=self._limit, **self._settings)
        url = url.replace("127.0.0.1", self.namespace.here)
        apart = {"host": self.namespace.there, "within": self.namespace.within}
        return Replica(url, PREFIX, name=f"r{number}", **apart, **self._settings)

    def new_backend(self) -> Backend:
        """Another backend process's way in."""
        return fairlead.connect(
            self.shape.url, prefix=PREFIX, history_size=HISTORY, durable_replicas=self._durable_replicas
        )

    def urls(self) -> list[str]:
        """Where devices may try to connect: Nginx, or the addresses of `doors`."""
        return [self.nginx.url] if self.nginx else [replica.url for replica in self.doors]

    def redis_at(self, server: Server) -> Redis:
        """A client of that server."""
        if server.port not in self._clients:
            retry = {"retry": Retry(NoBackoff(), 3), "retry_on_error": [ConnectionError]}
            self._clients[server.port] = Redis.from_url(server.url, **retry)
        return self._clients[server.port]

    def redis_of(self, key: str) -> Redis:
        """A client of the master that now has *key*."""
        if isinstance(self.shape, Sentinels):
            return self.redis_at(self.shape.master)
        return self.redis_at(self.shape.owner_of(key) if isinstance(self.shape, Cluster) else self.shape)

    async def survivors(self, channels: Sequence[str]) -> dict[str, set[str]]:
        """Ids of the messages that the logs hold."""
        found: dict[str, set[str]] = {}
        for channel in channels:
            log = self.names.log(channel)
            entries: list[Any] = await self.redis_of(log).xrange(log)
            found[channel] = {fields[b"m"].decode() for _, fields in entries}
        return found

    async def seats(self, user: str) -> int:
        """Connections of *user* that Redis counts."""
        key = self.names.conns(user)
        return int(await self.redis_of(key).hlen(key))

    async def heal(self) -> None:
        """Everything runs again, as before the fault."""
        self.doors = list(self.fleet)
        for cable in self.cables:
            cable.clear()
        for replica in self.fleet:
            if replica.process is not None and replica.process.poll() is not None:
                replica.launch()
        for replica in self.fleet:
            await asyncio.to_thread(replica.wait_ready)
