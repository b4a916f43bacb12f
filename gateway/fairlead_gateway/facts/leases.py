"""Leases: a replica is alive while it says so; whoever notices that one is not, sweeps after it (I5, I6)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
import structlog

from fairlead.errors import Unavailable
from fairlead.names import Names
from fairlead.redis.scripts import load
from fairlead_gateway.facts.lane import SCRIPTS, Lane
from fairlead_gateway.facts.seats import Seats

log = structlog.get_logger(__name__)

_RENEW: Final = load("renew", SCRIPTS)
_CLAIM: Final = load("claim", SCRIPTS)

SWEEP_SECONDS: Final = 2.0
CLAIM_SECONDS: Final = 30.0
"""A sweeper that has not finished by then is taken for dead itself, and another one goes on."""

TOGETHER: Final = 200
"""Seats released at once while sweeping."""


class Leases:
    """
    Renews the lease of this replica, proves that it hears itself, and sweeps after dead ones.

    :param reseat: writes every connection of this replica down again, after its own lease was lost.
    """

    def __init__(
        self,
        lane: Lane,
        names: Names,
        replica: str,
        lease_seconds: float,
        facts: Mapping[str, str],
        reseat: Callable[[], Awaitable[None]],
        seats: Seats,
    ) -> None:
        self._lane = lane
        self._names = names
        self._replica = replica
        self._lease_seconds = lease_seconds
        self._facts = facts
        self._reseat = reseat
        self._seats = seats
        self._held_since: float | None = None
        self.probed_at = 0.0
        """Monotonic time at which this replica last heard itself through Redis."""

    def probed(self) -> None:
        """We heard ourselves: the way through Redis and back is open."""
        self.probed_at = time.monotonic()

    @property
    def hears_itself(self) -> bool:
        """Whether a probe came back within the last few beats."""
        return time.monotonic() - self.probed_at < 3 * self._beat_seconds

    @property
    def _beat_seconds(self) -> float:
        return min(2.0, self._lease_seconds / 3.3)

    async def run(self) -> None:
        """Beat until cancelled; Redis being away is normal and only logged when it begins."""
        while True:
            try:
                await self._beat()
            except Unavailable as error:
                if self._held_since is not None:
                    log.warning("lease not renewed", why=error.message)
                self._held_since = None
            await asyncio.sleep(self._beat_seconds)

    async def run_sweeps(self) -> None:
        """Look for the dead until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.8, 1.2))
            try:
                while self._may_judge() and (dead := await self._claim()):
                    await self._sweep(dead)
            except Unavailable as error:
                log.warning("sweep interrupted", why=error.message)

    async def end(self) -> None:
        """Give the lease back; everything it covered has been released before."""
        self._lane.call("ZREM", self._names.replicas, self._replica)
        await self._lane.call("DEL", self._names.replica(self._replica), self._names.replica_conns(self._replica))

    # -- our own -------------------------------------------------------------------------------

    async def _beat(self) -> None:
        renewed = self._lane.run(_RENEW, (self._names.replicas,), (self._replica, int(self._lease_seconds * 1000)))
        self._lane.call("PUBLISH", self._names.probe(self._replica), "1")
        if await renewed:
            self._held_since = self._held_since or time.monotonic()
            await self._seats.settle_debts()
            return
        self._held_since = time.monotonic()
        log.info("lease taken", replica=self._replica)
        flat = [item for pair in self._facts.items() for item in pair]
        await self._lane.call("HSET", self._names.replica(self._replica), *flat)
        await self._reseat()

    # -- the others ------------------------------------------------------------------------------

    def _may_judge(self) -> bool:
        """After an outage every lease has run out; those who live need time to renew theirs."""
        return self._held_since is not None and time.monotonic() - self._held_since > self._lease_seconds

    async def _claim(self) -> str | None:
        keys = (self._names.replicas, self._names.sweeping)
        dead = await self._lane.run(_CLAIM, keys, (int(CLAIM_SECONDS * 1000),))
        return dead.decode() if dead else None

    async def _sweep(self, dead: str) -> None:
        """Free everything that *dead* held; done twice, it is harmless."""
        held = await self._lane.call("HGETALL", self._names.replica_conns(dead))
        pairs = list(held.items() if isinstance(held, dict) else zip(held[::2], held[1::2], strict=True))
        log.warning("sweeping after a dead replica", replica=dead, connections=len(pairs))
        for start in range(0, len(pairs), TOGETHER):
            await asyncio.gather(*(self._free(id.decode(), value) for id, value in pairs[start : start + TOGETHER]))
        self._lane.call("DEL", self._names.replica(dead), self._names.replica_conns(dead))
        await self._lane.call("ZREM", self._names.sweeping, dead)

    async def _free(self, connection_id: str, value: bytes) -> None:
        facts = orjson.loads(value)
        await self._seats.release(connection_id, facts["user"], facts["channels"])
