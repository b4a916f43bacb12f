"""Waiting until somebody has answered, on whatever replica; for as many at once as there are, over one connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from fairlead.errors import Unavailable
from fairlead.ids import uuid7
from fairlead.names import Names
from fairlead.redis.atlas import nowhere
from fairlead.redis.calls import Call
from fairlead.redis.shards import Shards, shards_of

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fairlead.redis.connection import Command, Connection

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""How often everything that is waited for is looked at, whether or not we were told that it changed."""

LOOKED_AT: Final = 20
"""Records that are looked at in one go, should that be enough for all to be looked at in time; a thousand at once would
hold up everything else that this process does."""

GOES: Final = 50
"""In how many goes at most all are looked at within `LOOK_SECONDS`."""

BLOCK_SECONDS: Final = 10.0
"""How long Redis holds an answer back until there is something to tell."""

ANSWER_SECONDS: Final = 5.0
"""How much later than that an answer may come before the connection is taken for dead."""

TOGETHER: Final = 512
"""Records looked at, or told of, in one round trip."""

_KEPT: Final = 1000
"""Entries of a reply stream; about so many can wait to be read, and what is lost is looked at all the same."""

_KEPT_SECONDS: Final = 60

Answer = TypeVar("Answer")


def told(reply: str, key: str) -> tuple[Command, Command]:
    """Commands that tell whoever reads the stream *reply* that the record *key* has changed."""
    return ("XADD", reply, "MAXLEN", "~", _KEPT, "*", "key", key), ("EXPIRE", reply, _KEPT_SECONDS)


def heard(reply: Any) -> list[tuple[bytes, str]]:
    """Id and key of each entry that ``XREAD`` of one stream found: in a map by RESP 3, in a list of pairs by RESP 2."""
    streams = reply.items() if isinstance(reply, dict) else reply or ()
    return [(id_, fields[1].decode(errors="replace")) for _, entries in streams for id_, fields in entries]


class Waiting(Generic[Answer]):
    """Somebody who waits for *answer*."""

    def __init__(self, look: Call, read: Callable[[Any], Answer | None], answer: asyncio.Future[Answer]) -> None:
        self.look = look
        self.answer = answer
        self._read = read

    def hear(self, reply: Any) -> None:
        """Take what Redis said; it may be that there is no answer yet."""
        if not self.answer.done() and (answer := self._read(reply)) is not None:
            self.answer.set_result(answer)


