"""Redis in other shapes than one server: behind sentinels, as a cluster, as several; all on loopback, and impatient."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from fairlead.redis.places import SLOTS, slot_of
from tests.support.redis import Server, debian_binary, free_port
from tests.support.replica import wait_until

SERVICE = "main"
SECONDS = 30.0

_CLIENT = ("--user", "client", "on", ">client", "~*", "&*", "+@all")
"""Clients have a name; servers and sentinels are the default user, so that these alone can be cut off."""

_IMPATIENT = ("--repl-diskless-sync-delay", "0", "--repl-diskless-sync", "yes")


class Sentinels:
    """A master, two replicas of it, and three sentinels that find it dead after a second."""

    def __init__(self, *options: str) -> None:
        """:param options: of each of the three servers, as on its command line."""
        self.binary = debian_binary() or ""
        self.servers = [Server(*_IMPATIENT, *_CLIENT, *options, binary=self.binary) for _ in range(3)]
        self.sentinels: list[Server] = []
        self._folder = Path(mkdtemp(prefix="fairlead-sentinels-"))

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://client:client@{hosts}/{SERVICE}/0"

    @property
    def master(self) -> Server:
        """The server that the first sentinel takes for the master."""
        with Redis(port=self.sentinels[0].port) as sentinel:
            _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def failover(self) -> None:
        """Let the sentinels promote a replica although nothing is wrong; returns when they have."""
        before = self.master
        with Redis(port=self.sentinels[0].port) as sentinel:
            wait_until(lambda: _said(sentinel, "SENTINEL", "FAILOVER", SERVICE), SECONDS, "a failover begins")
        wait_until(lambda: self.master is not before, SECONDS, "a replica is promoted")

    def isolate(self, server: Server) -> None:
        """Cut *server* off from the sentinels and the other servers; clients go on reaching it."""
        with _as_client(server) as redis:
            redis.execute_command("ACL", "SETUSER", "default", "off")
            redis.execute_command("CLIENT", "KILL", "USER", "default")

    def reunite(self, server: Server) -> None:
        """Undo `isolate`."""
        with _as_client(server) as redis:
            redis.execute_command("ACL", "SETUSER", "default", "on")

    def is_master(self, server: Server) -> bool:
        """Whether *server* takes itself for a master."""
        with _as_client(server) as redis:
            return str(redis.info("replication")["role"]) == "master"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self)
            self._start()
            stack.pop_all()
        return self

    def _start(self) -> None:
        first, *others = self.servers
        first.start()
        for server in others:
            server.start()
            with Redis(port=server.port) as redis:
                redis.execute_command("REPLICAOF", "127.0.0.1", first.port)
        for number in range(3):
            self.sentinels.append(self._sentinel(first.port, number))
        wait_until(self._knows_all, SECONDS, "the sentinels know each other and the replicas")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self.sentinels, *self.servers):
            server.__exit__(None, None, None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sentinel(self, master_port: int, number: int) -> Server:
        config = self._folder / f"sentinel-{number}.conf"
        config.write_text(
            f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        sentinel = Server("--sentinel", binary=self.binary, config=config)
        sentinel.start()
        return sentinel

    def _knows_all(self) -> bool:
        return all(self._sees(sentinel) for sentinel in self.sentinels)

    def _sees(self, server: Server) -> bool:
        with Redis(port=server.port) as sentinel:
            (facts,) = sentinel.execute_command("SENTINEL", "MASTERS")
        told: dict[Any, Any] = facts if isinstance(facts, dict) else dict(zip(facts[::2], facts[1::2], strict=True))
        named = {_text(name): _text(value) for name, value in told.items()}
        return (named["num-slaves"], named["num-other-sentinels"]) == ("2", "2")


class Cluster:
    """Three masters that share the slots, each with a replica if wanted."""

    def __init__(self, *, replicas: int = 0, binary: str | None = None) -> None:
        self.binary = binary
        self._buses: dict[int, int] = {}
        self.masters = [self._node() for _ in range(3)]
        self.replicas = [self._node() for _ in range(3 * replicas)]

    @property
    def nodes(self) -> list[Server]:
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def owner_of(self, key: str) -> Server:
        """The master of *key*, as the nodes see it."""
        slot = slot_of(key)
        for node in self._alive():
            for first, last, (_, port, *_), *_ in _slots(node):
                if int(first) <= slot <= int(last):
                    return next(server for server in self.nodes if server.port == int(port))
        raise AssertionError("nobody has the slot")

    def move_slot(self, key: str, to: Server) -> None:
        """Move the slot of *key* with all of its keys, as ``redis-cli --cluster reshard`` does."""
        with self.moving(key, to):
            pass

    @contextmanager
    def moving(self, key: str, to: Server) -> Iterator[None]:
        """Begin to move the slot of *key*; inside the block *key* alone has moved, after it all keys have."""
        slot, source = slot_of(key), self.owner_of(key)
        with Redis(port=source.port) as giver, Redis(port=to.port) as taker:
            giver_id, taker_id = (_text(node.execute_command("CLUSTER", "MYID")) for node in (giver, taker))
            taker.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", giver_id)
            giver.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", taker_id)
            _migrate(giver, to, [key])
            yield
            while keys := giver.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                _migrate(giver, to, keys)
            for node in (taker, giver):
                node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", taker_id)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self)
            self._start()
            stack.pop_all()
        return self

    def _start(self) -> None:
        for node in self.nodes:
            node.start()
        connections = [Redis(port=node.port) for node in self.nodes]
        share = -(-SLOTS // len(self.masters))
        for number, redis in enumerate(connections):
            redis.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            if number < len(self.masters):
                last = min(SLOTS, (number + 1) * share) - 1
                redis.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        for redis in connections:
            for other in self.nodes:
                redis.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, self._buses[other.port])
        wait_until(lambda: all(self._is_whole(redis) for redis in connections), SECONDS, "the cluster is whole")
        for number, redis in enumerate(connections[len(self.masters) :]):
            master = connections[number % len(self.masters)]
            redis.execute_command("CLUSTER", "REPLICATE", _text(master.execute_command("CLUSTER", "MYID")))
        wait_until(lambda: all(map(_is_linked, connections[len(self.masters) :])), SECONDS, "the replicas follow")
        for redis in connections:
            redis.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.__exit__(None, None, None)

    def _node(self) -> Server:
        bus = free_port()
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", str(bus))
        node = Server(*options, *_IMPATIENT, "--cluster-replica-validity-factor", "0", binary=self.binary)
        self._buses[node.port] = bus
        return node

    def _is_whole(self, redis: Redis) -> bool:
        info = _text(redis.execute_command("CLUSTER", "INFO"))
        known = f"cluster_known_nodes:{len(self.nodes)}"
        return "cluster_state:ok" in info and known in info

    def _alive(self) -> Iterator[Redis]:
        for node in self.nodes:
            with Redis(port=node.port, retry=Retry(NoBackoff(), 0)) as redis:
                if _said(redis, "PING"):
                    yield redis


def _migrate(giver: Redis, to: Server, keys: Sequence[str | bytes]) -> None:
    giver.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)


def _as_client(server: Server) -> Redis:
    return Redis(port=server.port, username="client", password="client")


def _slots(node: Redis) -> list[Any]:
    """As the node says it: redis-py has a view of its own."""
    connection = node.connection_pool.get_connection()
    try:
        connection.send_command("CLUSTER", "SLOTS")
        slots: list[Any] = connection.read_response()
        return slots
    finally:
        node.connection_pool.release(connection)


def _is_linked(redis: Redis) -> bool:
    return str(redis.info("replication").get("master_link_status")) == "up"


def _said(redis: Redis, *command: str) -> bool:
    try:
        redis.execute_command(*command)
    except (RedisError, OSError):
        return False
    return True


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def _server() -> Iterator[str]:
    with Server() as server:
        yield server.url


@contextmanager
def _two() -> Iterator[str]:
    with Server() as one, Server() as other:
        yield f"{one.url},{other.url}"


@contextmanager
def _sentinels() -> Iterator[str]:
    with Sentinels() as sentinels:
        yield sentinels.url


@contextmanager
def _cluster(binary: str | None = None) -> Iterator[str]:
    with Cluster(binary=binary) as cluster:
        yield cluster.url


SHAPES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "one server": _server,
    "two servers": _two,
    "sentinels": _sentinels,
    "a cluster": _cluster,
    "a cluster of Debian's": lambda: _cluster(debian_binary()),
}
"""Every shape that Redis may have; each gives its address."""
