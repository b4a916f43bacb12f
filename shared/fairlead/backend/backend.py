"""The asyncio face of Fairlead for backends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self, TypeAlias, Unpack

from fairlead.backend.batch import Batch
from fairlead.backend.hearing import Hearing, Replying
from fairlead.backend.lookups import Lookups
from fairlead.backend.questions import Questions
from fairlead.backend.sends import Sends, service
from fairlead.errors import FairleadError, Unavailable
from fairlead.format import past
from fairlead.format.envelope import Envelope
from fairlead.format.past import Past
from fairlead.names import DURABLE_KINDS, Names, checked_channel, id_of
from fairlead.publishing.forms import Change
from fairlead.publishing.publication import Sayable
from fairlead.publishing.publisher import Publisher
from fairlead.publishing.receipts import Receipts
from fairlead.publishing.replies import Replies
from fairlead.publishing.sent import Fate, Sent
from fairlead.questions.asking import Asks
from fairlead.questions.confirmation import OnTimeout
from fairlead.questions.question import DEFAULT_POLICY, Policy
from fairlead.redis.patience import patiently
from fairlead.redis.query import Answer, Query
from fairlead.redis.shards import Shards, open_shards
from fairlead.state import instances, tasks
from fairlead.state.instances import STATE_TTL_SECONDS
from fairlead.streams.events import Event
from fairlead.streams.feeds import Acknowledged, Feed, Wishes
from fairlead.streams.history import PastConnection
from fairlead.streams.inbound import Inbound

log = logging.getLogger(__name__)

Sending: TypeAlias = Coroutine[Any, Any, Sent]


def connect(
    url: str,
    *,
    name: str = "",
    prefix: str = "fl",
    durable: Collection[str] = DURABLE_KINDS,
    history_size: int = 256,
    history_ttl_seconds: int = 3600,
    timeout_seconds: float = 5.0,
    durable_replicas: int = 0,
    ask_timeout_seconds: float = 300.0,
    ask_on_timeout: OnTimeout = "proceed",
    ask_danger_proceeds: bool = False,
    state_ttl_seconds: int = STATE_TTL_SECONDS,
) -> Backend:
    """
    ``async with fairlead.connect("redis://…") as fl``: what a backend sends through.

    Connects when first used. Sends within one turn of the loop share a round trip.

    :param url: as the gateway's ``FAIRLEAD_REDIS_URL``: one Redis, several, behind sentinels, or a cluster.
    :param name: of this service; messages then come from ``service:<name>``.
    :param prefix: as the gateway's ``FAIRLEAD_PREFIX``; *durable* and *history…* likewise as the gateway has them.
    :param timeout_seconds: how long to go on trying while Redis is away, before `Unavailable`.
    :param ask_timeout_seconds: how long a question waits for an answer, unless it says so itself; *ask_on_timeout* is
        what it comes to without one (``proceed``, ``stop``, ``raise``). A question with ``severity="danger"`` stops in
        place of proceeding, unless *ask_danger_proceeds*.
    :param durable_replicas: how many replicas of Redis must have a durable message before it counts as sent. With 0
        (*relay*) a failover may lose what was acknowledged just before; with more (*replicated*) it is in the memory
        of that many replicas, on no disk. Too few in time: `Unavailable` with ``detail["unknown"]``, and sending
        again with the same id is harmless.
    :param state_ttl_seconds: how long the state of an instance is kept after its last change.
    """
    names = Names(prefix)
    shards = open_shards(url, names, client_name=f"fairlead:{name or 'backend'}", answer_seconds=timeout_seconds / 2)
    publisher = Publisher(
        shards,
        names,
        durable=durable,
        history_size=history_size,
        history_ttl_seconds=history_ttl_seconds,
        timeout_seconds=timeout_seconds,
        durable_replicas=durable_replicas,
        follows=True,
    )
    policy = Policy(ask_timeout_seconds, ask_on_timeout, ask_danger_proceeds)
    return Backend(
        shards,
        names,
        publisher,
        name=name,
        timeout_seconds=timeout_seconds,
        policy=policy,
        durable_replicas=durable_replicas,
        state_ttl_seconds=state_ttl_seconds,
    )


async def _at_once(sent: Sent) -> Sent:
    return sent


async def _fate(answer: asyncio.Future[Sent]) -> Fate | FairleadError:
    try:
        return (await answer).fate
    except FairleadError as error:
        return error


class Backend(Sends[Sending], Questions, Lookups):
    """Sends, asks people, and asks who is there."""

    def __init__(
        self,
        shards: Shards,
        names: Names,
        publisher: Publisher,
        *,
        name: str = "",
        timeout_seconds: float = 5.0,
        policy: Policy = DEFAULT_POLICY,
        durable_replicas: int = 0,
        state_ttl_seconds: int = STATE_TTL_SECONDS,
    ) -> None:
        super().__init__(service(name), names, state_ttl_seconds)
        self._shards = shards
        self._publisher = publisher
        self._timeout_seconds = timeout_seconds
        self._replies = Replies(shards, names)
        self._receipts = Receipts(shards, names, publisher, self._replies, timeout_seconds=timeout_seconds)
        self._policy = policy
        self._asks = Asks(
            shards,
            names,
            publisher,
            self._replies,
            sender=self._sender,
            timeout_seconds=timeout_seconds,
            durable_replicas=durable_replicas,
        )
        self._hearing = Hearing(
            shards, names, publisher, self._replies, sender=self._sender, timeout_seconds=timeout_seconds
        )
        self._batch: ContextVar[Batch[Sending] | None] = ContextVar("batch", default=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for what is on its way, though not for acknowledgements, and disconnect; loops over feeds end."""
        await self._hearing.aclose()
        await self._replies.aclose()
        await self._publisher.aclose()
        await self._shards.aclose()

    def _say(self, channel: str, said: Sayable) -> Sending:
        batch = self._open_batch()
        if batch is not None:
            return batch._say(channel, said)
        return self._change(channel, said) if isinstance(said, Change) else self._publisher.publish(channel, said)

    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Sending:
        batch = self._open_batch()
        if batch is None:
            return self._publisher.publish_after(first, channel, said)
        return batch._say_after(first, channel, said)

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Sending:
        batch = self._open_batch()
        if batch is None:
            return self._receipts.send(channel, envelope, ack_seconds)
        return batch._say_and_wait(channel, envelope, ack_seconds)

    def _open_batch(self) -> Batch[Sending] | None:
        batch = self._batch.get()
        return batch if batch is not None and batch.is_open else None

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch[Sending]]:
        """
        Send what is sent inside in one round trip, at the end.

        Receipts given inside know no more than their id until then. An exception inside means that nothing is
        sent; a message that Redis refuses raises at the end, after the others have been sent.
        """
        batch = Batch(self, _at_once)
        token = self._batch.set(batch)
        try:
            yield batch
        except BaseException:
            batch.abandon()
            raise
        finally:
            self._batch.reset(token)
        messages = batch.end()
        answers = [self._publisher.post(channel, said) for channel, said in messages]
        fates = [await _fate(answer) for answer in answers]
        for (channel, _), fate in zip(messages, fates, strict=True):
            if isinstance(fate, Fate) and fate.is_due:
                await self._fold(id_of(channel))
        batch.settle(fates)

    # -- tasks -----------------------------------------------------------------------------------

    async def cancel_task(self, task_id: str | int, *, by: str) -> Sent:
        """
        Cancel a task in the name of a user (ASK-5): who watches it and all devices of its owner are told, and its
        questions are closed. Doing it again is harmless.

        :raises NotFound: there is no such task, or not any more.
        :raises Conflict: it has ended otherwise.
        """
        sent = await self._publisher.publish(
            tasks.task_channel(task_id), tasks.cancel(self._names, task_id, by, sender=self._sender)
        )
        task = await self.get_task(task_id)
        if task is not None and task.owner and task.cancelled_by:
            await self._publisher.publish(*tasks.cancelled_notice(task.id, task.owner, task.cancelled_by, task.version))
        await self._asks.cancel_of_task(str(task_id))
        return sent

    # -- what was said ---------------------------------------------------------------------------

    async def history(self, channel: str, limit: int = past.PAGE, before: int | None = None) -> Past:
        """
        What a durable channel such as ``session:s1`` has said last, or before an offset, as far as it is kept.

        At most *limit* messages (100) and 256 KiB, the oldest first. There are older ones where ``more`` says so, and
        ``before`` is what to ask with for these.

        :raises InvalidMessage: topics and their like keep nothing; or *limit* or *before* is none.
        """
        past.ensure_kept(checked_channel(channel), self._publisher.is_durable(channel))
        call = past.read(self._names, channel, limit, before)
        (reply,) = await patiently(self._timeout_seconds, self._shards.run_all, [call])
        return past.past(past.page(reply, before))

    # -- what happens, and what clients say ------------------------------------------------------

    def events(self, group: str, **wishes: Unpack[Wishes]) -> Feed[Event[Acknowledged]]:
        """
        ``async for event in fl.events(group="crm")``: what happens on any replica, at least once for each group.

        Consumers of the same group share the events. One is acknowledged when the loop asks for the next one, so that
        what a loop does not finish is given to another consumer, or to the next process of the same name.
        """
        return self._hearing.events(group, **wishes)

    def inbound(self, group: str, **wishes: Unpack[Wishes]) -> Feed[Inbound[Acknowledged, Replying]]:
        """
        ``async for m in fl.inbound(group="bot"): await m.reply({…})``: what clients say, at least once for each group.

        Their messages, after they were stored, and the actions that the gateway forwards, whose answer the client
        waits for; otherwise as `events`.
        """
        return self._hearing.inbound(group, **wishes)

    async def connection_history(self, user_id: str | None = None, count: int = 100) -> list[PastConnection]:
        """Connections that have ended, of one user or of all, the latest first; at most *count*."""
        return await self._hearing.connection_history(user_id, count)

    # -- the state of instances --------------------------------------------------------------------

    async def _change(self, channel: str, change: Change) -> Sent:
        sent = await self._publisher.publish(channel, change)
        if sent.fate.is_due:
            await self._fold(id_of(channel))
        return sent

    async def _fold(self, instance_name: str) -> None:
        try:
            before = await self._ask(instances.standing(self._names, instance_name))
            await patiently(self._timeout_seconds, self._shards.run_all, [instances.fold(self._names, before)])
        except Unavailable as error:
            log.warning("instance %s not folded, somebody else will: %s", instance_name, error.message)

    async def _ask(self, query: Query[Answer]) -> Answer:
        """The answer, asking again while Redis is away."""
        return query.read(await patiently(self._timeout_seconds, self._shards.ask, *query.commands))
