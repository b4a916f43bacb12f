"""A storm of new connections, each with a token of its own, up to ``connection_established``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fairlead_gateway.bench.crowd import Crowd
from fairlead_gateway.bench.figures import Late, Report
from fairlead_gateway.bench.ground import Ground
from fairlead_gateway.bench.machine import facts
from fairlead_gateway.bench.meter import Meter
from fairlead_gateway.bench.orders import Role
from fairlead_gateway.bench.replica import Replica


@dataclass(frozen=True, slots=True)
class Connect:
    """
    :param in_flight: handshakes under way at any moment.
    :param warm: connections made before counting begins.
    """

    sockets: int = 5000
    in_flight: int = 64
    warm: int = 200

    def __call__(self, ground: Ground, target: Replica) -> Iterator[Report]:
        server = target.start(ground)
        crowd = Crowd.of(ground)
        numbers = range(self.warm + self.sockets)
        openings = [target.user(server.port, number, Role.COUNTED) for number in numbers]
        crowd.open(server.port, openings[: self.warm], in_flight=self.in_flight)
        meter = Meter(ground, server, crowd.workers)
        opened = crowd.open(server.port, openings[self.warm :], in_flight=self.in_flight)
        spent = meter.spent()
        yield Report(
            workload="connect",
            target=target.name,
            unit="handshakes",
            parameters={"sockets": self.sockets, "in_flight": self.in_flight},
            units=len(opened.latencies),
            per_second=round(len(opened.latencies) / opened.seconds, 1),
            cpu_us_per_unit=round(spent.server / self.sockets * 1e6, 2),
            server_cores=round(spent.server / spent.wall, 3),
            late_ms=Late.of(opened.latencies),
            load_cores=spent.shares,
            limited_by=spent.limits(ground.cores),
            machine=facts(),
        )
