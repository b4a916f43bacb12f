"""Leases: a replica is alive while it says so; whoever notices that one is not, sweeps after it (I5, I6)."""

from __future__ import annotations

import asyncio
import random
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
CLAIM_SECONDS: Final = 10.0
"""A sweeper that has not finished by then is taken for dead itself, and another one goes on."""

BEING_SWEPT: Final = -1
"""What the renewal answers while somebody sweeps after us; the lease is taken when that is done."""

SWEPT: Final = 2
"""What the renewal answers when somebody has swept after us: the departure of our users may have been told."""

SWEPT_SECONDS: Final = 24 * 3600
"""How long a replica that was swept after can learn that."""

TOGETHER: Final = 200
"""Seats released at once while sweeping."""


class Leases:
    """
    Renews the lease of this replica, and sweeps after dead ones.

    :param reseat: writes every connection of this replica down again, after its own lease was lost; told whether
        somebody has swept after it meanwhile, or Redis has just forgotten.
    :param lost: called with each connection that a dead replica held: its id, its user, the replica.
    :param inherit: called with each dead replica when nothing of it is held any more; perhaps more than once.
    """

    def __init__(
        self,
        lane: Lane,
        names: Names,
        replica: str,
        lease_seconds: float,
        facts: Mapping[str, str],
        reseat: Callable[[bool], Awaitable[None]],
        seats: Seats,
        lost: Callable[[str, str, str], None] = lambda connection_id, user_id, replica: None,
        inherit: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._lane = lane
        self._names = names
        self._replica = replica
        self._lease_seconds = lease_seconds
        self._facts = facts
        self._reseat = reseat
        self._seats = seats
        self._lost = lost
        self._inherit = inherit
        self._is_held = False
        self._is_seated = False
        self._was_swept = False

    @property
    def is_held(self) -> bool:
        """Whether Redis lets us keep a lease and write down who we are, as it must for every connection."""
        return self._is_held and self._is_seated

    @property
    def _beat_seconds(self) -> float:
        return min(2.0, self._lease_seconds / 3.3)

    async def run(self) -> None:
        """Beat until cancelled; Redis being away is normal and only logged when it begins."""
        while True:
            try:
                await self._beat()
            except Unavailable as error:
                if self._is_held:
                    log.warning("lease not renewed", why=error.message)
                # It may have been renewed all the same, as a new lease after the old one was swept.
                self._is_held = self._is_seated = False
            await asyncio.sleep(self._beat_seconds)

    async def run_sweeps(self) -> None:
        """Look for the dead until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * random.uniform(0.8, 1.2))
            try:
                while (dead := await self._claim()) is not None:
                    await self._sweep(dead)
            except Unavailable as error:
                log.warning("sweep interrupted", why=error.message)

    async def end(self) -> None:
        """Give the lease back; everything it covered has been released before."""
        self._lane.call("ZREM", self._names.replicas, self._replica)
        await self._lane.call("DEL", self._names.replica(self._replica), self._names.replica_conns(self._replica))

    # -- our own -------------------------------------------------------------------------------

    async def _beat(self) -> None:
        answer = await self._lane.run(_RENEW, self._keys, (self._replica, self._lease_ms))
        self._is_held = answer != BEING_SWEPT
        if answer != 1:
            log.info("lease taken" if self._is_held else "being swept after")
            self._is_seated = False
            self._was_swept |= answer == SWEPT
        if self._is_held and not self._is_seated:
            await self._settle_in()
        if self._is_held:
            await self._seats.settle_debts()

    async def _settle_in(self) -> None:
        """Say who we are and write our connections down; until that is done it is tried with every beat."""
        flat = [item for pair in self._facts.items() for item in pair]
        await self._lane.call("HSET", self._names.replica(self._replica), *flat)
        await self._reseat(self._was_swept)
        self._is_seated, self._was_swept = True, False

    @property
    def _keys(self) -> tuple[str, str, str]:
        return self._names.replicas, self._names.sweeping, self._names.replica(self._replica)

    @property
    def _lease_ms(self) -> int:
        return int(self._lease_seconds * 1000)

    # -- the others ------------------------------------------------------------------------------

    async def _claim(self) -> str | None:
        args = (int(CLAIM_SECONDS * 1000), self._replica, self._lease_ms)
        dead = await self._lane.run(_CLAIM, self._keys, args)
        return dead.decode() if dead else None

    async def _sweep(self, dead: str) -> None:
        """Free everything that *dead* held; done twice, it is harmless."""
        held = await self._lane.call("HGETALL", self._names.replica_conns(dead))
        pairs = list(held.items() if isinstance(held, dict) else zip(held[::2], held[1::2], strict=True))
        log.warning("sweeping after a dead replica", dead=dead, connections=len(pairs))
        for start in range(0, len(pairs), TOGETHER):
            if await self._lane.call("ZSCORE", self._names.sweeping, dead) is None:
                # Our claim ran out: another sweeper has finished, or the dead one has come back.
                return
            some = pairs[start : start + TOGETHER]
            await asyncio.gather(*(self._free(dead, id.decode(), value) for id, value in some))
        if self._inherit is not None:
            await self._inherit(dead)
        facts = self._names.replica(dead)
        self._lane.call("DEL", self._names.replica_conns(dead))
        # Who it was is kept, since it is shown among the lost for a while.
        self._lane.call("HSET", facts, "swept", 1)
        self._lane.call("EXPIRE", facts, SWEPT_SECONDS)
        await self._lane.call("ZREM", self._names.sweeping, dead)

    async def _free(self, dead: str, connection_id: str, value: bytes) -> None:
        try:
            facts = orjson.loads(value)
            user_id, channels = facts["user"], facts["channels"]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            log.warning("a seat that nobody of ours wrote", connection_id=connection_id[:128])
            return
        if await self._seats.release(connection_id, user_id, channels) is not None:
            self._lost(connection_id, user_id, dead)
