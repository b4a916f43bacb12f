"""Shards for threads: as `fairlead.redis.shards`, blocking."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import RedisError

from fairlead.names import Names
from fairlead.redis.address import Address, Kind, addresses
from fairlead.redis.atlas import ROUNDS, Answers, Atlas, SomeCommand, grouped, nowhere
from fairlead.redis.calls import Arguments, Sure, try_sync
from fairlead.redis.cluster import ANSWER_SECONDS as NODE_SECONDS
from fairlead.redis.cluster import QUESTIONS, Layout, layout, worth_asking
from fairlead.redis.connect import ANSWER_SECONDS, open_sync
from fairlead.redis.connection import pooled
from fairlead.redis.greeting import Greeting, greeting_of
from fairlead.redis.once import ask_once_sync
from fairlead.redis.outage import ELSEWHERE
from fairlead.redis.placed import Place
from fairlead.redis.places import Ring, SlotMap
from fairlead.redis.scripts import Script
from fairlead.redis.sentinel import Service

if TYPE_CHECKING:
    from fairlead.redis.address import HostPort
    from fairlead.redis.connection import SyncConnection


class SyncShard:
    """One master, wherever it is at the moment."""

    def __init__(self, name: str, redis: Redis, place: Place | None = None) -> None:
        self.name = name
        self.redis = redis
        self.place = place
        self.greeting = greeting_of(redis)


class SyncShards(Atlas[SyncShard]):
    """Independent servers: where something lives never changes."""

    _followers: tuple[threading.Thread, ...] = ()

    @cached_property
    def _services(self) -> list[Service]:
        return [shard.place for shard in self if isinstance(shard.place, Service)]

    def follow(self) -> None:
        """Have sentinels asked from now on whether masters are still the same, in this process."""
        # After a fork there are none: threads stay behind.
        if not self._services or any(thread.is_alive() for thread in self._followers):
            return
        self._ended = threading.Event()
        self._followers = tuple(
            threading.Thread(target=place.follow_sync, args=(self._ended,), name="fairlead follows", daemon=True)
            for place in self._services
        )
        for thread in self._followers:
            thread.start()

    def refresh(self, error: BaseException | None = None) -> None:
        """Learn where things live; called when *error* says that it may not be where we thought."""

    def ask(self, *commands: SomeCommand) -> list[Any]:
        """As `fairlead.redis.shards.Shards.ask`; one shard after the other."""
        answers = Answers(len(commands))
        error: Exception = nowhere()
        for _ in range(ROUNDS):
            for shard, ats in grouped(answers.missing, lambda at: self.of_command(commands[at])):
                answers.take(ats, _ask(shard, [commands[at] for at in ats]))
            if (found := answers.error) is None:
                return answers.values
            error = found
            self.refresh(error)
            if not isinstance(error, ELSEWHERE):
                break
        raise error

    def run(self, script: Script, keys: Sequence[str], args: Arguments = (), sure: Sure | None = None) -> Any:
        """What *script* returns, executed once; it is followed to where its keys have moved. *sure* as for `Shards`."""
        error: Exception = nowhere()
        for _ in range(ROUNDS):
            shard = self.find(keys[0])
            try:
                if shard is not None:
                    reply = try_sync(shard.redis, (script, keys, args), sure)
                    if not isinstance(reply, Exception):
                        return reply
                    error = reply
            except (RedisError, OSError) as refused:
                error = refused
            self.refresh(error)
            if not isinstance(error, ELSEWHERE):
                break
        raise error

    def close(self) -> None:
        """Disconnect everything."""
        if self._followers:
            self._ended.set()
        for shard in self:
            shard.redis.close()


class SyncCluster(SyncShards):
    """The masters of a cluster, as its nodes tell; nothing is known before the first `refresh`."""

    is_sharded = True

    def __init__(self, address: Address, names: Names, client_name: str, answer_seconds: float | None) -> None:
        self._map: SlotMap[SyncShard] = SlotMap()
        super().__init__(self._map, names.replicas)
        self._address = address
        self._names = names
        self._options = {"client_name": client_name, "answer_seconds": answer_seconds}
        self._nodes: dict[HostPort, SyncShard] = {}
        self._shard(address.hosts[0])  # what is no URL is refused now, not when the first node is met
        self._learning = threading.Lock()

    def refresh(self, error: BaseException | None = None) -> None:
        """Ask one node after the other, until one tells of a whole cluster."""
        with self._learning:
            for host in worth_asking((*self._nodes, *self._address.hosts), error):
                found = self._ask_node(host)
                if found is not None and found.is_ok:
                    self._adopt(found)
                    return

    def _ask_node(self, host: HostPort) -> Layout | None:
        try:
            info, slots = ask_once_sync(self._address.url, host, *QUESTIONS, seconds=NODE_SECONDS)
        except (RedisError, OSError):
            return None
        return layout(info, slots, host)

    def _adopt(self, found: Layout) -> None:
        masters = {host for _, _, host in found.ranges}
        gone = [self._nodes.pop(host) for host in set(self._nodes) - masters]
        for host in masters - set(self._nodes):
            self._nodes[host] = self._shard(host)
        self._map.adopt((first, last, self._nodes[host]) for first, last, host in found.ranges)
        for shard in gone:
            shard.redis.close()

    def _shard(self, host: HostPort) -> SyncShard:
        def owned() -> list[int]:
            return [partition for partition, owner in enumerate(self.partitions) if owner is shard]

        place, greeting = Place(*host), Greeting(self._names, owned)
        redis = open_sync(self._address.url, self._names, place=place, greeting=greeting, **self._options)  # type: ignore[arg-type]
        shard = SyncShard(f"{host[0]}:{host[1]}", redis)
        return shard


def open_shards_sync(
    url: str, names: Names, *, client_name: str = "fairlead", answer_seconds: float | None = ANSWER_SECONDS
) -> SyncShards:
    """As `fairlead.redis.shards.open_shards`."""
    named = addresses(url)
    if named[0].kind is Kind.CLUSTER:
        return SyncCluster(named[0], names, client_name, answer_seconds)
    options = {"client_name": client_name, "answer_seconds": answer_seconds}
    shards = {}
    for address in named:
        place = Service(address) if address.kind is Kind.SENTINEL else None
        redis = open_sync(address.url, names, place=place, **options)  # type: ignore[arg-type]
        shards[address.name] = SyncShard(address.name, redis, place)
    return SyncShards(Ring(shards), names.replicas)


def sync_shards_of(redis: Redis | SyncShards) -> SyncShards:
    """A client of one server as the shard that has everything."""
    return redis if isinstance(redis, SyncShards) else SyncShards(Ring({"": SyncShard("", redis)}), "")


def _ask(shard: SyncShard, commands: Sequence[SomeCommand]) -> list[Any]:
    """What *shard* says; an error is an answer, too."""
    try:
        with pooled(shard.redis) as connection:
            connection.send_packed_command(connection.pack_commands(commands))
            return [_answer(connection) for _ in commands]
    except (RedisError, OSError) as error:
        return [error] * len(commands)


def _answer(connection: SyncConnection) -> Any:
    try:
        return connection.read_response()
    except ELSEWHERE as error:
        return error
