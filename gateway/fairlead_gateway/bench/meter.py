"""Who used how much CPU between two moments, and whether that was the limit."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.machine import Cores, busy_seconds, cpu_seconds
from fairlead_gateway.bench.worker import Worker

_BUSY: Final = 0.9
"""A process that used so much of a core was the bottleneck, or close to it."""

_DISTURBED: Final = 0.05
"""Strangers who use more of the server's core than this make its caches cold and its figures poor."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds within *wall* seconds."""

    server: float
    others: Mapping[str, float]
    """Redis, the publisher, and each worker of the load."""

    foreign: float
    """What processes that are none of ours used of the server's core."""

    wall: float

    @property
    def shares(self) -> dict[str, float]:
        """What the others used, as shares of a core."""
        return {name: round(seconds / self.wall, 3) for name, seconds in self.others.items()}

    def limits(self, cores: Cores) -> list[str]:
        """What beside the server was at its limit; then the rates say little, and CPU per unit is the figure."""
        busy = [f"{name} used {share:.0%} of a core" for name, share in self.shares.items() if share > _BUSY]
        together = sum(self.shares.values()) / len(cores.load)
        if not busy and together > _BUSY:
            busy.append(f"redis, publisher and load together used {together:.0%} of their cores")
        if self.foreign > _DISTURBED * self.wall and not cores.shared:
            busy.append(f"strangers used {self.foreign / self.wall:.0%} of the server's core")
        if cores.shared:
            busy.append("server and load share the only core")
        return busy


class Meter:
    """Reads the clocks of all processes of a run."""

    def __init__(self, ground: Ground, server: Server, workers: Sequence[Worker]) -> None:
        self._ground, self._server, self._workers = ground, server, workers
        self._before = self._read()

    def restart(self) -> None:
        self._before = self._read()

    def spent(self) -> Spent:
        """Since the last `restart`."""
        now, before = self._read(), self._before
        others = {name: seconds - before.others[name] for name, seconds in now.others.items()}
        return Spent(now.server - before.server, others, now.foreign - before.foreign, now.wall - before.wall)

    def _read(self) -> Spent:
        others = {worker.name: cpu_seconds((worker.pid,)) for worker in self._workers}
        others["redis"] = self._ground.store.cpu_seconds()
        server = cpu_seconds(self._server.pids)
        foreign = busy_seconds(self._ground.cores.server) - server
        return Spent(server, others, foreign, time.monotonic())
