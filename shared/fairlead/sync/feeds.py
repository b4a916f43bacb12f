"""As `fairlead.streams.feeds`, blocking."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from redis.exceptions import RedisError
from tenacity import RetryCallState, Retrying, retry_if_exception

from fairlead.errors import FairleadError, Unavailable
from fairlead.names import Names
from fairlead.redis.outage import is_passing, unavailable
from fairlead.redis.patience import patiently_sync
from fairlead.redis.sync_shards import SyncShards, sync_shards_of
from fairlead.streams.feeds import BACK_OFF, Wish, given_up, why_not
from fairlead.streams.groups import Entry
from fairlead.sync.consumer import SyncConsumer

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger(__name__)

T = TypeVar("T")


class SyncFeed(Iterator[T], Generic[T]):
    """``for thing in feed``: as `fairlead.streams.feeds.Feed`; for one thread."""

    def __init__(
        self, redis: Redis | SyncShards, names: Names, stream: str, wish: Wish, read: Callable[[Entry], T | None]
    ) -> None:
        self._shards = sync_shards_of(redis)
        self._stream = stream
        self._dead = names.dead(stream)
        self._wish = wish
        self._read = read
        self._share = wish.share(stream)
        self._consumer = SyncConsumer(redis, self._share)
        self._given: str | None = None
        """The entry that the loop works on."""
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._given is not None:
            given, self._given = self._given, None
            self._consumer.done(given)
        while not self._is_closed:
            entry = self._consumer.next()
            if entry is None:
                self._patiently(self._consumer.take)
            elif (thing := self._judge(entry)) is not None:
                self._consumer.drop()
                self._given = entry.id
                return thing
            else:
                self._consumer.drop()
                self._consumer.done(entry.id)
        raise StopIteration

    def begin(self) -> None:
        """Form the group, unless it is there: what happens from now on is heard. Done by ``with feed``."""
        try:
            self._patiently(self._shards.ask, self._share.formation())
        except Unavailable as error:
            if not str(error.__cause__).startswith("BUSYGROUP"):
                raise

    def acknowledge(self, entry_id: str, seconds: float) -> None:
        """Acknowledge an entry now; *seconds* is how long Redis may be away."""
        if self._given == entry_id:
            self._given = None
        patiently_sync(seconds, self._shards.ask, ("XACK", self._stream, self._wish.group, entry_id))

    def close(self) -> None:
        """Hear nothing more. What the loop works on now stays unacknowledged."""
        self._is_closed = True
        self._consumer.hang_up()

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ----------------------------------------------------------------------------------

    def _judge(self, entry: Entry) -> T | None:
        """What the loop is given of *entry*, if anything."""
        reason = why_not(entry, self._wish.max_deliveries)
        if reason:
            log.warning("entry %s of %s %s", entry.id, self._stream, reason)
            if entry.fields is not None:
                self._patiently(self._shards.ask, given_up(entry, self._stream, self._dead, self._wish.group))
            return None
        try:
            return self._read(entry)
        except FairleadError as error:
            log.warning("entry %s of %s is not ours: %s", entry.id, self._stream, error.message)
            return None

    def _patiently(self, do: Callable[..., object], *args: Any) -> None:
        """Do it, again and again while Redis is away; closed meanwhile, it is given up."""
        retrying = Retrying(
            retry=retry_if_exception(self._is_worth_waiting),
            wait=BACK_OFF,
            before_sleep=self._log_interruption,
            reraise=True,
        )
        try:
            retrying(do, *args)
        except (RedisError, OSError) as error:
            if not self._is_closed:
                raise unavailable(error) from error

    def _is_worth_waiting(self, error: BaseException) -> bool:
        return not self._is_closed and is_passing(error)

    def _log_interruption(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            log.warning("%s interrupted: %s", self._stream, type(state.outcome.exception()).__name__)
