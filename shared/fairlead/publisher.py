"""Gives messages to Redis over one connection, in order; what is said within one turn of the loop goes together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_never, wait_random_exponential

from fairlead.envelope import Envelope
from fairlead.errors import Unavailable
from fairlead.names import DURABLE_KINDS, Names
from fairlead.publication import SCRIPT, Publications, Reply, evalsha, fate
from fairlead.redis.connection import has_ended, new_connection
from fairlead.redis.greeting import greeting_of
from fairlead.redis.outage import is_passing, unavailable
from fairlead.sent import Sent

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fairlead.redis.connection import Connection

BATCH_MESSAGES: Final = 1024
BATCH_BYTES: Final = 512 * 1024
"""How much goes to Redis before its answers are read; a single larger message goes alone."""

WAITING_BYTES: Final = 64 * 1024 * 1024
"""How much may wait for Redis before more is refused."""

BACK_OFF: Final = wait_random_exponential(multiplier=0.05, max=0.5)


class _Message:
    """One message on its way."""

    __slots__ = ("answer", "body", "deadline", "id", "is_durable", "tries")

    def __init__(self, id: str, body: bytes, is_durable: bool, deadline: float, answer: asyncio.Future[Sent]) -> None:
        self.id = id
        self.body = body
        self.is_durable = is_durable
        self.deadline = deadline
        self.answer = answer
        self.tries = 0
        """How often it was written to a connection, so that Redis may have executed it."""

    def settle(self, reply: Reply) -> None:
        if not self.answer.done():
            self.answer.set_result(Sent(self.id, fate(reply, self.tries)))

    def fail(self, error: BaseException | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(unavailable(error, message_id=self.id, unknown=self.tries > 0))


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
        self._waiting: deque[_Message] = deque()
        self._waiting_bytes = 0
        self._batch: list[_Message] = []
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
        is_durable = self._publications.is_durable(channel) if durable is None else durable
        pack = self._publications.durable if is_durable else self._publications.ephemeral
        body = pack(channel, envelope)
        if self._waiting_bytes + len(body) > WAITING_BYTES:
            raise Unavailable("too much is waiting for Redis already", bytes=self._waiting_bytes)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sent] = loop.create_future()
        self._waiting.append(_Message(envelope.id, body, is_durable, loop.time() + self._timeout_seconds, answer))
        self._waiting_bytes += len(body)
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run(), name="fairlead publisher")
        return answer

    async def aclose(self) -> None:
        """Wait for what was posted, no longer than its time limit, and disconnect."""
        pending = [message.answer for message in (*self._batch, *self._waiting) if not message.answer.done()]
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
            self._give_up((*self._batch, *self._waiting), None)
            self._batch = []
            self._waiting.clear()
            self._waiting_bytes = 0
            await self._hang_up()

    def _next_batch(self) -> list[_Message]:
        batch: list[_Message] = []
        size = 0
        while self._waiting and len(batch) < BATCH_MESSAGES:
            size += len(self._waiting[0].body)
            if batch and size > BATCH_BYTES:
                break
            message = self._waiting.popleft()
            self._waiting_bytes -= len(message.body)
            batch.append(message)
        return batch

    async def _deliver(self, batch: list[_Message]) -> None:
        """Try until each message of *batch* has been answered or has run out of time; nothing overtakes it."""
        retrying = AsyncRetrying(retry=retry_if_exception(is_passing), wait=BACK_OFF, stop=self._stop, reraise=True)
        try:
            async for attempt in retrying:
                with attempt:
                    await self._exchange([message for message in batch if self._is_wanted(message)])
        except (RedisError, OSError) as error:
            self._give_up(batch, error)

    def _is_wanted(self, message: _Message) -> bool:
        """Whether *message* should be written now; one that must not be, and has no answer yet, fails."""
        is_late = asyncio.get_running_loop().time() >= message.deadline
        if is_late or (message.tries and not message.is_durable):
            message.fail(None)
        return not message.answer.done()

    def _give_up(self, messages: Iterable[_Message], error: BaseException | None) -> None:
        for message in messages:
            message.fail(error)

    # -- the one connection ----------------------------------------------------------------------

    async def _exchange(self, batch: list[_Message]) -> None:
        """Write *batch* and read its answers; half of the time limit, so that a dead link leaves time for another."""
        if not batch:
            return
        try:
            async with asyncio.timeout(self._timeout_seconds / 2):
                connection = await self._connected()
                while batch:
                    batch = await self._ask(connection, batch)
                    if batch:
                        await self._load_script(connection)
        except BaseException:
            # Answers may be on their way that nobody waits for any more.
            await self._hang_up()
            raise

    async def _ask(self, connection: Connection, batch: list[_Message]) -> list[_Message]:
        """Write *batch*, read its answers, and return those for which Redis lacks the script."""
        for message in batch:
            message.tries += 1
        evalsha = self._evalsha
        parts = [evalsha + message.body if message.is_durable else message.body for message in batch]
        await connection.send_packed_command([b"".join(parts)], check_health=False)
        lacking = []
        for message in batch:
            try:
                message.settle(await connection.read_response())
            except NoScriptError:
                message.tries -= 1
                lacking.append(message)
            except ReadOnlyError:
                message.tries -= 1
                raise
            except ResponseError as error:
                message.tries -= 1
                message.fail(error)
        return lacking

    async def _connected(self) -> Connection:
        connection = self._connection
        if connection is None or has_ended(connection):
            await self._hang_up()
            connection = new_connection(self._redis)
            # Our own time limit covers a whole batch; redis-py's would cost a task for every write.
            connection.socket_timeout = None
            self._connection = connection
            await connection.connect()
            self._evalsha = evalsha(greeting_of(self._redis).is_modern)
            await self._load_script(connection)
        return connection

    async def _load_script(self, connection: Connection) -> None:
        text = SCRIPT.text(greeting_of(self._redis).is_modern)
        await connection.send_packed_command(connection.pack_commands([("SCRIPT", "LOAD", text.source)]), False)
        await connection.read_response()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
