"""Gives messages to Redis over one connection, in order; what is said within one turn of the loop goes together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from redis.exceptions import RedisError, ResponseError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_never

from fairlead.envelope import Envelope
from fairlead.errors import FairleadError, Unavailable
from fairlead.names import DURABLE_KINDS, Names
from fairlead.outgoing import Outgoing
from fairlead.publication import BATCH_MESSAGES, SCRIPT, Publications, Reply, evalsha
from fairlead.redis.connection import has_ended, new_connection
from fairlead.redis.greeting import greeting_of
from fairlead.redis.outage import BACK_OFF, is_passing
from fairlead.sent import Fate, Sent

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fairlead.redis.connection import Connection

BATCH_BYTES: Final = 512 * 1024
"""How much goes to Redis before its answers are read; a single larger message goes alone."""

WAITING_BYTES: Final = 64 * 1024 * 1024
"""How much may wait for Redis before more is refused."""


class _Posted(Outgoing):
    """A message that somebody waits for."""

    __slots__ = ("answer", "deadline")

    def __init__(self, id: str, body: bytes, is_durable: bool, deadline: float, answer: asyncio.Future[Sent]) -> None:
        super().__init__(id, body, is_durable)
        self.deadline = deadline
        self.answer = answer

    def conclude(self, fate: Fate | FairleadError) -> None:
        super().conclude(fate)
        if self.answer.done():
            return
        if isinstance(fate, FairleadError):
            self.answer.set_exception(fate)
        else:
            self.answer.set_result(Sent(self.id, fate))


class Publisher:
    """
    Publishes envelopes, each exactly once where that can be known.

    A durable message is tried again under the same id while Redis is away, since the publish script does nothing
    the second time. An ephemeral one is tried again only if it was never written.

    :param redis: a client from `fairlead.redis.connect`; the publisher opens one connection of its own.
    :param durable: kinds of channel whose messages get an offset and are kept.
    :param timeout_seconds: after this a message that Redis has not taken ends as `Unavailable`.
    :param attempts: at most so many tries within that time; 0 for as many as it allows.
    """

    def __init__(
        self,
        redis: Redis,
        names: Names,
        *,
        durable: Collection[str] = DURABLE_KINDS,
        history_size: int = 256,
        history_ttl_seconds: int = 3600,
        timeout_seconds: float = 5.0,
        attempts: int = 0,
    ) -> None:
        self._redis = redis
        self._publications = Publications(
            names, durable=durable, history_size=history_size, history_ttl_seconds=history_ttl_seconds
        )
        self._timeout_seconds = timeout_seconds
        self._stop = stop_after_attempt(attempts) if attempts else stop_never
        self._waiting: deque[_Posted] = deque()
        self._waiting_bytes = 0
        self._batch: list[_Posted] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._evalsha = b""

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return self._publications.is_durable(channel)

    async def publish(self, channel: str, envelope: Envelope, *, durable: bool | None = None) -> Sent:
        """
        Publish and return the receipt.

        :param durable: overrides what the kind of channel says.
        :raises Unavailable: Redis did not take it in time; ``detail["unknown"]`` if it may have, unanswered.
        """
        return await self.post(channel, envelope, durable=durable)

    def post(self, channel: str, envelope: Envelope, *, durable: bool | None = None) -> asyncio.Future[Sent]:
        """As `publish`, at once and without a coroutine: calls in a row are published in that order."""
        body, is_durable = self._publications.pack(channel, envelope, durable)
        loop = asyncio.get_running_loop()
        posted = _Posted(envelope.id, body, is_durable, loop.time() + self._timeout_seconds, loop.create_future())
        if self._waiting_bytes + len(body) > WAITING_BYTES:
            posted.conclude(Unavailable("too much is waiting for Redis already", bytes=self._waiting_bytes))
            return posted.answer
        self._waiting.append(posted)
        self._waiting_bytes += len(body)
        if self._task is None or self._task.done():
            # The one before may have been waited for in another loop.
            self._wake = asyncio.Event()
            self._task = loop.create_task(self._run(), name="fairlead publisher")
        self._wake.set()
        return posted.answer

    async def aclose(self) -> None:
        """Wait for what was posted, no longer than its time limit, and disconnect."""
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
                self._wake.clear()
        finally:
            _give_up((*self._batch, *self._waiting), None)
            self._waiting.clear()
            self._waiting_bytes = 0
            await self._hang_up()

    def _next_batch(self) -> list[_Posted]:
        batch: list[_Posted] = []
        size = 0
        while self._waiting and len(batch) < BATCH_MESSAGES:
            size += len(self._waiting[0].body)
            if batch and size > BATCH_BYTES:
                break
            posted = self._waiting.popleft()
            self._waiting_bytes -= len(posted.body)
            batch.append(posted)
        return batch

    async def _deliver(self, batch: list[_Posted]) -> None:
        """Try until each message of *batch* has been answered or has run out of time; nothing overtakes it."""
        time = asyncio.get_running_loop().time
        retrying = AsyncRetrying(retry=retry_if_exception(is_passing), wait=BACK_OFF, stop=self._stop, reraise=True)
        try:
            async for attempt in retrying:
                with attempt:
                    await self._exchange([posted for posted in batch if posted.is_wanted(time() >= posted.deadline)])
        except (RedisError, OSError) as error:
            _give_up(batch, error)

    # -- the one connection ----------------------------------------------------------------------

    async def _exchange(self, batch: list[_Posted]) -> None:
        """Write *batch* and read its answers; half of the time limit, so that a dead link leaves time for another."""
        if not batch:
            return
        try:
            async with asyncio.timeout(self._timeout_seconds / 2):
                connection = await self._connected()
                while batch := await self._ask(connection, batch):
                    await self._load_script(connection)
        except BaseException:
            # Answers may be on their way that nobody waits for any more.
            await self._hang_up()
            raise

    async def _ask(self, connection: Connection, batch: list[_Posted]) -> list[_Posted]:
        """Write *batch*, read its answers, and return those for which Redis lacks the script."""
        written = b"".join([posted.write(self._evalsha) for posted in batch])
        await connection.send_packed_command([written], check_health=False)
        return [posted for posted in batch if not posted.hear(await _answer(connection))]

    async def _connected(self) -> Connection:
        if self._connection is not None and not has_ended(self._connection):
            return self._connection
        await self._hang_up()
        connection = self._connection = new_connection(self._redis)
        # Our own time limit covers a whole batch; redis-py's would cost a task for every write.
        connection.socket_timeout = None
        await connection.connect()
        self._evalsha = evalsha(greeting_of(self._redis).is_modern)
        await self._load_script(connection)
        return connection

    async def _load_script(self, connection: Connection) -> None:
        text = SCRIPT.text(greeting_of(self._redis).is_modern)
        command = connection.pack_commands([("SCRIPT", "LOAD", text.source)])
        await connection.send_packed_command(command, check_health=False)
        await connection.read_response()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _answer(connection: Connection) -> Reply | ResponseError:
    try:
        return cast(Reply, await connection.read_response())
    except ResponseError as error:
        return error


def _give_up(batch: Iterable[_Posted], error: BaseException | None) -> None:
    for posted in batch:
        posted.fail(error)
