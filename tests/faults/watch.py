"""Watches replicas from outside: whether their loops stand (I8), and whether readiness tells the truth in time (I9)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from tests.faults.recorder import now
from tests.support.replica import Replica

EVERY_SECONDS: Final = 0.1
ANSWER_SECONDS: Final = 15.0

STANDS_SECONDS: Final = 1.0
"""A loop that needs longer to say that it lives has been standing."""

WAKES_SECONDS: Final = 0.02
LATE_SECONDS: Final = 0.07
"""A watcher that was to wake after the one, and wakes after the other, has been standing itself."""

TRUTH_SECONDS: Final = 5.0
"""How long ``/readyz`` may go on as before when something has changed."""

GRACE_SECONDS: Final = 0.5
"""What looking from outside may cost."""


_LENGTH: Final = re.compile(rb"(?i)content-length: *(\d+)")
_FAILURES: Final = (OSError, ValueError, IndexError, TimeoutError, EOFError)


class Look(NamedTuple):
    """One answer of one replica."""

    began: float
    ended: float
    status: int
    """0 when nobody answered."""
    own_lag: float
    """How long the watcher itself stood meanwhile."""


class Blindness(NamedTuple):
    """Between *began* and *ended* the replica named *replica* could not reach Redis."""

    replica: str
    began: float
    ended: float


class _Line:
    """A connection that stays open, so that a question waits for the loop, and not in the queue of newcomers."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader

    async def status(self, path: str) -> int:
        """The status of the answer to a GET; 0 when there was none."""
        with suppress(*_FAILURES):
            async with asyncio.timeout(ANSWER_SECONDS):
                if self._writer is None:
                    self._reader, self._writer = await asyncio.open_connection(self._replica.host, self._replica.port)
                self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                head = await self._reader.readuntil(b"\r\n\r\n")
                await self._reader.readexactly(int(_LENGTH.findall(head)[0]))
                return int(head.split()[1])
        self.hang_up()
        return 0

    def hang_up(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


async def _status_for_a_newcomer(replica: Replica, path: str) -> int:
    line = _Line(replica)
    try:
        return await line.status(path)
    finally:
        line.hang_up()


class Watch:
    """Asks every replica, again and again, until `stop`."""

    def __init__(self, fleet: Sequence[Replica]) -> None:
        self._fleet = fleet
        self.readiness: dict[str, list[Look]] = {replica.name: [] for replica in fleet}
        self.liveness: dict[str, list[Look]] = {replica.name: [] for replica in fleet}
        self._late = 0.0
        self._woken = now()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._measure_own_lag())]
        for replica in self._fleet:
            lives, is_ready = _Line(replica).status, partial(_status_for_a_newcomer, replica)
            for ask, looks in (
                (partial(lives, "/healthz"), self.liveness),
                (partial(is_ready, "/readyz"), self.readiness),
            ):
                self._tasks.append(asyncio.create_task(self._ask(ask, looks[replica.name])))

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

    async def _ask(self, ask: Callable[[], Awaitable[int]], looks: list[Look]) -> None:
        while True:
            began, late = now(), self._late_so_far()
            status = await ask()
            looks.append(Look(began, now(), status, self._late_so_far() - late))
            await asyncio.sleep(EVERY_SECONDS)

    async def _measure_own_lag(self) -> None:
        while True:
            await asyncio.sleep(WAKES_SECONDS)
            self._late, self._woken = self._late_so_far(), now()

    def _late_so_far(self) -> float:
        """Seconds for which this process itself stood, all in all."""
        asleep = now() - self._woken
        return self._late + (asleep - WAKES_SECONDS if asleep > LATE_SECONDS else 0.0)
