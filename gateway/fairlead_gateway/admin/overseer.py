"""The overseer: one replica of the fleet at a time that looks at all of them each second, and tells who watches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import structlog

from fairlead.errors import FairleadError, Unavailable
from fairlead.format.messages import push
from fairlead.names import ADMINS
from fairlead.publishing.publisher import Publisher
from fairlead_gateway.admin.overview import Overview, overview
from fairlead_gateway.admin.past import Window
from fairlead_gateway.admin.samples import Sample, parsed
from fairlead_gateway.facts.statistics import Statistics, Sums, Turn

log = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 1.0

LOOK_SECONDS: Final = 0.2
"""How often a replica without a lease looks whether it has one."""

WINDOW_SECONDS: Final = 60
"""What rates and percentiles of an overview are over."""

SETTLE_BEATS: Final = 3
"""Beats left out when Redis has forgotten everything, until all replicas have reported again."""

RECOUNT_BEATS: Final = 10
"""Beats after which users and sessions are counted again, though no replica says that anything has changed."""

ABANDONED_BEATS: Final = 60
"""Beats after which a dead replica is folded that nobody sweeps after, since it came back for a moment only."""

Turned: TypeAlias = Callable[[Turn], Awaitable[None]]
"""Called with what each report was answered, before the fleet is looked at."""

Watcher: TypeAlias = Callable[[Overview], Awaitable[None]]
"""Called each second on the replica that oversees; a `FairleadError` is logged, and it is called again."""


class Overseer:
    """
    Reports what this replica counts, each second; if it is the one that oversees the fleet, it sums what all of them
    have reported, keeps the history of it, and publishes it on the channel of the admins.

    :param look: what this replica has to report, by name (see `fairlead_gateway.facts.statistics.GAUGE`).
    :param is_ready: whether the replica holds its lease: without it nobody would sweep after it.
    """

    def __init__(
        self,
        statistics: Statistics,
        publisher: Publisher,
        look: Callable[[], Mapping[str, int]],
        is_ready: Callable[[], bool],
    ) -> None:
        self._statistics = statistics
        self._publisher = publisher
        self._look = look
        self._is_ready = is_ready
        self._people = _People(statistics)
        self._settling = 0
        self._unfolded: dict[str, int] = {}
        self._is_away = False
        self.oversees = False
        """Whether it is this replica that oversees the fleet."""
        self.watchers: list[Watcher] = []
        """Who is given every overview, before it is published; to be filled before the start."""
        self.firing: Callable[[], int] = lambda: 0
        """How many alerts are firing."""
        self.turned: Turned = _nothing
        """Sees to what Redis has forgotten of them."""

    async def run(self) -> None:
        """Beat until cancelled; while Redis is away there is nothing to see."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if not self._is_ready():
                await asyncio.sleep(LOOK_SECONDS)
                continue
            try:
                await self.beat()
                self._is_away = False
            except Unavailable as error:
                self.oversees = False
                if not self._is_away:
                    log.warning("statistics not reported", why=error.message)
                self._is_away = True
            await asyncio.sleep(max(0.1, began + BEAT_SECONDS - loop.time()))

    async def beat(self) -> None:
        """
        Report, and oversee the fleet if it is on us.

        :raises Unavailable: Redis cannot be reached.
        """
        turn = await self._statistics.report(self._look())
        if turn.oversees != self.oversees:
            log.info("overseeing the fleet" if turn.oversees else "somebody else oversees the fleet")
        self.oversees = turn.oversees
        await self.turned(turn)
        self._settling = SETTLE_BEATS if turn.was_forgotten else max(0, self._settling - 1)
        if self.oversees and not self._settling:
            await self._oversee()

    async def end(self) -> None:
        """
        Report for the last time, and leave overseeing to others.

        :raises Unavailable: Redis cannot be reached.
        """
        self.oversees = False
        await self._statistics.end(self._look())

    async def see(self) -> Overview:
        """
        The fleet as it is now, whoever oversees it.

        :raises Unavailable: Redis cannot be reached.
        """
        sums = await self._statistics.sums()
        return overview(sums, *await self._statistics.people(), await self._before(sums))[0]

    async def samples(self, window: Window) -> list[Sample]:
        """
        What the fleet had counted in *window*, step by step, oldest first.

        :raises Unavailable: Redis cannot be reached.
        """
        last = [parsed(data) for data in await self._statistics.last_samples(1)]
        moments = window.moments(last[0].at_ms) if last and last[0] is not None else []
        return [sample for data in await self._statistics.samples_since(moments) if (sample := parsed(data))]

    # -- inside --------------------------------------------------------------------------------------

    async def _oversee(self) -> None:
        sums = await self._statistics.sums()
        before = await self._before(sums)
        seen, sample = overview(sums, *await self._people.of(sums), before)
        if not await self._statistics.record(sample.as_bytes()):
            return
        await self._fold_abandoned(sums)
        for watcher in self.watchers:
            try:
                await watcher(seen)
            except FairleadError as error:
                log.warning("a watcher of the fleet failed", why=error.message)
        message = {"type": "stats_update", **seen.as_json(), "alerts": self.firing()}
        await self._publisher.publish(ADMINS, push(message, ADMINS), durable=False)

    async def _fold_abandoned(self, sums: Sums) -> None:
        dead = [replica for replica, said in sums.replicas.items() if not (said.is_alive or said.is_folded)]
        self._unfolded = {replica: self._unfolded.get(replica, 0) + 1 for replica in dead}
        for replica, beats in self._unfolded.items():
            if beats > ABANDONED_BEATS:
                await self._statistics.inherit(replica)

    async def _before(self, sums: Sums) -> Sample | None:
        """The sample of a minute ago, or the oldest since."""
        samples = await self._statistics.samples_since([sums.now_ms - WINDOW_SECONDS * 1000])
        return parsed(samples[0]) if samples else None


async def _nothing(turn: Turn) -> None:
    """What is done with a turn where nobody watches."""


class _People:
    """
    Users and sessions of the fleet, counted by one command for each partition: only while somebody comes or goes.

    What was written down may be behind what was reported, so they are counted once more after the last change.
    """

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self._last: object = None
        self._counted = (0, 0)
        self._due = 0

    async def of(self, sums: Sums) -> tuple[int, int]:
        moves = sorted((replica, said.gauges.get("moves", 0)) for replica, said in sums.replicas.items())
        has_changed, self._last = moves != self._last, moves
        if has_changed or self._due == 0:
            self._counted = await self._statistics.people()
            self._due = 0 if has_changed else RECOUNT_BEATS
        else:
            self._due -= 1
        return self._counted
