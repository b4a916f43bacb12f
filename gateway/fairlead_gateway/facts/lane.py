"""A lane to Redis: commands of many connections that come together travel in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import hiredis
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from fairlead.errors import Unavailable
from fairlead.redis.connection import Connection, has_ended, new_connection
from fairlead.redis.greeting import greeting_of
from fairlead.redis.outage import unavailable
from fairlead.redis.scripts import Script
from fairlead_gateway.pool.pace import Pace

Argument = str | bytes | int | float

SCRIPTS: Final = "fairlead_gateway.facts.scripts"
"""Where the scripts that go through a lane are."""

GAP_SECONDS: Final = 0.005
"""Batches of a storm leave this far apart."""

MAX_TOGETHER: Final = 512
"""Commands in one round trip, so that a storm does not keep Redis from everybody else."""


class _Asked(NamedTuple):
    packed: bytes
    answer: asyncio.Future[Any]
    script: Script | None


class Lane:
    """
    Carries commands in the order in which they were asked, one batch at a time, on a connection of its own.

    What is asked while a batch is under way forms the next, so that batches grow with the load by themselves.
    Nothing is repeated when Redis is away: commands that may be are repeated by whoever asked.
    """

    def __init__(self, redis: Redis, answer_seconds: float = 5.0) -> None:
        self._redis = redis
        self._greeting = greeting_of(redis)
        self._answer_seconds = answer_seconds
        self._pace = Pace(GAP_SECONDS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: list[_Asked] = []
        self._carrier: asyncio.Task[None] | None = None
        self._connection: Connection | None = None

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """
        The answer of Redis to *command*; need not be awaited.

        :raises Unavailable: when awaited: Redis cannot be reached, and the command may or may not have been done.
        """
        return self._ask(command, None)

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        """The answer of *script*; otherwise as `call`."""
        sha = script.text(self._greeting.is_modern).sha
        return self._ask(("EVALSHA", sha, len(keys), *keys, *args), script)

    async def aclose(self) -> None:
        """Wait for the answers that are under way, then hang up."""
        if self._carrier is not None:
            await asyncio.wait([self._carrier])
        await self._hang_up()
        self._loop = None

    def _ask(self, command: tuple[Argument, ...], script: Script | None) -> asyncio.Future[Any]:
        # Remembered, since asking for it costs a system call on Python 3.11.
        loop = self._loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._asked.append(_Asked(hiredis.pack_command(command), answer, script))  # type: ignore[arg-type]
        if self._carrier is None:
            self._carrier = loop.create_task(self._carry(), name="redis lane")
        return answer

    async def _carry(self) -> None:
        try:
            while self._asked:
                if wait := self._pace.wait(asyncio.get_running_loop().time()):
                    await asyncio.sleep(wait)
                batch, self._asked = self._asked[:MAX_TOGETHER], self._asked[MAX_TOGETHER:]
                for asked, reply in zip(batch, await self._replies(batch), strict=True):
                    _settle(asked.answer, reply)
        finally:
            self._carrier = None

    async def _replies(self, batch: list[_Asked]) -> list[Any]:
        """What Redis says to each of *batch*; the same error for all when it cannot be reached."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                connection = await self._connected()
                replies = await _exchange(connection, [asked.packed for asked in batch])
                unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
                if unknown:
                    await self._load(connection, [batch[i].script for i in unknown])
                    again = await _exchange(connection, [batch[i].packed for i in unknown])
                    for i, reply in zip(unknown, again, strict=True):
                        replies[i] = reply
                return replies
        except (RedisError, OSError) as error:
            # Answers may be on their way that nobody waits for any more.
            await self._hang_up()
            return [unavailable(error)] * len(batch)

    async def _connected(self) -> Connection:
        if self._connection is None or has_ended(self._connection):
            await self._hang_up()
            connection = new_connection(self._redis)
            # Our own deadline covers the whole batch.
            connection.socket_timeout = None
            await connection.connect()
            self._connection = connection
        return self._connection

    async def _load(self, connection: Connection, scripts: list[Script | None]) -> None:
        is_modern = self._greeting.is_modern
        sources = {script.text(is_modern).source for script in scripts if script is not None}
        await _exchange(connection, [hiredis.pack_command(("SCRIPT", "LOAD", source)) for source in sources])  # type: ignore[arg-type]

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _exchange(connection: Connection, commands: list[bytes]) -> list[Any]:
    await connection.send_packed_command(commands, check_health=False)
    return [await _reply(connection) for _ in commands]


async def _reply(connection: Connection) -> Any:
    """An error of one command is its answer; those behind it must be read all the same."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _settle(answer: asyncio.Future[Any], reply: Any) -> None:
    if answer.done():
        return
    if not isinstance(reply, Exception):
        answer.set_result(reply)
        return
    answer.set_exception(reply if isinstance(reply, Unavailable) else unavailable(reply))
    # Looked at, so that asyncio does not complain: whoever does not await has decided that it does not matter.
    answer.exception()
