"""Gives messages to Redis and waits for the answers; for threads, each exchange on a connection of the pool."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay

from fairlead.errors import FairleadError
from fairlead.names import partition_of
from fairlead.publishing.copies import Copies
from fairlead.publishing.forms import Form, words_for
from fairlead.publishing.outgoing import Outgoing
from fairlead.publishing.publication import BATCH_MESSAGES, Publications, Sayable
from fairlead.publishing.sent import Fate
from fairlead.redis.atlas import grouped, nowhere
from fairlead.redis.connection import pooled
from fairlead.redis.outage import BACK_OFF, is_passing
from fairlead.redis.sync_shards import SyncShard, SyncShards, sync_shards_of

if TYPE_CHECKING:
    from fairlead.redis.connection import SyncConnection


class SyncPublisher:
    """
    As `fairlead.publishing.publisher.Publisher`, blocking and safe to share between threads.

    :param redis: from `fairlead.redis.sync_shards` or `fairlead.redis.connect`.
    """

    def __init__(
        self,
        redis: Redis | SyncShards,
        publications: Publications,
        *,
        timeout_seconds: float = 5.0,
        durable_replicas: int = 0,
    ) -> None:
        self._shards = sync_shards_of(redis)
        self._publications = publications
        self._timeout_seconds = timeout_seconds
        self._copies = Copies(durable_replicas, timeout_seconds)

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return self._publications.is_durable(channel)

    def publish(self, channel: str, said: Sayable) -> Fate:
        """
        What Redis said about one message.

        :raises Unavailable: Redis did not take it in time; ``detail["unknown"]`` if it may have, unanswered.
        """
        (fate,) = self.publish_all([(channel, said)])
        if isinstance(fate, FairleadError):
            raise fate
        return fate

    def publish_all(
        self, messages: Sequence[tuple[str, Sayable]], *, durable: bool | None = None
    ) -> list[Fate | FairleadError]:
        """
        What became of each message, in one round trip to each shard for up to `BATCH_MESSAGES`.

        :param durable: overrides what the kinds of channel say.
        """
        self._shards.follow()
        pack = self._publications.pack
        outgoing = [
            Outgoing(said.id, partition_of(channel), *pack(channel, said, durable)) for channel, said in messages
        ]
        for start in range(0, len(outgoing), BATCH_MESSAGES):
            self._deliver(outgoing[start : start + BATCH_MESSAGES])
        return [cast(Fate | FairleadError, message.fate) for message in outgoing]

    def _deliver(self, batch: list[Outgoing]) -> None:
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=BACK_OFF,
            stop=stop_after_delay(self._timeout_seconds),
            before_sleep=self._look_round,
            reraise=True,
        )
        last: BaseException | None = None
        try:
            for attempt in retrying:
                with attempt:
                    self._exchange([message for message in batch if message.is_wanted(is_late=False)])
        except (RedisError, OSError) as error:
            last = error
        for message in batch:
            message.fail(last)

    def _look_round(self, attempt: RetryCallState) -> None:
        if attempt.outcome is not None:
            self._shards.refresh(attempt.outcome.exception())

    def _exchange(self, batch: list[Outgoing]) -> None:
        """
        Write *batch* and read its answers, one shard after the other.

        :raises RedisError: or ``OSError``: what keeps some of it from being answered; the rest has been.
        """
        errors: list[Exception] = []
        for shard, group in grouped(batch, lambda message: self._shards.partitions[message.partition]):
            try:
                with pooled(shard.redis) as connection:
                    while group := _ask(connection, shard, group, self._copies):
                        _load_scripts(connection, shard, {message.form for message in group})
            except (RedisError, OSError) as error:
                errors.append(error)
        errors += [message.elsewhere or nowhere() for message in batch if message.fate is None]
        if errors:
            raise errors[0]


def _ask(connection: SyncConnection, shard: SyncShard, batch: list[Outgoing], copies: Copies) -> list[Outgoing]:
    """Write *batch*, read its answers, and return those for which Redis lacks the script."""
    greeting = shard.greeting
    words = words_for(greeting.text)
    written = [message.write(words) for message in batch]
    moved_in = greeting.unwritten(message.partition for message in batch)
    if moved_in:
        written[:0] = connection.pack_commands(greeting.term_commands(moved_in))
    wait = copies.question(batch)
    connection.send_packed_command([b"".join((*written, wait))], check_health=False)
    if moved_in:
        greeting.take_terms(moved_in, [_answer(connection) for _ in moved_in])
    unknown = [message for message in batch if not message.hear(_answer(connection), needs_copies=bool(wait))]
    if wait:
        copies.hear(batch, _answer(connection))
    return unknown


def _load_scripts(connection: SyncConnection, shard: SyncShard, forms: Iterable[Form | None]) -> None:
    for form in forms:
        if form is not None:
            command = connection.pack_commands([("SCRIPT", "LOAD", shard.greeting.text(form.script).source)])
            connection.send_packed_command(command, check_health=False)
            connection.read_response()


def _answer(connection: SyncConnection) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
