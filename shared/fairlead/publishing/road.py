"""A road to Redis: messages that keep their order, one batch under way at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_never

from fairlead.errors import Unavailable
from fairlead.publishing.copies import Copies
from fairlead.publishing.forms import PUBLISH, Form, words_for
from fairlead.publishing.posted import Posted
from fairlead.publishing.publication import BATCH_MESSAGES
from fairlead.redis.atlas import grouped, nowhere
from fairlead.redis.connection import has_ended
from fairlead.redis.outage import BACK_OFF, is_passing
from fairlead.redis.shards import Shard, Shards

if TYPE_CHECKING:
    from fairlead.redis.connection import Connection
    from fairlead.redis.greeting import Greeting

BATCH_BYTES: Final = 512 * 1024
"""How much goes to Redis before its answers are read; a single larger message goes alone."""

WAITING_BYTES: Final = 64 * 1024 * 1024
"""How much may wait for Redis before more is refused."""


class Road:
    """Messages in a row, one batch under way at a time, over one connection to each shard that they live on."""

    def __init__(self, shards: Shards, timeout_seconds: float, attempts: int, copies: Copies) -> None:
        self._shards = shards
        self._timeout_seconds = timeout_seconds
        self._stop = stop_after_attempt(attempts) if attempts else stop_never
        self._waiting: deque[Posted] = deque()
        self._waiting_bytes = 0
        self._batch: list[Posted] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._only = shards.only
        self._lines: dict[Shard, _Line] = {}
        self._copies = copies
        self._trouble: BaseException | None = None
        """What ended the latest exchange, unless it went well."""

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._batch

    def take(self, posted: Posted) -> None:
        """Publish *posted* when its turn comes."""
        size = len(posted.body)
        if self._waiting_bytes + size > WAITING_BYTES:
            posted.conclude(Unavailable("too much is waiting for Redis already", bytes=self._waiting_bytes))
            return
        self._waiting.append(posted)
        self._waiting_bytes += size
        if self._task is None or self._task.done():
            # The one before may have been waited for in another loop.
            self._wake = asyncio.Event()
            self._task = posted.answer.get_loop().create_task(self._run(), name="fairlead publisher")
        self._wake.set()

    async def aclose(self) -> None:
        pending = [posted.answer for posted in (*self._batch, *self._waiting) if not posted.answer.done()]
        if pending:
            await asyncio.wait(pending)
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # -- the one task ----------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                while self._waiting:
                    self._batch = self._next_batch()
                    await self._deliver(self._batch)
                self._batch = []
                self._wake.clear()
        finally:
            _give_up((*self._batch, *self._waiting), None)
            self._waiting.clear()
            self._waiting_bytes = 0
            for shard in list(self._lines):
                await self._hang_up(shard)

    def _next_batch(self) -> list[Posted]:
        batch: list[Posted] = []
        size = 0
        while self._waiting and len(batch) < BATCH_MESSAGES:
            size += len(self._waiting[0].body)
            if batch and size > BATCH_BYTES:
                break
            posted = self._waiting.popleft()
            self._waiting_bytes -= len(posted.body)
            batch.append(posted)
        return batch

    async def _deliver(self, batch: list[Posted]) -> None:
        """Try until each message of *batch* has been answered or has run out of time; nothing overtakes it."""
        time = asyncio.get_running_loop().time
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_passing),
            wait=BACK_OFF,
            stop=self._stop,
            before_sleep=self._look_round,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    await self._exchange(self._wanted(batch, time()))
        except (RedisError, OSError) as error:
            _give_up(batch, error)

    def _wanted(self, batch: list[Posted], now: float) -> list[Posted]:
        return [posted for posted in batch if posted.is_wanted(now >= posted.deadline, self._trouble)]

    async def _look_round(self, attempt: RetryCallState) -> None:
        if attempt.outcome is not None:
            self._trouble = attempt.outcome.exception()
            await self._shards.refresh(self._trouble)

    # -- the connections -------------------------------------------------------------------------

    async def _exchange(self, batch: list[Posted]) -> None:
        """
        Write *batch* and read its answers; half of the time limit, so that a dead link leaves time for another.

        :raises RedisError: or ``OSError``: what keeps some of it from being answered; the rest has been.
        """
        if not batch:
            return
        async with asyncio.timeout(self._timeout_seconds / 2):
            if self._only is not None:
                await self._exchange_at(self._only, batch)
                return
            groups = grouped(batch, lambda posted: self._shards.partitions[posted.partition])
            errors = await asyncio.gather(*(self._exchange_at(*group) for group in groups), return_exceptions=True)
        errors += [posted.elsewhere or nowhere() for posted in batch if posted.fate is None]
        for error in errors:
            if error is not None:
                raise error

    async def _exchange_at(self, shard: Shard, batch: list[Posted]) -> None:
        try:
            line = await self._connected(shard)
            while batch := await _ask(line, batch, self._copies):
                await _load_scripts(line, {posted.form for posted in batch})
            self._trouble = None
        except BaseException:
            # Answers may be on their way that nobody waits for any more.
            await self._hang_up(shard)
            raise

    async def _connected(self, shard: Shard) -> _Line:
        line = self._lines.get(shard)
        if line is not None and not has_ended(line.connection):
            return line
        await self._hang_up(shard)
        # Our own time limit covers a whole batch; redis-py's would cost a task for every write.
        connection = await shard.connect()
        line = self._lines[shard] = _Line(connection, shard.greeting, words_for(shard.greeting.text))
        await _load_scripts(line, {PUBLISH})
        return line

    async def _hang_up(self, shard: Shard) -> None:
        line = self._lines.pop(shard, None)
        if line is not None:
            await line.connection.disconnect(nowait=True)


class _Line(NamedTuple):
    """A connection to one shard."""

    connection: Connection
    greeting: Greeting
    words: Callable[[Form], bytes]


async def _ask(line: _Line, batch: list[Posted], copies: Copies) -> list[Posted]:
    """Write *batch*, read its answers, and return those for which Redis lacks the script."""
    connection, greeting, words = line
    written = [posted.write(words) for posted in batch]
    moved_in = greeting.unwritten(posted.partition for posted in batch)
    if moved_in:
        written[:0] = connection.pack_commands(greeting.term_commands(moved_in))
    wait = copies.question(batch)
    await connection.send_packed_command([b"".join((*written, wait))], check_health=False)
    if moved_in:
        greeting.take_terms(moved_in, [await _answer(connection) for _ in moved_in])
    unknown = [posted for posted in batch if not posted.hear(await _answer(connection), needs_copies=bool(wait))]
    if wait:
        copies.hear(batch, await _answer(connection))
    return unknown


async def _load_scripts(line: _Line, forms: Iterable[Form | None]) -> None:
    for form in forms:
        if form is not None:
            command = line.connection.pack_commands([("SCRIPT", "LOAD", line.greeting.text(form.script).source)])
            await line.connection.send_packed_command(command, check_health=False)
            await line.connection.read_response()


async def _answer(connection: Connection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _give_up(batch: Iterable[Posted], error: BaseException | None) -> None:
    for posted in batch:
        posted.fail(error)
