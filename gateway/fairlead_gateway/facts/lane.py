"""A lane to Redis: commands of many connections that come together travel in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from fairlead.errors import FairleadError, Unavailable
from fairlead.redis.greeting import greeting_of
from fairlead.redis.scripts import Script

Argument = str | bytes | int | float

SCRIPTS: Final = "fairlead_gateway.facts.scripts"
"""Where the scripts that go through a lane are."""

MAX_TOGETHER: Final = 512
"""Commands in one round trip, so that a storm does not keep Redis from everybody else."""


class _Asked(NamedTuple):
    command: tuple[Argument, ...]
    answer: asyncio.Future[Any]
    script: Script | None = None


class Lane:
    """
    Carries commands in the order in which they were asked, one batch at a time.

    What is asked while a batch is under way forms the next, so that batches grow with the load by themselves.
    Commands here are safe to repeat; nothing is repeated by the lane, except when a script was not loaded yet.
    """

    def __init__(self, redis: Redis, answer_seconds: float = 5.0) -> None:
        self._redis = redis
        self._answer_seconds = answer_seconds
        self._asked: list[_Asked] = []
        self._carrier: asyncio.Task[None] | None = None

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """
        The answer of Redis to *command*; need not be awaited.

        :raises Unavailable: when awaited: Redis cannot be reached, and the command may or may not have been done.
        """
        return self._ask(_Asked(command, asyncio.get_running_loop().create_future()))

    def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> asyncio.Future[Any]:
        """The answer of *script*; otherwise as `call`."""
        sha = script.text(greeting_of(self._redis).is_modern).sha
        command = ("EVALSHA", sha, len(keys), *keys, *args)
        return self._ask(_Asked(command, asyncio.get_running_loop().create_future(), script))

    async def end(self) -> None:
        """Wait until everything asked so far has been answered."""
        while self._carrier is not None:
            await asyncio.wait([self._carrier])

    def _ask(self, asked: _Asked) -> asyncio.Future[Any]:
        # Whoever does not await a failed answer has decided that it does not matter.
        asked.answer.add_done_callback(_seen)
        self._asked.append(asked)
        if self._carrier is None:
            self._carrier = asyncio.get_running_loop().create_task(self._carry(), name="redis lane")
        return asked.answer

    async def _carry(self) -> None:
        try:
            while self._asked:
                batch, self._asked = self._asked[:MAX_TOGETHER], self._asked[MAX_TOGETHER:]
                await self._carry_batch(batch)
        finally:
            self._carrier = None

    async def _carry_batch(self, batch: list[_Asked]) -> None:
        try:
            async with asyncio.timeout(self._answer_seconds):
                replies = await self._execute(batch)
                unloaded = [
                    asked for asked, reply in zip(batch, replies, strict=True) if isinstance(reply, NoScriptError)
                ]
                if unloaded:
                    await self._load(unloaded)
                    again = iter(await self._execute(unloaded))
                    replies = [next(again) if isinstance(reply, NoScriptError) else reply for reply in replies]
        except (RedisError, OSError, TimeoutError) as error:
            replies = [Unavailable(f"redis cannot be reached: {type(error).__name__}; try again")] * len(batch)
        for asked, reply in zip(batch, replies, strict=True):
            _settle(asked.answer, reply)

    async def _execute(self, batch: list[_Asked]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for asked in batch:
                pipeline.execute_command(*asked.command)
            return await pipeline.execute(raise_on_error=False)

    async def _load(self, unloaded: list[_Asked]) -> None:
        is_modern = greeting_of(self._redis).is_modern
        for script in {asked.script for asked in unloaded if asked.script is not None}:
            await self._redis.script_load(script.text(is_modern).source)


def _settle(answer: asyncio.Future[Any], reply: Any) -> None:
    if answer.done():
        return
    if isinstance(reply, ResponseError):
        answer.set_exception(Unavailable(f"redis refused: {reply}"))
    elif isinstance(reply, (RedisError, FairleadError)):
        answer.set_exception(reply if isinstance(reply, FairleadError) else Unavailable(str(reply)))
    else:
        answer.set_result(reply)


def _seen(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()
