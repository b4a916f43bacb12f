"""A lane to Redis: commands of many connections that come together travel in one round trip to each shard."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import hiredis
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from fairlead.errors import Unavailable
from fairlead.redis.atlas import first_key, grouped, nowhere
from fairlead.redis.connection import Connection, has_ended
from fairlead.redis.greeting import Greeting
from fairlead.redis.outage import ELSEWHERE, unavailable
from fairlead.redis.query import Query
from fairlead.redis.roads import Roads
from fairlead.redis.scripts import Script
from fairlead.redis.shards import Shard, Shards, shards_of
from fairlead_gateway.pool.pace import Pace

Argument = str | bytes | int | float

Found = TypeVar("Found")

SCRIPTS: Final = "fairlead_gateway.facts.scripts"
"""Where the scripts that go through a lane are."""

GAP_SECONDS: Final = 0.005
"""Batches of a storm leave this far apart."""

MAX_TOGETHER: Final = 512
"""Commands in one round trip, so that a storm does not keep Redis from everybody else."""

AGAIN_SECONDS: Final = 0.05
"""How soon to ask again for what lives elsewhere by now."""


class _Asked(NamedTuple):
    key: str
    packed: bytes
    answer: asyncio.Future[Any]
    script: Script | None


class Lane:
    """
    Carries commands in the order in which they were asked, one batch at a time, on a connection of its own.

    What is asked while a batch is under way forms the next, so that batches grow with the load by themselves.
    Nothing is repeated when Redis is away: commands that may be are repeated by whoever asked. Where there are several
    shards each has a lane of its own: the order is that of each key.
    """

    def __init__(self, redis: Redis | Shards, answer_seconds: float = 5.0) -> None:
        self._shards = shards_of(redis)
        self._only = self._shards.only
        self._roads: Roads[Shard, _Road] = Roads(self._shards, lambda: _Road(self._shards, answer_seconds))

    @property
    def is_ordered(self) -> bool:
        """Whether everything is done in the order of asking, whatever it is about: there is but one Redis."""
        return self._only is not None

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """
        The answer of Redis to *command*; need not be awaited.

        :raises Unavailable: when awaited: Redis cannot be reached, and the command may or may not have been done.
        """
        if self._only is not None:
            return self._roads.of_key("").ask("", command, None)
        if self._shards.is_sharded and command[0] == "PUBLISH":
            command = ("SPUBLISH", *command[1:])
        key = first_key(command) or self._shards.fleet_key
        return self._roads.of_key(key).ask(key, command, None)

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        """The answer of *script*; otherwise as `call`."""
        shard = self._only or self._shards.find(keys[0])
        text = shard.greeting.text(script) if shard else script.sharded
        return self._roads.of_key(keys[0]).ask(keys[0], ("EVALSHA", text.sha, len(keys), *keys, *args), script)

    async def look(self, query: Query[Found]) -> Found:
        """
        What *query* finds; its commands, which may be asked twice, travel together.

        :raises Unavailable: Redis cannot be reached.
        """
        return query.read(await asyncio.gather(*(self.call(*command) for command in query.commands)))

    async def aclose(self) -> None:
        """Wait for the answers that are under way, then hang up."""
        await asyncio.gather(*(road.aclose() for road in self._roads))


class _Road:
    """Commands in a row, and one connection to each shard that they are for."""

    def __init__(self, shards: Shards, answer_seconds: float) -> None:
        self._shards = shards
        self._only = shards.only
        self._answer_seconds = answer_seconds
        self._pace = Pace(GAP_SECONDS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: list[_Asked] = []
        self._carrier: asyncio.Task[None] | None = None
        self._connections: dict[Shard, Connection] = {}

    @property
    def is_idle(self) -> bool:
        return self._carrier is None

    def ask(self, key: str, command: tuple[Argument, ...], script: Script | None) -> asyncio.Future[Any]:
        # Remembered, since asking for it costs a system call on Python 3.11.
        loop = self._loop = self._loop or asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._asked.append(_Asked(key, hiredis.pack_command(command), answer, script))  # type: ignore[arg-type]
        if self._carrier is None:
            self._carrier = loop.create_task(self._carry(), name="redis lane")
        return answer

    async def aclose(self) -> None:
        if self._carrier is not None:
            await asyncio.wait([self._carrier])
        for shard in list(self._connections):
            await self._hang_up(shard)
        self._loop = None

    async def _carry(self) -> None:
        try:
            while self._asked:
                if wait := self._pace.wait(asyncio.get_running_loop().time()):
                    await asyncio.sleep(wait)
                batch, self._asked = self._asked[:MAX_TOGETHER], self._asked[MAX_TOGETHER:]
                await self._deliver(batch)
        finally:
            self._carrier = None

    async def _deliver(self, batch: list[_Asked]) -> None:
        """See that each of *batch* is answered; what was refused unread, since it lives elsewhere, is asked there."""
        time = asyncio.get_running_loop().time
        until = time() + self._answer_seconds
        while batch:
            errors = await self._round(batch)
            batch = [asked for asked in batch if not asked.answer.done()]
            if batch and time() >= until:
                _settle_all(batch, unavailable(nowhere()))
                return
            if errors or batch:
                await self._shards.refresh(errors[0] if errors else None)
            if batch:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _round(self, batch: list[_Asked]) -> list[Exception]:
        """Ask each of *batch* where it lives, and settle what is answered; what says that something is elsewhere."""
        if self._only is not None:
            return await self._ask(self._only, batch)
        groups = grouped(batch, lambda asked: self._shards.find(asked.key))
        found = await asyncio.gather(*(self._ask(*group) for group in groups))
        return [error for errors in found for error in errors]

    async def _ask(self, shard: Shard, batch: list[_Asked]) -> list[Exception]:
        try:
            async with asyncio.timeout(self._answer_seconds):
                replies = await self._replies(shard, batch)
        except (RedisError, OSError) as error:
            # Answers may be on their way that nobody waits for any more.
            await self._hang_up(shard)
            _settle_all(batch, error if isinstance(error, ELSEWHERE) else unavailable(error))
            return [error]
        _settle(batch, replies)
        return [reply for reply in replies if isinstance(reply, ELSEWHERE)]

    async def _replies(self, shard: Shard, batch: list[_Asked]) -> list[Any]:
        """What *shard* says to each of *batch*."""
        connection = await self._connected(shard)
        replies = await _exchange(connection, [asked.packed for asked in batch])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            await _load(connection, shard.greeting, [batch[i].script for i in unknown])
            again = await _exchange(connection, [batch[i].packed for i in unknown])
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        return replies

    async def _connected(self, shard: Shard) -> Connection:
        connection = self._connections.get(shard)
        if connection is None or has_ended(connection):
            await self._hang_up(shard)
            # Our own deadline covers the whole batch.
            connection = self._connections[shard] = await shard.connect()
        return connection

    async def _hang_up(self, shard: Shard) -> None:
        connection = self._connections.pop(shard, None)
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _load(connection: Connection, greeting: Greeting, scripts: Iterable[Script | None]) -> None:
    sources = {greeting.text(script).source for script in scripts if script is not None}
    await _exchange(connection, [hiredis.pack_command(("SCRIPT", "LOAD", source)) for source in sources])  # type: ignore[arg-type]


async def _exchange(connection: Connection, commands: list[bytes]) -> list[Any]:
    await connection.send_packed_command(commands, check_health=False)
    return [await _reply(connection) for _ in commands]


async def _reply(connection: Connection) -> Any:
    """An error of one command is its answer; those behind it must be read all the same."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _settle_all(batch: Sequence[_Asked], reply: Any) -> None:
    _settle(batch, [reply] * len(batch))


def _settle(batch: Sequence[_Asked], replies: Sequence[Any]) -> None:
    """Hand each its reply; who is told that something lives elsewhere goes on waiting."""
    for (_, _, answer, _), reply in zip(batch, replies, strict=True):
        if answer.done():
            continue
        if not isinstance(reply, Exception):
            answer.set_result(reply)
        elif not isinstance(reply, ELSEWHERE):
            answer.set_exception(reply if isinstance(reply, Unavailable) else unavailable(reply))
            # Looked at, so that asyncio does not complain: whoever does not await has decided that it does not matter.
            answer.exception()
