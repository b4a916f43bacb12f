"""As `fairlead.streams.consumer`, blocking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from fairlead.redis.atlas import nowhere
from fairlead.redis.connection import new_sync_connection
from fairlead.redis.sync_shards import SyncShards, sync_shards_of
from fairlead.streams.groups import ANSWER_SECONDS, Entry, Share

if TYPE_CHECKING:
    from redis import Redis

    from fairlead.redis.connection import Command, SyncConnection
    from fairlead.redis.greeting import Greeting


class SyncConsumer:
    """As `fairlead.streams.consumer.Consumer`; for one thread."""

    def __init__(self, redis: Redis | SyncShards, share: Share) -> None:
        self._shards = sync_shards_of(redis)
        self._share = share
        self._connection: SyncConnection | None = None
        self._greeting: Greeting | None = None
        self._unread = 0
        """Acknowledgements that Redis has yet to answer."""

    def next(self) -> Entry | None:
        """As `fairlead.streams.consumer.Consumer.next`."""
        return self._share.next(time.monotonic())

    def drop(self) -> None:
        """As `fairlead.streams.consumer.Consumer.drop`."""
        self._share.drop()

    def take(self) -> None:
        """As `fairlead.streams.consumer.Consumer.take`."""
        try:
            self._ask()
            while self._share.is_empty and not self._share.has_waited:
                self._ask()
        except (RedisError, OSError) as error:
            self.hang_up()
            self._shards.refresh(error)
            raise
        except BaseException:
            self.hang_up()
            raise

    def done(self, entry_id: str) -> None:
        """As `fairlead.streams.consumer.Consumer.done`."""
        share = self._share
        share.done(entry_id)
        if share.is_empty or self._connection is None:
            return  # Goes with the next question.
        try:
            self._write(self._connection, *share.acknowledgements())
            self._unread += 1
        except (RedisError, OSError):
            self.hang_up()
        except BaseException:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """As `fairlead.streams.consumer.Consumer.hang_up`."""
        connection, self._connection = self._connection, None
        self._unread = 0
        self._share.lost()
        if connection is not None:
            connection.disconnect()

    def _ask(self) -> None:
        share = self._share
        connection = self._connected()
        assert self._greeting is not None
        acknowledgements = share.acknowledgements()
        question = share.question(self._greeting, time.monotonic())
        self._write(connection, *acknowledgements, question)
        for _ in range(self._unread + len(acknowledgements)):
            connection.read_response()
        self._unread = 0
        share.hear(_reply(connection), time.monotonic())

    def _connected(self) -> SyncConnection:
        if self._connection is None:
            shard = self._shards.find(self._share.stream)
            if shard is None:
                raise nowhere()
            seconds = self._share.pace.block_ms / 1000 + ANSWER_SECONDS
            self._connection, self._greeting = new_sync_connection(shard.redis, seconds), shard.greeting
            self._connection.connect()
        return self._connection

    def _write(self, connection: SyncConnection, *commands: Command) -> None:
        connection.send_packed_command(connection.pack_commands(commands), check_health=False)


def _reply(connection: SyncConnection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
