"""A consumer of a stream: it asks Redis for its share, on a connection of its own; Redis may come and go."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from fairlead.redis.atlas import nowhere
from fairlead.redis.shards import Shards, shards_of
from fairlead.streams.groups import ANSWER_SECONDS, Entry, Share

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fairlead.redis.connection import Command, Connection
    from fairlead.redis.greeting import Greeting


class Consumer:
    """
    Carries the questions of a `Share` to Redis.

    Whatever goes wrong is raised after the connection was given up; asked again, it begins with what was left undone.
    """

    def __init__(self, redis: Redis | Shards, share: Share) -> None:
        self._shards = shards_of(redis)
        self._share = share
        self._connection: Connection | None = None
        self._greeting: Greeting | None = None
        self._unread = 0
        """Acknowledgements that Redis has yet to answer."""

    def next(self) -> Entry | None:
        """The next entry that was taken, until it is dropped; None when there is none: then `take` more."""
        return self._share.next(time.monotonic())

    def drop(self) -> None:
        """The entry that `next` gave is in good hands."""
        self._share.drop()

    async def take(self) -> None:
        """Ask Redis for more, and wait a moment for it; there may be none. What was taken before has been dropped."""
        try:
            await self._ask()
            while self._share.is_empty and not self._share.has_waited:
                await self._ask()
        except (RedisError, OSError) as error:
            await self.hang_up()
            await self._shards.refresh(error)
            raise
        except BaseException:
            await self.hang_up()
            raise

    async def done(self, entry_id: str) -> None:
        """It is finished; Redis is told at once, or, should that fail, when it can be reached again."""
        share = self._share
        share.done(entry_id)
        if share.is_empty or self._connection is None:
            return  # Goes with the next question.
        try:
            await self._write(self._connection, *share.acknowledgements())
            self._unread += 1
        except (RedisError, OSError):
            await self.hang_up()
        except BaseException:
            await self.hang_up()
            raise

    async def hang_up(self) -> None:
        """Give up the connection, and everything that was taken; what was not acknowledged can be taken again."""
        connection, self._connection = self._connection, None
        self._unread = 0
        self._share.lost()
        if connection is not None:
            await connection.disconnect(nowait=True)

    async def _ask(self) -> None:
        share = self._share
        async with asyncio.timeout(share.pace.block_ms / 1000 + ANSWER_SECONDS):
            connection = await self._connected()
            assert self._greeting is not None
            acknowledgements = share.acknowledgements()
            question = share.question(self._greeting, time.monotonic())
            await self._write(connection, *acknowledgements, question)
            for _ in range(self._unread + len(acknowledgements)):
                await connection.read_response()
            self._unread = 0
            share.hear(await _reply(connection), time.monotonic())

    async def _connected(self) -> Connection:
        if self._connection is None:
            shard = self._shards.find(self._share.stream)
            if shard is None:
                raise nowhere()
            # Redis answers when there is something to take; our own time limit knows how long that may be.
            self._connection, self._greeting = await shard.connect(), shard.greeting
        return self._connection

    async def _write(self, connection: Connection, *commands: Command) -> None:
        await connection.send_packed_command(connection.pack_commands(commands), check_health=False)


async def _reply(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
