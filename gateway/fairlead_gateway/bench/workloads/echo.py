"""Small actions and their replies: every socket says ``ping``, and again as soon as it was answered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Late, Report
from fairlead_gateway.bench.frames import masked
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.machine import facts
from fairlead_gateway.bench.meter import Meter
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica

_PING: Final = masked(b'{"action":"ping","id":"1"}')


@dataclass(frozen=True, slots=True)
class Echo:
    sockets: int = 100
    seconds: float = 5.0
    warm_seconds: float = 1.0

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        crowd.open(server.port, [target.user(server.port, at, Role.ECHOING) for at in range(self.sockets)])
        meter = Meter(ground, server, crowd.workers)
        crowd.echo(_PING)
        time.sleep(self.warm_seconds)
        crowd.begin(frame_bytes=1)
        meter.restart()
        time.sleep(self.seconds)
        spent, heard = meter.spent(), crowd.heard()
        crowd.hush()
        answered = sum(heard.counts)
        yield Report(
            workload="echo",
            target=target.name,
            unit="actions",
            parameters={"sockets": self.sockets},
            units=answered,
            per_second=round(answered / spent.wall, 1),
            cpu_us_per_unit=round(spent.server / max(answered, 1) * 1e6, 3),
            server_cores=round(spent.server / spent.wall, 3),
            late_ms=Late.of(heard.latencies),
            closed=heard.closed,
            load_cores=spent.shares,
            limited_by=spent.limits(ground.cores),
            machine=facts(),
        )
