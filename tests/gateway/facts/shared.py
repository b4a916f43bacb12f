"""Replicas as far as the shared facts know them: a lane, seats and a lease each, over one Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from fairlead.names import Names, partition_of
from fairlead.redis.connect import open_async
from fairlead_gateway.facts.departures import Departure, Departures
from fairlead_gateway.facts.lane import Lane
from fairlead_gateway.facts.leases import Leases
from fairlead_gateway.facts.seats import Admission, Seats

LIMIT = 5


class Fact:
    """One replica that admits, and renews its lease while `alive`."""

    def __init__(
        self, redis: Redis, names: Names, replica: str, lease_seconds: float = 2.0, grace_seconds: float = 10.0
    ) -> None:
        self.replica = replica
        self.names = names
        self.redis = redis
        self.lane = Lane(redis)
        self.seats = Seats(self.lane, names, replica, grace_seconds)
        self.told: list[tuple[str, Departure]] = []
        """Departures that fell to this replica to tell: ``user`` or ``session``, and which."""
        self.departures = Departures(self.lane, names, self)
        self.connections: dict[str, tuple[str, Sequence[str]]] = {}
        self.reseated = self.swept = 0
        self.inherited: list[str] = []
        """Dead replicas whose statistics fell to this one."""
        self.leases = Leases(
            self.lane,
            names,
            replica,
            lease_seconds,
            {"version": "test"},
            self._reseat,
            self.seats,
            inherit=self._inherit,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def admit(
        self,
        connection_id: str,
        user_id: str = "42",
        channels: Sequence[str] = (),
        *,
        limit: int = LIMIT,
        policy: str = "refuse",
    ) -> Admission:
        """Ask for a seat; a connection that gets one is written down again when the lease was lost."""
        admission = await self.seats.admit(connection_id, user_id, "", channels, limit=limit, policy=policy)
        if admission.admitted:
            self.connections[connection_id] = (user_id, channels)
        return admission

    async def release(self, connection_id: str) -> int | None:
        user_id, channels = self.connections.pop(connection_id)
        return await self.seats.release(connection_id, user_id, channels)

    def live(self) -> None:
        """Renew the lease and look for the dead, until `die`."""
        self._tasks = [
            asyncio.create_task(self.leases.run(), name=f"lease of {self.replica}"),
            asyncio.create_task(self.leases.run_sweeps(), name=f"sweeps of {self.replica}"),
        ]

    async def die(self) -> None:
        """Stop as kill -9 would: nothing is given back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    # -- Teller ------------------------------------------------------------------------------------

    async def user_left(self, departure: Departure) -> None:
        self.told.append(("user", departure))

    def user_is_back(self, departure: Departure) -> None:
        self.told.append(("back", departure))

    def session_left(self, departure: Departure) -> None:
        self.told.append(("session", departure))

    # -- what Redis says -----------------------------------------------------------------------------

    async def seats_of(self, user_id: str) -> set[str]:
        """The connections that Redis counts for a user."""
        return {id.decode() for id in await self.redis.hkeys(self.names.conns(user_id))}

    async def is_online(self, user_id: str) -> bool:
        """Whether Redis counts the user among those with a connection."""
        key = self.names.online(partition_of(f"user:{user_id}"))
        return bool(await self.redis.sismember(key, user_id))

    async def is_here(self, channel: str, connection_id: str) -> bool:
        """Whether the connection is shown in a channel, whatever became of its replica."""
        return bool(await self.redis.hexists(self.names.here(channel), connection_id))

    async def _inherit(self, dead: str) -> None:
        self.inherited.append(dead)

    async def _reseat(self, was_swept: bool) -> None:
        self.reseated += 1
        self.swept += was_swept
        await asyncio.gather(
            *(
                self.seats.admit(connection_id, user_id, "", channels, limit=0, policy="keep")
                for connection_id, (user_id, channels) in self.connections.items()
            )
        )


@asynccontextmanager
async def replicas(
    url: str, prefix: str, *ids: str, lease_seconds: float = 2.0, grace_seconds: float = 10.0
) -> AsyncIterator[list[Fact]]:
    """That many replicas, none of them alive yet; each with a client of its own, as in life."""
    names = Names(prefix)
    clients = [open_async(url, names) for _ in ids]
    facts = [Fact(client, names, id, lease_seconds, grace_seconds) for client, id in zip(clients, ids, strict=True)]
    try:
        yield facts
    finally:
        for fact in facts:
            await fact.die()
            await fact.lane.aclose()
        for client in clients:
            await client.aclose()
