"""As `fairlead.publishing.receipts`, blocking."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from fairlead.format.envelope import Envelope
from fairlead.names import Names
from fairlead.publishing import acks
from fairlead.publishing.acks import Record, Standing
from fairlead.publishing.sent import NOT_AGAIN, Outcome, Sent
from fairlead.redis.outage import is_passing
from fairlead.redis.patience import patiently_sync
from fairlead.redis.sync_shards import SyncShards, sync_shards_of
from fairlead.sync.publisher import SyncPublisher
from fairlead.sync.replies import SyncReplies

if TYPE_CHECKING:
    from redis import Redis


log = logging.getLogger(__name__)


class SyncReceipts:
    """As `fairlead.publishing.receipts.Receipts`; many threads may wait at once."""

    def __init__(
        self, redis: Redis | SyncShards, names: Names, publisher: SyncPublisher, *, timeout_seconds: float
    ) -> None:
        self._shards = sync_shards_of(redis)
        self._names = names
        self._publisher = publisher
        self._timeout_seconds = timeout_seconds

    def send(self, channel: str, envelope: Envelope, seconds: float) -> Sent:
        """As `fairlead.publishing.receipts.Receipts.send`."""
        record = acks.record(self._names, channel, envelope.id)
        with SyncReplies(self._shards, self._names) as replies:
            found = self._expect(record, replies.address, seconds)
            if found.outcome is not None and not self._publisher.is_durable(channel):
                return Sent(envelope.id, NOT_AGAIN, found.outcome)
            fate = self._publisher.publish(channel, envelope)
            outcome = found.outcome or self._outcome(record, channel, envelope, found.left_seconds, replies)
            return Sent(envelope.id, fate, outcome)

    def _expect(self, record: Record, address: str, seconds: float) -> Standing:
        call = acks.expect(record, address, seconds)
        return acks.standing(patiently_sync(self._timeout_seconds, self._shards.run, *call))

    def _outcome(
        self, record: Record, channel: str, envelope: Envelope, left_seconds: float, replies: SyncReplies
    ) -> Outcome:
        began = time.monotonic()
        for attempt, due in enumerate(acks.moments(left_seconds), 2):
            if outcome := self._wait(record, began + due, replies):
                return outcome
            self._publisher.publish_all([(channel, acks.copy(envelope, attempt))], durable=False)
        if outcome := self._wait(record, began + left_seconds, replies):
            return outcome
        return self._wait(record, time.monotonic() + self._timeout_seconds, replies) or Outcome("failed")

    def _wait(self, record: Record, until: float, replies: SyncReplies) -> Outcome | None:
        """The outcome, or None when there is none *until* then (monotonic seconds)."""
        while True:
            outcome = self._look(record)
            left = until - time.monotonic()
            if outcome is not None or left <= 0:
                return outcome
            replies.wait(left)

    def _look(self, record: Record) -> Outcome | None:
        """The outcome, as far as Redis can be asked for it now."""
        try:
            return acks.standing(self._shards.run(*acks.look(record))).outcome
        except (RedisError, OSError) as error:
            if not is_passing(error):
                log.warning("the outcome of a message cannot be asked for: %s", error)
            return None