class Replies:
    """
    Where this process is told of answers: a stream of its own, in which whoever changes a record writes its key.

    That is a hint and no more: the record alone says what happened, and is looked at each second anyway, so that a
    lost hint costs a second and a repeated one nothing. Redis may come and go meanwhile.

    :param redis: from `fairlead.redis.shards` or `fairlead.redis.connect`; one connection of our own is opened when
        first needed.
    """

    def __init__(self, redis: Redis | Shards, names: Names) -> None:
        self._shards = shards_of(redis)
        self.address: Final = names.replies(uuid7())
        """The stream to tell us on."""
        self._waiting: dict[str, list[Waiting[Any]]] = {}
        self._turn: dict[str, None] = {}
        """What is waited for, in the order of looking; some of it may be waited for no more."""
        self._hinted: set[str] = set()
        self._wake = asyncio.Event()
        self._last_id: str | bytes = "0-0"
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def waiting(self, key: str, look: Call, read: Callable[[Any], Answer | None]) -> Iterator[asyncio.Future[Answer]]:
        """
        What the record *key* comes to, as long as the block lasts.

        :param look: asks for the record; asked again and again.
        :param read: the answer in what Redis says to that, or None while there is none.
        :raises Unavailable: when awaited: this was closed meanwhile.
        """
        loop = asyncio.get_running_loop()
        one = Waiting(look, read, loop.create_future())
        self._waiting.setdefault(key, []).append(one)
        self._turn.setdefault(key)
        if self._task is None or self._task.done():
            # The one before may have been waited for in another loop.
            self._wake = asyncio.Event()
            self._task = loop.create_task(self._run(), name="fairlead replies")
        self._wake.set()
        try:
            yield one.answer
        finally:
            self._waiting[key].remove(one)
            if not self._waiting[key]:
                del self._waiting[key]

    def hint(self, key: str) -> None:
        """Have *key* looked at now."""
        self._hinted.add(key)
        self._wake.set()

    async def aclose(self) -> None:
        """Wait no more: who still does is told so."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for one in [one for ones in self._waiting.values() for one in ones]:
            if not one.answer.done():
                one.answer.set_exception(Unavailable("closed while an answer was waited for"))

    # -- the one task ----------------------------------------------------------------------------

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(self._listen(), name="fairlead replies: listen")
            both.create_task(self._keep_looking(), name="fairlead replies: look")

    async def _keep_looking(self) -> None:
        """Look at what we were told of at once, and at everything each second, some of it at a time."""
        time = asyncio.get_running_loop().time
        next_at = time() + LOOK_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_at if self._waiting else None):
                    await self._wake.wait()
            self._wake.clear()
            keys, self._hinted = self._hinted, set()
            if time() >= next_at:
                some = max(LOOKED_AT, ceil(len(self._turn) / GOES))
                next_at = time() + LOOK_SECONDS * some / max(some, len(self._turn))
                keys.update(self._next(some))
            await _patiently(self._look, keys)

    def _next(self, count: int) -> list[str]:
        """Whose turn it is to be looked at, *count* at most; they are put behind all others."""
        keys = list(islice(self._turn, count))
        for key in keys:
            del self._turn[key]
            if key in self._waiting:
                self._turn[key] = None
        return keys

    async def _look(self, keys: Collection[str]) -> None:
        ones = [one for key in keys for one in self._waiting.get(key, ()) if not one.answer.done()]
        for start in range(0, len(ones), TOGETHER):
            some = ones[start : start + TOGETHER]
            for one, reply in zip(some, await self._shards.run_all([one.look for one in some]), strict=True):
                one.hear(reply)

    # -- the one connection ----------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while True:
                await _patiently(self._read)
        finally:
            await self._hang_up()

    async def _read(self) -> None:
        """Take what was written to our stream, or wait a while for it."""
        try:
            async with asyncio.timeout(BLOCK_SECONDS + ANSWER_SECONDS):
                connection = await self._connected()
                block_ms = int(BLOCK_SECONDS * 1000)
                command: Command = (
                    *("XREAD", "COUNT", TOGETHER, "BLOCK", block_ms, "STREAMS", self.address),
                    self._last_id,
                )
                await connection.send_packed_command(connection.pack_commands([command]), check_health=False)
                streams = await connection.read_response()
        except (RedisError, OSError) as error:
            await self._hang_up()
            await self._shards.refresh(error)
            raise
        except BaseException:
            await self._hang_up()
            raise
        for self._last_id, key in heard(streams):
            self._hinted.add(key)
        self._wake.set()

    async def _connected(self) -> Connection:
        if self._connection is None:
            shard = self._shards.find(self.address)
            if shard is None:
                raise nowhere()
            # Redis answers when there is something to tell; our own time limit knows how long that may take.
            self._connection = await shard.connect()
        return self._connection

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _patiently(do: Callable[..., Any], *args: Any) -> None:
    """Do it, again and again while Redis is away."""
    retrying = AsyncRetrying(
        retry=retry_if_exception_type((RedisError, OSError)),
        wait=wait_random_exponential(multiplier=0.05, max=1.0),
        before_sleep=_log_first_failure,
    )
    await retrying(do, *args)


def _log_first_failure(state: RetryCallState) -> None:
    if state.attempt_number == 1 and state.outcome is not None:
        log.warning("waiting for answers interrupted: %s", type(state.outcome.exception()).__name__)
