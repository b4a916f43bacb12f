"""Shards: the servers that share the keys; for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from fairlead.names import Names
from fairlead.redis.address import Address, Kind, addresses
from fairlead.redis.atlas import ROUNDS, Answers, Atlas, SomeCommand, grouped, nowhere
from fairlead.redis.calls import Call, Sure, try_all
from fairlead.redis.cluster import ANSWER_SECONDS as NODE_SECONDS
from fairlead.redis.cluster import QUESTIONS, Layout, believed, layout, worth_asking
from fairlead.redis.connect import ANSWER_SECONDS, open_async
from fairlead.redis.connection import new_connection
from fairlead.redis.greeting import Greeting, greeting_of
from fairlead.redis.once import ask_once
from fairlead.redis.outage import ELSEWHERE
from fairlead.redis.placed import Place
from fairlead.redis.places import Ring, SlotMap
from fairlead.redis.sentinel import Service

if TYPE_CHECKING:
    from fairlead.redis.address import HostPort
    from fairlead.redis.connection import Connection

T = TypeVar("T")


class Shard:
    """
    One master, wherever it is at the moment, and our ways to it.

    :param url: credentials and options, and where it is unless *place* says.
    """

    def __init__(self, name: str, url: str, redis: Redis, place: Place | None = None) -> None:
        self.name = name
        self.url = url
        self.redis = redis
        self.place = place

    @cached_property
    def greeting(self) -> Greeting:
        """What every connection there has said first."""
        return greeting_of(self.redis)

    def __repr__(self) -> str:
        return f"<Shard {self.name}>"

    async def connect(self) -> Connection:
        """A connection of the caller's own, greeted; its time limits are the caller's as well."""
        connection = new_connection(self.redis)
        connection.socket_timeout = None
        await connection.connect()
        return connection


class Shards(Atlas[Shard]):
    """Independent servers: where something lives never changes."""

    async def refresh(self, error: BaseException | None = None) -> None:
        """Learn where things live; called when *error* says that it may not be where we thought."""

    async def ask(self, *commands: SomeCommand) -> list[Any]:
        """
        The answers to *commands*, each of which may be asked twice; one round trip to each shard.

        :raises RedisError: or ``OSError``: the first error, after all have been tried.
        """
        return await self._everywhere(commands, self.of_command, _ask)

    async def run_all(self, calls: Sequence[Call], sure: Sure | None = None) -> list[Any]:
        """
        What each of *calls* returns, one round trip to each shard; they are executed once, or an error is raised.

        :param sure: replicas that must have what was written.
        :raises TooFewCopies: they have not; executed they were.
        :raises RedisError: or ``OSError``: the first error, after all have been tried.
        """
        return await self._everywhere(calls, lambda call: self.find(call[1][0]), partial(_run, sure=sure))

    async def _everywhere(
        self,
        things: Sequence[T],
        shard_of: Callable[[T], Shard | None],
        perform: Callable[[Shard, Sequence[T]], Awaitable[list[Any]]],
    ) -> list[Any]:
        """What *perform* returns for each of *things*, done where it lives; following those that have moved."""
        answers = Answers(len(things))
        error: Exception = nowhere()

        async def do(shard: Shard, ats: list[int]) -> None:
            answers.take(ats, await perform(shard, [things[at] for at in ats]))

        for _ in range(ROUNDS):
            await asyncio.gather(*(do(*group) for group in grouped(answers.missing, lambda at: shard_of(things[at]))))
            if (found := answers.error) is None:
                return answers.values
            error = found
            await self.refresh(error)
            if not isinstance(error, ELSEWHERE):
                break
        raise error

    async def aclose(self) -> None:
        """Disconnect everything."""
        for shard in self:
            await shard.redis.aclose()


class Cluster(Shards):
    """The masters of a cluster, as its nodes tell; nothing is known before the first `refresh`."""

    is_sharded = True

    def __init__(self, address: Address, names: Names, client_name: str, answer_seconds: float | None) -> None:
        self._map: SlotMap[Shard] = SlotMap()
        super().__init__(self._map, names.replicas)
        self._address = address
        self._names = names
        self._options = {"client_name": client_name, "answer_seconds": answer_seconds}
        self._nodes: dict[HostPort, Shard] = {}
        self._shard(address.hosts[0])  # what is no URL is refused now, not when the first node is met
        self._learning: asyncio.Task[None] | None = None

    async def refresh(self, error: BaseException | None = None) -> None:
        """Ask some nodes; whoever needs it at the same time waits for the same answers."""
        task, loop = self._learning, asyncio.get_running_loop()
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._learning = loop.create_task(self._learn(error), name="cluster map")
        await asyncio.shield(task)

    async def _learn(self, error: BaseException | None) -> None:
        hosts = worth_asking((*self._nodes, *self._address.hosts), error)
        told = await asyncio.gather(*(self._ask_node(host) for host in hosts))
        if found := believed(one for some in told for one in some):
            await self._adopt(found)

    async def _ask_node(self, host: HostPort) -> list[Layout]:
        """What a node knows, or nothing when it cannot be reached."""
        try:
            info, slots = await ask_once(self._address.url, host, *QUESTIONS, seconds=NODE_SECONDS)
        except (RedisError, OSError):
            return []
        return [layout(info, slots, host)]

    async def _adopt(self, found: Layout) -> None:
        masters = {host for _, _, host in found.ranges}
        gone = [self._nodes.pop(host) for host in set(self._nodes) - masters]
        for host in masters - set(self._nodes):
            self._nodes[host] = self._shard(host)
        self._map.adopt((first, last, self._nodes[host]) for first, last, host in found.ranges)
        for shard in gone:
            _drop(shard)
            await shard.redis.aclose()

    def _shard(self, host: HostPort) -> Shard:
        def owned() -> list[int]:
            return [partition for partition, owner in enumerate(self.partitions) if owner is shard]

        place, greeting = Place(*host), Greeting(self._names, owned)
        url = self._address.url
        redis = open_async(url, self._names, place=place, greeting=greeting, **self._options)  # type: ignore[arg-type]
        shard = Shard(f"{host[0]}:{host[1]}", url, redis, place)
        return shard


def open_shards(
    url: str, names: Names, *, client_name: str = "fairlead", answer_seconds: float | None = ANSWER_SECONDS
) -> Shards:
    """
    All that *url* names; connects when first used.

    :raises ValueError: for a URL that is none; the message does not repeat it, since it may hold a password.
    """
    named = addresses(url)
    if named[0].kind is Kind.CLUSTER:
        return Cluster(named[0], names, client_name, answer_seconds)
    shards = [_shard(address, names, client_name, answer_seconds) for address in named]
    return Shards(Ring({shard.name: shard for shard in shards}), names.replicas)


def shards_of(redis: Redis | Shards) -> Shards:
    """A client of one server as the shard that has everything."""
    if isinstance(redis, Shards):
        return redis
    return Shards(Ring({"": Shard("", "", redis)}), "")


def _shard(address: Address, names: Names, client_name: str, answer_seconds: float | None) -> Shard:
    place = Service(address) if address.kind is Kind.SENTINEL else None
    redis = open_async(address.url, names, client_name=client_name, answer_seconds=answer_seconds, place=place)
    return Shard(address.name, address.url, redis, place)


async def _ask(shard: Shard, commands: Sequence[SomeCommand]) -> list[Any]:
    """What *shard* says; an error is an answer, too."""
    try:
        async with shard.redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)
    except (RedisError, OSError) as error:
        return [error] * len(commands)


async def _run(shard: Shard, calls: Sequence[Call], sure: Sure | None) -> list[Any]:
    """What scripts return there; an error is an answer, too."""
    try:
        return await try_all(shard.redis, calls, sure)
    except (RedisError, OSError) as error:
        return [error] * len(calls)


def _drop(shard: Shard) -> None:
    if shard.place is not None:
        shard.place.drop()
