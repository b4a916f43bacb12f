"""Gives messages to Redis and waits for the answers; for threads, each exchange on a connection of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from tenacity import Retrying, retry_if_exception, stop_after_delay

from fairlead.envelope import Envelope
from fairlead.errors import FairleadError
from fairlead.outgoing import Outgoing
from fairlead.publication import BATCH_MESSAGES, SCRIPT, Publications, Reply, evalsha
from fairlead.redis.connection import pooled
from fairlead.redis.greeting import greeting_of
from fairlead.redis.outage import BACK_OFF, is_passing
from fairlead.sent import Fate

if TYPE_CHECKING:
    from fairlead.redis.connection import SyncConnection


class SyncPublisher:
    """
    As `fairlead.publisher.Publisher`, blocking and safe to share between threads.

    :param redis: a client from `fairlead.redis.connect`.
    """

    def __init__(self, redis: Redis, publications: Publications, *, timeout_seconds: float = 5.0) -> None:
        self._redis = redis
        self._publications = publications
        self._timeout_seconds = timeout_seconds

    def is_durable(self, channel: str) -> bool:
        """Whether messages of *channel* get an offset and are kept."""
        return self._publications.is_durable(channel)

    def publish(self, channel: str, envelope: Envelope) -> Fate:
        """
        What Redis said about one message.

        :raises Unavailable: Redis did not take it in time; ``detail["unknown"]`` if it may have, unanswered.
        """
        (fate,) = self.publish_all([(channel, envelope)])
        if isinstance(fate, FairleadError):
            raise fate
        return fate

    def publish_all(
        self, messages: Sequence[tuple[str, Envelope]], *, durable: bool | None = None
    ) -> list[Fate | FairleadError]:
        """
        What became of each message, in one round trip for up to `BATCH_MESSAGES`.

        :param durable: overrides what the kinds of channel say.
        """
        pack = self._publications.pack
        outgoing = [Outgoing(envelope.id, *pack(channel, envelope, durable)) for channel, envelope in messages]
        for start in range(0, len(outgoing), BATCH_MESSAGES):
            self._deliver(outgoing[start : start + BATCH_MESSAGES])
        return [cast(Fate | FairleadError, message.fate) for message in outgoing]

    def _deliver(self, batch: list[Outgoing]) -> None:
        retrying = Retrying(
            retry=retry_if_exception(is_passing),
            wait=BACK_OFF,
            stop=stop_after_delay(self._timeout_seconds),
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

    def _exchange(self, batch: list[Outgoing]) -> None:
        if not batch:
            return
        with pooled(self._redis) as connection:
            while batch := self._ask(connection, batch):
                self._load_script(connection)

    def _ask(self, connection: SyncConnection, batch: list[Outgoing]) -> list[Outgoing]:
        """Write *batch*, read its answers, and return those for which Redis lacks the script."""
        words = evalsha(greeting_of(self._redis).is_modern)
        connection.send_packed_command([b"".join([message.write(words) for message in batch])], check_health=False)
        return [message for message in batch if not message.hear(_answer(connection))]

    def _load_script(self, connection: SyncConnection) -> None:
        text = SCRIPT.text(greeting_of(self._redis).is_modern)
        connection.send_packed_command(connection.pack_commands([("SCRIPT", "LOAD", text.source)]), check_health=False)
        connection.read_response()


def _answer(connection: SyncConnection) -> Reply | ResponseError:
    try:
        return cast(Reply, connection.read_response())
    except ResponseError as error:
        return error
