"""Interest: a Redis channel is subscribed to only while a socket here needs it (RT-2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final, TypeAlias

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead_gateway.dispatch.reader import RedisReader
from fairlead_gateway.pool.pace import Pace

LINGER_SECONDS: Final = 1.0
"""An unused channel is kept this long, so that a client who reconnects at once costs Redis nothing."""


GAP_SECONDS: Final = 0.005
"""SUBSCRIBE commands of a storm leave this far apart."""

CONFIRM_SECONDS: Final = 3.0
"""How long a newcomer waits for Redis to confirm its channels; less than actions may take."""


Where: TypeAlias = Hashable | None
"""A shard, or whatever stands for one; None for a channel that nobody is known to have."""

ONLY: Final = "only"
"""The shard where there is but one."""


class _Want:
    """Somebody who waits until Redis has confirmed some channels."""

    __slots__ = ("deadline", "done", "missing")

    def __init__(self, missing: int, done: asyncio.Future[None], deadline: float) -> None:
        self.missing = missing
        self.done = done
        self.deadline = deadline

    def confirmed(self) -> None:
        self.missing -= 1
        if not self.missing and not self.done.done():
            self.done.set_result(None)

    def is_over(self, now: float) -> bool:
        """Whether nobody waits any more: the time is up, or who waited has left."""
        if now >= self.deadline and not self.done.done():
            self.done.set_exception(Unavailable("redis does not confirm subscriptions; try again"))
        return self.done.done()


class Interest:
    """
    The channels that this replica hears.

    `want` and `release` are cheap and may be called for every connection: what comes within one turn of the loop goes
    to Redis as one command. A new reader (see `serve`) is told everything of its shard again.
    """

    def __init__(
        self,
        names: Names,
        is_needed: Callable[[str], bool],
        probe: str = "",
        doubt: Callable[[str], None] = lambda channel: None,
        given_up: Callable[[str], None] = lambda channel: None,
        place: Callable[[bytes], Where] = lambda name: ONLY,
    ) -> None:
        """
        :param is_needed: whether a socket here still sits in a channel.
        :param probe: a Redis channel that is no client's, heard always; for more of them see `keep`.
        :param doubt: called with a channel that is heard again after it was not: something may have been missed.
        :param given_up: called with a channel that is heard no more.
        :param place: the shard of a Redis channel, as far as is known now.
        """
        self._names = names
        self._is_needed = is_needed
        self._place = place
        self._readers: dict[Where, RedisReader] = {}
        self._channels: dict[bytes, str] = {probe.encode(): ""} if probe else {}
        self._doubt = doubt
        self._given_up = given_up
        self._confirmed: dict[bytes, Where] = {}
        self._once_heard: set[bytes] = set()
        self._missing: dict[Where, set[bytes]] = {}
        self._wants: dict[bytes, list[_Want]] = {}
        self._asking: list[bytes] = []
        self._lingering: dict[bytes, float] = {}
        self._pace = Pace(GAP_SECONDS)
        self._loop: asyncio.AbstractEventLoop | None = None

    def channel_of(self, name: bytes) -> str | None:
        """The channel behind a Redis name; empty for the probe, None if it is not one of ours."""
        return self._channels.get(name)

    def __len__(self) -> int:
        return len(self._channels)

    async def want(self, *channels: str) -> None:
        """
        Hear *channels*; returns when Redis has confirmed each of them.

        :raises Unavailable: Redis has not, within `CONFIRM_SECONDS`.
        """
        wanted = [name for channel in channels if (name := self._ask(channel)) is not None]
        if wanted:
            loop = self._running_loop()
            want = _Want(len(wanted), loop.create_future(), loop.time() + CONFIRM_SECONDS)
            for name in wanted:
                self._wants.setdefault(name, []).append(want)
            await want.done

    def release(self, channel: str) -> None:
        """Nobody here needs *channel* any more; it is given up after a moment, unless wanted again."""
        self._lingering[self._name(channel)] = self._running_loop().time() + LINGER_SECONDS

    def tidy(self) -> None:
        """Give up what has been unused, or waited for, long enough; to be called about once a second."""
        now = asyncio.get_running_loop().time()
        self._give_up_unused(now)
        for name, wants in list(self._wants.items()):
            self._wants[name] = [want for want in wants if not want.is_over(now)]
            if not self._wants[name]:
                del self._wants[name]

    def _give_up_unused(self, now: float) -> None:
        due = [name for name, deadline in self._lingering.items() if deadline <= now]
        for name in due:
            del self._lingering[name]
        gone = [name for name in due if name in self._channels and not self._is_needed(self._channels[name])]
        self._drop(gone)

    def _drop(self, gone: list[bytes]) -> None:
        by_shard: dict[Where, list[bytes]] = {}
        for name in gone:
            if channel := self._channels.pop(name):
                self._given_up(channel)
            by_shard.setdefault(self._confirmed.pop(name, self._place(name)), []).append(name)
            self._once_heard.discard(name)
            self._no_longer_missing(name)
        for shard, names in by_shard.items():
            if shard in self._readers:
                self._readers[shard].unsubscribe(names)

    # -- what is no client's ---------------------------------------------------------------------

    def keep(self, name: bytes, channel: str = "") -> None:
        """Hear the Redis channel *name*, which is no client's, as *channel*, until it is given up with `drop`."""
        self._channels[name] = channel
        self._subscribe_to([name])

    def drop(self, name: bytes) -> None:
        """Hear *name* no more."""
        if name in self._channels:
            self._drop([name])

    # -- the readers -----------------------------------------------------------------------------

    def serve(self, reader: RedisReader, shard: Where = ONLY) -> None:
        """A new connection to Redis: subscribe to everything of its shard on it."""
        self.deaf(shard)
        self._readers[shard] = reader
        mine = {name: None for name in self._channels if self._place(name) == shard}
        self._missing[shard] = set(mine)
        self._asking = [name for name in self._asking if name not in mine]
        reader.subscribe(mine)

    def deaf(self, shard: Where = ONLY) -> None:
        """The connection to a shard is gone; what is wanted meanwhile waits for the next."""
        self._readers.pop(shard, None)
        self._loop = None
        self._confirmed = {name: where for name, where in self._confirmed.items() if where != shard}

    def confirmed(self, name: bytes, shard: Where = ONLY) -> None:
        """Redis said that it will send us *name*."""
        if channel := self._channels.get(name):
            if name in self._once_heard:
                self._doubt(channel)
            self._once_heard.add(name)
        if name in self._channels:
            self._confirmed[name] = shard
            self._no_longer_missing(name)
        for want in self._wants.pop(name, ()):
            want.confirmed()

    def ended(self, name: bytes, shard: Where = ONLY) -> bool:
        """Redis said that it sends us *name* no more; whether we had not asked for that."""
        if name not in self._channels or self._confirmed.get(name) != shard:
            return False
        del self._confirmed[name]
        self._missing.setdefault(shard, set()).add(name)
        return True

    def settle(self) -> None:
        """Ask for everything that is not heard from where it lives: channels have moved to other shards."""
        astray = [name for name in self._channels if self._confirmed.get(name) != self._place(name)]
        for name in astray:
            self._confirmed.pop(name, None)
            self._no_longer_missing(name)
            self._missing.setdefault(self._place(name), set()).add(name)
        self._subscribe_to(astray)

    def is_whole_on(self, shard: Where) -> bool:
        """Whether a shard has confirmed all that was wanted when it was connected; newcomers wait for their own."""
        return shard in self._readers and not self._missing.get(shard)

    @property
    def is_whole(self) -> bool:
        """Whether every shard has."""
        return bool(self._readers) and all(self.is_whole_on(shard) for shard in (*self._readers, *self._missing))

    # -- inside ----------------------------------------------------------------------------------

    def _name(self, channel: str) -> bytes:
        return self._names.pubsub(channel).encode()

    def _ask(self, channel: str) -> bytes | None:
        """Make sure that *channel* is asked for; its Redis name, unless it is heard already."""
        name = self._name(channel)
        self._lingering.pop(name, None)
        if name in self._confirmed:
            return None
        if name not in self._channels:
            self._channels[name] = channel
            if not self._asking:
                loop = self._running_loop()
                loop.call_later(self._pace.wait(loop.time()), self._subscribe)
            self._asking.append(name)
        return name

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """Remembered, since asking for it costs a system call on Python 3.11."""
        self._loop = self._loop or asyncio.get_running_loop()
        return self._loop

    def _subscribe(self) -> None:
        asking, self._asking = self._asking, []
        self._subscribe_to(asking)

    def _subscribe_to(self, names: list[bytes]) -> None:
        by_shard: dict[Where, list[bytes]] = {}
        for name in names:
            by_shard.setdefault(self._place(name), []).append(name)
        for shard, some in by_shard.items():
            if shard in self._readers:
                self._readers[shard].subscribe(some)

    def _no_longer_missing(self, name: bytes) -> None:
        for missing in self._missing.values():
            missing.discard(name)
