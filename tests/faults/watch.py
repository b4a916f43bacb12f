"""Watches replicas from outside: whether their loops stand (I8), and whether readiness tells the truth in time (I9)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from tests.faults.recorder import now
from tests.support.replica import Replica

EVERY_SECONDS: Final = 0.1
ANSWER_SECONDS: Final = 15.0

STANDS_SECONDS: Final = 1.0
"""A loop that needs longer to say that it lives has been standing."""

TRUTH_SECONDS: Final = 5.0
"""How long ``/readyz`` may go on as before when something has changed."""

GRACE_SECONDS: Final = 0.5
"""What looking from outside may cost."""


class Look(NamedTuple):
    """One answer of one replica."""

    began: float
    ended: float
    status: int
    """0 when nobody answered."""
    own_lag: float
    """How late the watcher itself was woken at that time."""


class Blindness(NamedTuple):
    """Between *began* and *ended* the replica named *replica* could not reach Redis."""

    replica: str
    began: float
    ended: float


class Watch:
    """Asks every replica, again and again, until `stop`."""

    def __init__(self, fleet: Sequence[Replica]) -> None:
        self._fleet = fleet
        self.readiness: dict[str, list[Look]] = {replica.name: [] for replica in fleet}
        self.liveness: dict[str, list[Look]] = {replica.name: [] for replica in fleet}
        self._lag = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._measure_own_lag())]
        for replica in self._fleet:
            for path, looks in (("/readyz", self.readiness), ("/healthz", self.liveness)):
                self._tasks.append(asyncio.create_task(self._ask(replica, path, looks[replica.name])))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def longest_stand(self, spared: Sequence[str]) -> float:
        """The longest that a replica took to say that it lives, in seconds; not those that were frozen or killed."""
        times = [
            look.ended - look.began - look.own_lag
            for name, looks in self.liveness.items()
            if name not in spared
            for look in looks
        ]
        return max(times, default=0.0)

    def untruths(self, blindness: Sequence[Blindness]) -> list[str]:
        """Where readiness said otherwise than it was, for too long."""
        return [complaint for blind in blindness for complaint in self._untruths(blind)]

    def _untruths(self, blind: Blindness) -> list[str]:
        looks = self.readiness[blind.replica]
        limit = TRUTH_SECONDS + GRACE_SECONDS
        found = []
        if any(look.status == 200 and blind.began + limit < look.began < blind.ended for look in looks):
            found.append(f"I9 {blind.replica} said that it was ready over {limit:g} s after it had lost Redis")
        if any(look.status == 503 and look.began > blind.ended + limit for look in looks):
            found.append(f"I9 {blind.replica} was not ready {limit:g} s after it had Redis again")
        return found

    async def _ask(self, replica: Replica, path: str, looks: list[Look]) -> None:
        while True:
            began = now()
            self._lag = 0.0
            status = await _status(replica, path)
            looks.append(Look(began, now(), status, self._lag))
            await asyncio.sleep(EVERY_SECONDS)

    async def _measure_own_lag(self) -> None:
        while True:
            began = now()
            await asyncio.sleep(0.02)
            self._lag = max(self._lag, now() - began - 0.02)


async def _status(replica: Replica, path: str) -> int:
    """The status of the answer to a GET; 0 when there was none."""
    with suppress(OSError, ValueError, IndexError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(replica.host, replica.port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.transport.abort()
    return 0
