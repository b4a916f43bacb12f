"""What an idle connection holds in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Report
from fairlead_gateway.bench.ground import Ground, Server
from fairlead_gateway.bench.machine import facts, resident_kb
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica
from fairlead_gateway.bench.worker import deadline_in

_SETTLE_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """
    :param warm: connections made before the first reading, so that start-up and first use are not counted.
    """

    sockets: int = 5000
    warm: int = 500

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        openings = [target.user(server.port, number, Role.COUNTED) for number in range(self.warm + self.sockets)]
        crowd.open(server.port, openings[: self.warm])
        before = _settled_kb(server)
        crowd.open(server.port, openings[self.warm :])
        after = _settled_kb(server)
        yield Report(
            workload="memory",
            target=target.name,
            unit="connections",
            parameters={"sockets": self.sockets},
            units=self.sockets,
            kb_per_connection=round((after - before) / self.sockets, 2),
            extra={"server_kb": after},
            machine=facts(),
        )


def _settled_kb(server: Server) -> int:
    """Resident kB once they have stayed the same for a second (or soon enough, if they never do)."""
    left, now = deadline_in(_SETTLE_SECONDS), resident_kb(server.pids)
    while left():
        time.sleep(_STEADY_SECONDS)
        before, now = now, resident_kb(server.pids)
        if before == now:
            break
    return now
