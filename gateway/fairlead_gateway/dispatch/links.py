"""The links: one to each shard, as long as it has a part of the channels, and the proof that each is fed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from fairlead.names import Names
from fairlead.redis.sentinel import Service
from fairlead.redis.shards import Shard, Shards
from fairlead_gateway.dispatch.interest import Interest, Where
from fairlead_gateway.dispatch.link import Link
from fairlead_gateway.dispatch.reader import Heard
from fairlead_gateway.dispatch.watch import Watch

log = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 1.5
"""How often a probe goes through each shard, and the map of a cluster is looked at."""

SILENT_SECONDS: Final = 3 * BEAT_SECONDS
"""Without a probe for so long, we say that we are not ready."""

DROP_SECONDS: Final = 10.0
"""A link over which no probe has come for so long, though Redis took them, is not fed, whatever it seems."""

SETTLE_SECONDS: Final = 0.05
"""Channels that move together are looked after together."""


class _Ear:
    """One shard as we hear it."""

    def __init__(self, link: Link, task: asyncio.Task[None], probe: bytes) -> None:
        self.link = link
        self.task = task
        self.probe = probe
        self.probed_at = 0.0
        """Monotonic time at which a probe came back; 0 before the first."""
        self.silent_since = time.monotonic()
        """When a probe came back last, or we began to listen."""
        self.owed_since = 0.0
        """Since when a probe that Redis took has not come back; 0 while none is awaited."""

    def sent(self, answer: asyncio.Future[Any]) -> None:
        """Redis has taken a probe, or has not: then the link is not to blame."""
        if not answer.cancelled() and answer.exception() is None:
            self.owed_since = self.owed_since or time.monotonic()

    def probed(self) -> None:
        """A probe has come back."""
        self.probed_at = self.silent_since = time.monotonic()
        self.owed_since = 0.0

    @property
    def is_fed(self) -> bool:
        return time.monotonic() - self.probed_at < SILENT_SECONDS

    def drop_if_starved(self) -> bool:
        """End the link if it seems to be up and nothing comes through; whether it was."""
        if not self.link.is_up or not self.owed_since or time.monotonic() - self.owed_since < DROP_SECONDS:
            return False
        self.owed_since = 0.0
        self.link.drop()
        return True


class Links:
    """
    Keeps a link to every shard, until `run` is cancelled; *interest* says what is to be heard.

    :param heard: called with what comes in, whatever the shard.
    :param probe: publishes something on a Redis channel, as messages are.
    :param replica: whose links these are.
    """

    def __init__(
        self,
        shards: Shards,
        interest: Interest,
        heard: Callable[[Heard], None],
        probe: Callable[[bytes], asyncio.Future[Any]],
        names: Names,
        replica: str,
    ) -> None:
        self._shards = shards
        self._interest = interest
        self._heard = heard
        self._publish_probe = probe
        self._names = names
        self._replica = replica
        self._ears: dict[Shard, _Ear] = {}
        self._map: list[Shard | None] = []
        self._astray = asyncio.Event()
        self._held = False
        self._lost_before = 0

    @property
    def is_up(self) -> bool:
        """Whether messages of every shard are coming through."""
        return bool(self._ears) and None not in self._map and all(ear.link.is_up for ear in self._ears.values())

    @property
    def hears_itself(self) -> bool:
        """Whether a probe came back from every shard within the last few beats."""
        return bool(self._ears) and all(ear.is_fed for ear in self._ears.values())

    @property
    def losses(self) -> int:
        """How often a connection was lost since the start, of links that there are and were."""
        return self._lost_before + sum(ear.link.losses for ear in self._ears.values())

    @property
    def silent_seconds(self) -> float:
        """For how long the shard that is heard worst has brought no probe."""
        now = time.monotonic()
        return max((now - ear.silent_since for ear in self._ears.values()), default=0.0)

    def probed(self, name: bytes) -> None:
        """We heard ourselves: the way through a shard and back is open."""
        for ear in self._ears.values():
            if ear.probe == name:
                ear.probed()

    def hold(self) -> None:
        """Stop reading until `release`: fan-outs under way have more than enough to do."""
        self._held = True
        for ear in self._ears.values():
            ear.link.hold()

    def release(self) -> None:
        self._held = False
        for ear in self._ears.values():
            ear.link.release()

    async def run(self) -> None:
        """Keep the links that are needed, probe them, and follow channels that move; for ever."""
        # Those of the last time were of another loop.
        self._astray, self._map = asyncio.Event(), []
        self._lost_before = self.losses
        self._ears.clear()
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                if isinstance(shard.place, Service):
                    watch = Watch(shard.place, partial(self._moved, shard), self._client_name)
                    group.create_task(watch.run(), name=f"watch of {shard.name}")
            while True:
                await self._shards.refresh()
                self._follow(group)
                self._probe()
                await self._beat()

    # -- one beat --------------------------------------------------------------------------------

    def _follow(self, group: asyncio.TaskGroup) -> None:
        """A link to each shard that has a partition, and every channel heard from where it lives."""
        is_astray, now = self._astray.is_set(), list(self._shards.partitions)
        self._astray.clear()
        if now == self._map and not is_astray:
            return
        if None in now and now != self._map:
            log.warning("nobody is known to have some channels", partitions=now.count(None))
        self._map = now
        for gone in [shard for shard in self._ears if shard not in now]:
            self._end(gone)
        for shard in dict.fromkeys(now):
            if shard is not None:
                self._listen(shard, now.index(shard), group)
        self._interest.settle()

    def _listen(self, shard: Shard, partition: int, group: asyncio.TaskGroup) -> None:
        """Have a link to *shard*, and a probe in a *partition* that lives there."""
        probe = self._names.probe(self._replica, partition).encode()
        ear = self._ears.get(shard)
        if ear is None:
            link = self._link(shard)
            self._ears[shard] = _Ear(link, group.create_task(link.run(), name=f"link to {shard.name}"), probe)
        elif ear.probe != probe:
            self._interest.drop(ear.probe)
            ear.probe = probe
        self._interest.keep(probe)

    def _link(self, shard: Shard) -> Link:
        link = Link(
            shard.url,
            self._interest,
            self._heard,
            self._client_name,
            shard=shard,
            place=shard.place,
            is_sharded=self._shards.is_sharded,
            astray=self._astray.set,
        )
        if self._held:
            link.hold()
        return link

    def _end(self, shard: Shard) -> None:
        ear = self._ears.pop(shard)
        self._lost_before += ear.link.losses
        ear.task.cancel()
        self._interest.drop(ear.probe)

    def _probe(self) -> None:
        for shard, ear in self._ears.items():
            if not self._held and ear.drop_if_starved():
                log.warning("connected but not fed; connecting anew", shard=shard.name)
            self._publish_probe(ear.probe).add_done_callback(ear.sent)

    async def _beat(self) -> None:
        """Until the next beat, or a moment after something was found astray."""
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await self._astray.wait()
                await asyncio.sleep(SETTLE_SECONDS)
        except TimeoutError:
            return

    def _moved(self, shard: Shard) -> None:
        """The master is elsewhere: whatever leads to the old one ends now."""
        if shard.place is not None:
            shard.place.drop()
        if shard in self._ears:
            self._ears[shard].link.drop()

    @property
    def _client_name(self) -> str:
        return f"fairlead-{self._replica}"


def place_in(shards: Shards) -> Callable[[bytes], Where]:
    """How to find the shard of a Redis channel."""
    only = shards.only
    return (lambda name: only) if only is not None else (lambda name: shards.find(name.decode()))
