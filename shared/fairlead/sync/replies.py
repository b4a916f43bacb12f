"""As `fairlead.publishing.replies`, blocking: each call that waits is told on a stream and a connection of its own."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from redis.exceptions import RedisError

from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.publishing.replies import ANSWER_SECONDS, LOOK_SECONDS, TOGETHER, heard
from fairlead.redis.atlas import nowhere
from fairlead.redis.connection import new_sync_connection
from fairlead.redis.sync_shards import SyncShards, sync_shards_of

if TYPE_CHECKING:
    from redis import Redis

    from fairlead.redis.connection import Command, SyncConnection

AWAY_SECONDS: Final = 0.1
"""How long to wait before Redis is asked again after it was away."""


class SyncReplies:
    """
    One call's wait; what it hears are hints, as for `fairlead.publishing.replies.Replies`.

    A connection of the pool would be missing there for as long as people take to answer.
    """

    def __init__(self, redis: Redis | SyncShards, names: Names) -> None:
        self._shards = sync_shards_of(redis)
        self.address = names.replies(uuid7())
        """The stream to tell us on."""
        self._last_id: str | bytes = "0-0"
        self._connection: SyncConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def wait(self, seconds: float) -> None:
        """Return when we are told of something, and after *seconds* or `LOOK_SECONDS` anyway."""
        block_ms = int(min(seconds, LOOK_SECONDS) * 1000)
        if block_ms < 1:  # Redis would take 0 for ever.
            return
        try:
            if found := heard(self._read(block_ms)):
                self._last_id = found[-1][0]
        except (RedisError, OSError) as error:
            self._shards.refresh(error)
            # Whoever waits looks at the record itself, and finds out how long Redis is away.
            self._hang_up()
            time.sleep(min(seconds, AWAY_SECONDS))

    def _read(self, block_ms: int) -> Any:
        if self._connection is None:
            shard = self._shards.find(self.address)
            if shard is None:
                raise nowhere()
            self._connection = new_sync_connection(shard.redis, LOOK_SECONDS + ANSWER_SECONDS)
            self._connection.connect()
        connection = self._connection
        command: Command = ("XREAD", "COUNT", TOGETHER, "BLOCK", block_ms, "STREAMS", self.address, self._last_id)
        connection.send_packed_command(connection.pack_commands([command]), check_health=False)
        return connection.read_response()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
