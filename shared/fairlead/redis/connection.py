"""What we need of redis-py's connections, which carry few types of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import asyncio

    from redis import Redis as SyncRedis
    from redis.asyncio import Redis

Command = Sequence[str | bytes | int]


class Connection(Protocol):
    """One connection for asyncio."""

    socket_timeout: float | None
    _reader: asyncio.StreamReader | None

    @property
    def is_connected(self) -> bool: ...

    async def connect(self) -> None: ...

    async def on_connect(self) -> None: ...

    async def disconnect(self, nowait: bool = False) -> None: ...

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]: ...

    async def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None: ...

    async def read_response(self) -> Any: ...


class SyncConnection(Protocol):
    """One blocking connection."""

    def connect(self) -> None: ...

    def on_connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]: ...

    def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None: ...

    def read_response(self) -> Any: ...


def new_connection(redis: Redis) -> Connection:
    """A connection with the settings of *redis*, outside of its pool and not yet open."""
    pool = redis.connection_pool
    return cast(Connection, pool.connection_class(**pool.connection_kwargs))


def has_ended(connection: Connection) -> bool:
    """Whether the other side has hung up while nothing was going on; then nothing must be written any more."""
    reader = connection._reader
    return reader is None or reader.at_eof() or reader.exception() is not None


def new_sync_connection(redis: SyncRedis, answer_seconds: float) -> SyncConnection:
    """As `new_connection`, blocking; an answer may take *answer_seconds*."""
    pool = redis.connection_pool
    return cast(SyncConnection, pool.connection_class(**pool.connection_kwargs | {"socket_timeout": answer_seconds}))


@contextmanager
def pooled(redis: SyncRedis) -> Iterator[SyncConnection]:
    """A connection of the pool of *redis*; an exception closes it, since answers may be on their way to nobody."""
    pool = redis.connection_pool
    lent = pool.get_connection()
    connection = cast(SyncConnection, lent)
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        pool.release(lent)
