"""Feeds: what a backend hears from a stream, one entry after the other, at least once (MSG-6, MSG-7)."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeAlias, TypedDict, TypeVar

from redis.exceptions import RedisError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from fairlead.errors import FairleadError, InvalidMessage, Unavailable
from fairlead.names import Names, checked_id
from fairlead.redis.outage import is_passing, unavailable
from fairlead.redis.patience import patiently
from fairlead.redis.shards import Shards, shards_of
from fairlead.streams.consumer import Consumer
from fairlead.streams.groups import Entry, Pace, Share

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from fairlead.redis.atlas import SomeCommand

log = logging.getLogger(__name__)

DEAD: Final = 1000
"""Entries put aside that are kept."""

MAX_GROUP: Final = 64
"""Characters of the name of a group."""

BACK_OFF: Final = wait_random_exponential(multiplier=0.1, max=2.0)
"""How long to wait before Redis is asked again after it was away."""

T = TypeVar("T")

Acknowledged: TypeAlias = Coroutine[Any, Any, None]


class Wishes(TypedDict, total=False):
    """How a backend wants to hear something; their defaults are those of `Wish`."""

    types: Collection[str]
    """What to hear: names of events, ``message_type`` of messages, names of actions; all if none is named."""

    consumer: str
    """
    Unlike that of every other process, and the same when this one starts again: then it goes on at once with what it
    left. If none is given, one is made up.
    """

    from_start: bool
    """Whether a group that is new begins with all that is kept, rather than with what comes next."""

    idle_seconds: float
    """What a consumer has not acknowledged for so long, since it died or failed, another one of the group is given."""

    max_deliveries: int
    """How often something is given to consumers that fail, before it is put aside in ``…:dead``; 0 for any number."""


@dataclass(frozen=True)
class Wish:
    """
    What a backend wants to hear, and how; see `Wishes`.

    :raises InvalidMessage: something in it cannot be.
    """

    group: str
    types: Collection[str] = ()
    consumer: str = field(default_factory=lambda: _somebody())
    from_start: bool = False
    idle_seconds: float = 60.0
    max_deliveries: int = 5

    def __post_init__(self) -> None:
        checked_id(self.consumer, "consumer")
        if len(checked_id(self.group, "group")) > MAX_GROUP:
            raise InvalidMessage(f"the name of a group has at most {MAX_GROUP} characters")
        if isinstance(self.types, str):
            raise InvalidMessage("types is a list, not a string")
        if self.idle_seconds <= 0 or self.max_deliveries < 0:
            raise InvalidMessage("idle_seconds is above 0, and max_deliveries at least 0")

    def is_for(self, name: str) -> bool:
        """Whether something of this type is to be heard."""
        return not self.types or name in self.types

    def share(self, stream: str) -> Share:
        """The part in *stream* that this makes."""
        pace = Pace(idle_ms=int(self.idle_seconds * 1000), look_seconds=min(5.0, self.idle_seconds / 2))
        return Share(stream, self.group, self.consumer, from_start=self.from_start, pace=pace)


def given_up(entry: Entry, stream: str, dead: str, group: str) -> SomeCommand:
    """The command that puts *entry* aside; executed twice, it is there twice."""
    flat = [item for pair in (entry.fields or {}).items() for item in pair]
    about = ("group", group, "entry", entry.id, "stream", stream, "deliveries", entry.deliveries)
    return ("XADD", dead, "MAXLEN", "~", DEAD, "*", *about, *flat)


def why_not(entry: Entry, max_deliveries: int) -> str:
    """Why *entry* is not to be worked on, or empty."""
    if entry.fields is None:
        return "was trimmed away before it was acknowledged"
    if max_deliveries and entry.deliveries >= max_deliveries:
        return f"was given to {entry.deliveries} consumers in vain, and is put aside"
    return ""


class Feed(AsyncIterator[T], Generic[T]):
    """
    ``async for thing in feed``. What the loop was given is acknowledged when it asks for the next one.

    A loop that ends in the middle, by an exception or the death of its process, leaves that one to another consumer of
    the group, or to the next one of the same name. Redis may come and go meanwhile.

    :param read: makes of an entry what the loop is given; None for what it does not want to hear.
    """

    def __init__(
        self, redis: Redis | Shards, names: Names, stream: str, wish: Wish, read: Callable[[Entry], T | None]
    ) -> None:
        self._shards = shards_of(redis)
        self._stream = stream
        self._dead = names.dead(stream)
        self._wish = wish
        self._read = read
        self._share = wish.share(stream)
        self._consumer = Consumer(redis, self._share)
        self._given: str | None = None
        """The entry that the loop works on."""
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._given is not None:
            given, self._given = self._given, None
            await self._consumer.done(given)
        while not self._is_closed:
            entry = self._consumer.next()
            if entry is None:
                await self._patiently(self._consumer.take)
            elif (thing := await self._judge(entry)) is not None:
                self._consumer.drop()
                self._given = entry.id
                return thing
            else:
                self._consumer.drop()
                await self._consumer.done(entry.id)
        raise StopAsyncIteration

    async def begin(self) -> None:
        """Form the group, unless it is there: what happens from now on is heard. Done by ``async with feed``."""
        try:
            await self._patiently(self._shards.ask, self._share.formation())
        except Unavailable as error:
            if not str(error.__cause__).startswith("BUSYGROUP"):
                raise

    async def acknowledge(self, entry_id: str, seconds: float) -> None:
        """Acknowledge an entry now; *seconds* is how long Redis may be away."""
        if self._given == entry_id:
            self._given = None
        await patiently(seconds, self._shards.ask, ("XACK", self._stream, self._wish.group, entry_id))

    async def aclose(self) -> None:
        """Hear nothing more. What the loop works on now stays unacknowledged."""
        self._is_closed = True
        await self._consumer.hang_up()

    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- inside ----------------------------------------------------------------------------------

    async def _judge(self, entry: Entry) -> T | None:
        """What the loop is given of *entry*, if anything."""
        reason = why_not(entry, self._wish.max_deliveries)
        if reason:
            log.warning("entry %s of %s %s", entry.id, self._stream, reason)
            if entry.fields is not None:
                await self._patiently(self._shards.ask, given_up(entry, self._stream, self._dead, self._wish.group))
            return None
        try:
            return self._read(entry)
        except FairleadError as error:
            log.warning("entry %s of %s is not ours: %s", entry.id, self._stream, error.message)
            return None

    async def _patiently(self, do: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Do it, again and again while Redis is away; closed meanwhile, it is given up."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(self._is_worth_waiting),
            wait=BACK_OFF,
            before_sleep=self._log_interruption,
            reraise=True,
        )
        try:
            await retrying(do, *args)
        except (RedisError, OSError) as error:
            if not self._is_closed:
                raise unavailable(error) from error

    def _is_worth_waiting(self, error: BaseException) -> bool:
        return not self._is_closed and is_passing(error)

    def _log_interruption(self, state: RetryCallState) -> None:
        if state.attempt_number == 1 and state.outcome is not None:
            log.warning("%s interrupted: %s", self._stream, type(state.outcome.exception()).__name__)


def _somebody() -> str:
    """A name that no other consumer has."""
    host = "".join(one if one.isalnum() else "-" for one in socket.gethostname()[:32])
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
