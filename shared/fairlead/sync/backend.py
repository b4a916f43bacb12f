"""The blocking face of Fairlead, for Celery and other threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, Unpack

from fairlead.backend.batch import Batch
from fairlead.backend.sends import Sends, service
from fairlead.errors import FairleadError, Unavailable
from fairlead.format import past
from fairlead.format.envelope import Envelope
from fairlead.format.past import Past
from fairlead.names import DURABLE_KINDS, Names, checked_channel, id_of
from fairlead.publishing.publication import Publications, Sayable
from fairlead.publishing.sent import Fate, Sent
from fairlead.questions.confirmation import OnTimeout
from fairlead.questions.question import DEFAULT_POLICY, Policy
from fairlead.redis.patience import patiently_sync
from fairlead.redis.query import Answer, Query
from fairlead.redis.sync_shards import SyncShards, open_shards_sync
from fairlead.state import instances, tasks
from fairlead.state.instances import STATE_TTL_SECONDS
from fairlead.streams.answers import Outcome
from fairlead.streams.events import Event
from fairlead.streams.feeds import Wishes
from fairlead.streams.history import PastConnection
from fairlead.streams.inbound import Inbound
from fairlead.sync.asking import SyncAsks
from fairlead.sync.feeds import SyncFeed
from fairlead.sync.hearing import SyncHearing
from fairlead.sync.lookups import SyncLookups
from fairlead.sync.publisher import SyncPublisher
from fairlead.sync.questions import SyncQuestions
from fairlead.sync.receipts import SyncReceipts

log = logging.getLogger(__name__)


def connect_sync(
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
) -> SyncBackend:
    """``with fairlead.connect_sync("redis://…") as fl``: as `fairlead.connect`; one object serves all threads."""
    names = Names(prefix)
    client_name = f"fairlead:{name or 'backend'}"
    shards = open_shards_sync(url, names, client_name=client_name, answer_seconds=timeout_seconds / 2)
    publications = Publications(
        names,
        durable=durable,
        history_size=history_size,
        history_ttl_seconds=history_ttl_seconds,
        is_sharded=shards.is_sharded,
    )
    publisher = SyncPublisher(shards, publications, timeout_seconds=timeout_seconds, durable_replicas=durable_replicas)
    policy = Policy(ask_timeout_seconds, ask_on_timeout, ask_danger_proceeds)
    return SyncBackend(
        shards,
        names,
        publisher,
        name=name,
        timeout_seconds=timeout_seconds,
        policy=policy,
        durable_replicas=durable_replicas,
        state_ttl_seconds=state_ttl_seconds,
    )


def _at_once(sent: Sent) -> Sent:
    return sent


class SyncBackend(Sends[Sent], SyncQuestions, SyncLookups):
    """As `fairlead.backend.backend.Backend`, blocking."""

    def __init__(
        self,
        shards: SyncShards,
        names: Names,
        publisher: SyncPublisher,
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
        self._receipts = SyncReceipts(shards, names, publisher, timeout_seconds=timeout_seconds)
        self._policy = policy
        self._asks = SyncAsks(
            shards,
            names,
            publisher,
            sender=self._sender,
            timeout_seconds=timeout_seconds,
            durable_replicas=durable_replicas,
        )
        self._hearing = SyncHearing(shards, names, publisher, sender=self._sender, timeout_seconds=timeout_seconds)
        self._thread = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; loops over feeds end."""
        self._hearing.close()
        self._shards.close()

    def _say(self, channel: str, said: Sayable) -> Sent:
        batch = self._open_batch()
        if batch is not None:
            return batch._say(channel, said)
        fate = self._publisher.publish(channel, said)
        if fate.is_due:
            self._fold(id_of(channel))
        return Sent(said.id, fate)

    def _say_after(self, first: tuple[str, Sayable], channel: str, said: Sayable) -> Sent:
        batch = self._open_batch()
        if batch is not None:
            return batch._say_after(first, channel, said)
        fates = self._publisher.publish_all([first, (channel, said)])
        for fate in fates:
            if isinstance(fate, FairleadError):
                raise fate
        return Sent(said.id, fates[-1])

    def _say_and_wait(self, channel: str, envelope: Envelope, ack_seconds: float) -> Sent:
        batch = self._open_batch()
        if batch is None:
            return self._receipts.send(channel, envelope, ack_seconds)
        return batch._say_and_wait(channel, envelope, ack_seconds)

    def _open_batch(self) -> Batch[Sent] | None:
        batch: Batch[Sent] | None = getattr(self._thread, "batch", None)
        return batch

    @contextmanager
    def batch(self) -> Iterator[Batch[Sent]]:
        """Send what this thread sends inside in one round trip, at the end; as `Backend.batch`."""
        batch, outer = Batch(self, _at_once), getattr(self._thread, "batch", None)
        self._thread.batch = batch
        try:
            yield batch
        except BaseException:
            batch.abandon()
            raise
        finally:
            self._thread.batch = outer
        messages = batch.end()
        fates = self._publisher.publish_all(messages)
        for (channel, _), fate in zip(messages, fates, strict=True):
            if isinstance(fate, Fate) and fate.is_due:
                self._fold(id_of(channel))
        batch.settle(fates)

    # -- tasks -----------------------------------------------------------------------------------

    def cancel_task(self, task_id: str | int, *, by: str) -> Sent:
        """As `fairlead.backend.backend.Backend.cancel_task`."""
        change = tasks.cancel(self._names, task_id, by, sender=self._sender)
        sent = Sent(change.id, self._publisher.publish(tasks.task_channel(task_id), change))
        task = self.get_task(task_id)
        if task is not None and task.owner and task.cancelled_by:
            self._publisher.publish(*tasks.cancelled_notice(task.id, task.owner, task.cancelled_by, task.version))
        self._asks.cancel_of_task(str(task_id))
        return sent

    # -- what was said ---------------------------------------------------------------------------

    def history(self, channel: str, limit: int = past.PAGE, before: int | None = None) -> Past:
        """As `fairlead.backend.backend.Backend.history`."""
        past.ensure_kept(checked_channel(channel), self._publisher.is_durable(channel))
        call = past.read(self._names, channel, limit, before)
        return past.past(past.page(patiently_sync(self._timeout_seconds, self._shards.run, *call), before))

    # -- what happens, and what clients say ------------------------------------------------------

    def events(self, group: str, **wishes: Unpack[Wishes]) -> SyncFeed[Event[None]]:
        """
        ``for event in fl.events(group="crm")``: what happens on any replica, at least once for each group.

        Consumers of the same group share the events. One is acknowledged when the loop asks for the next one, so that
        what a loop does not finish is given to another consumer, or to the next process of the same name.
        """
        return self._hearing.events(group, **wishes)

    def inbound(self, group: str, **wishes: Unpack[Wishes]) -> SyncFeed[Inbound[None, Outcome]]:
        """
        ``for m in fl.inbound(group="bot"): m.reply({…})``: what clients say, at least once for each group.

        Their messages, after they were stored, and the actions that the gateway forwards, whose answer the client
        waits for; otherwise as `events`.
        """
        return self._hearing.inbound(group, **wishes)

    def connection_history(self, user_id: str | None = None, count: int = 100) -> list[PastConnection]:
        """Connections that have ended, of one user or of all, the latest first; at most *count*."""
        return self._hearing.connection_history(user_id, count)

    # -- the state of instances --------------------------------------------------------------------

    def _fold(self, instance_name: str) -> None:
        try:
            before = self._ask(instances.standing(self._names, instance_name))
            patiently_sync(self._timeout_seconds, self._shards.run, *instances.fold(self._names, before))
        except Unavailable as error:
            log.warning("instance %s not folded, somebody else will: %s", instance_name, error.message)

    def _ask(self, query: Query[Answer]) -> Answer:
        """The answer, asking again while Redis is away."""
        return query.read(patiently_sync(self._timeout_seconds, self._shards.ask, *query.commands))
